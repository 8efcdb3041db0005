// What is stored: found by words, by meaning, by whose it is; and taken away in bulk.

import { get, post } from "./api.js";
import { card, empty, h, segments, show, toast } from "./dom.js";
import { openEntry } from "./entry.js";
import { ago, cosine, count, date } from "./format.js";
import { confirmBox } from "./dialogs.js";
import { tenantName } from "./tenants.js";

const PAGE = 50;
const AGES = [["", "any age"], [3600, "older than an hour"], [86400, "older than a day"], [604800, "older than a week"], [2592000, "older than 30 days"]];

export function entries(node, context) {
  const state = { by: "words", text: "", tenant: "", model: "", state: "", cursor: null };
  const list = h("div", { class: "scroll" }, h("p", { class: "note" }, "Loading…"));
  const more = h("button", { type: "button", hidden: true, onclick: () => load(true) }, "Show more");
  const text = h("input", { type: "search", class: "grow", placeholder: "Words in question or answer", "aria-label": "Search entries" });
  const tenant = h("select", { "aria-label": "Tenant", onchange: () => { state.tenant = tenant.value; load(); } }, h("option", { value: "" }, "All tenants"));
  const model = h("select", { "aria-label": "Model", onchange: () => { state.model = model.value; load(); } }, h("option", { value: "" }, "All models"));
  const condition = h("select", { "aria-label": "State", onchange: () => { state.state = condition.value; load(); } },
    [["", "Any state"], ["fresh", "Fresh"], ["stale", "Stale"], ["quarantined", "Quarantined"]].map(([value, name]) => h("option", { value }, name)));
  const narrowed = h("span", { class: "row" }, model, condition);
  let asked = null;

  async function load(further = false) {
    asked?.abort();
    asked = new AbortController();
    context.signal.addEventListener("abort", () => asked.abort());
    state.text = text.value.trim();
    const found = further ? list.querySelector("tbody") : null;
    try {
      const told = await fetchPage(state, further, asked.signal);
      state.cursor = told.next ?? null;
      more.hidden = !state.cursor;
      const rows = told.data.map((one) => row(one, { ...context, changed: () => load() }));
      if (found) found.append(...rows);
      else show(list, rows.length ? table(rows, state.by) : nothing(state));
      if (told.scopes_left_out) list.append(h("p", { class: "sub" }, `${count(told.scopes_searched)} scopes were searched, ${count(told.scopes_left_out)} older ones were not.`));
    } catch (error) {
      if (error.name === "AbortError") return;
      more.hidden = true;
      show(list);
      context.fail.call(null, error);
      if (error.status !== 401) show(list, h("p", { class: "error", role: "alert" }, error.message));
    }
  }

  const by = segments("Search by", { words: "Words", meaning: "Meaning" }, state.by, (value) => {
    state.by = value;
    text.placeholder = value === "words" ? "Words in question or answer" : "A question, in any words";
    narrowed.hidden = value === "meaning";
    if (value === "words" || text.value.trim()) load();
  });
  const form = h("form", { class: "row filters", role: "search", onsubmit: (event) => { event.preventDefault(); load(); } },
    by, text, h("button", { type: "submit", class: "primary" }, "Search"), tenant, narrowed);
  const bulk = h("button", { type: "button", class: "danger", onclick: () => invalidate({ tenant: tenant.value, model: model.value }, [...model.options], load) }, "Invalidate…");
  node.append(card("Entries", { side: bulk }, form, list, h("div", { class: "more" }, more)));
  choices(tenant, model, context).catch((error) => context.fail(error));
  load();
}

async function choices(tenant, model, { signal }) {
  const { holdings } = await get("/v1/cache/stats", { minutes: 1 }, signal);
  const tenants = [...new Set(holdings.map((one) => one.tenant))];
  const models = [...new Set(holdings.map((one) => one.model))];
  tenant.append(...tenants.map((one) => h("option", { value: one }, `tenant ${tenantName(one)}`)));
  model.append(...models.map((one) => h("option", { value: one }, one)));
}

function fetchPage(state, further, signal) {
  if (state.by === "meaning" && state.text) {
    return post("/v1/cache/search", { question: state.text, k: PAGE, ...(state.tenant && { tenant: state.tenant }) }, signal);
  }
  const query = { limit: PAGE, contains: state.by === "words" ? state.text : "", tenant: state.tenant, model: state.model, state: state.state };
  return get("/v1/cache/entries", { ...query, cursor: further ? state.cursor : null }, signal);
}

function nothing(state) {
  const narrow = state.text || state.tenant || state.model || state.state;
  return narrow ? empty("Nothing found", "Other words, or fewer filters, may find more.") : empty("The cache is empty", "Answers are stored as they are given: ask something.");
}

function table(rows, by) {
  return h("table", { class: "entries" }, h("thead", null, h("tr", null,
    h("th", { scope: "col" }, "Question and answer"), h("th", { scope: "col" }, "Model"), h("th", { scope: "col" }, "State"),
    h("th", { scope: "col", class: "num" }, "Hits"), h("th", { scope: "col", class: "num" }, by === "meaning" ? "Cosine" : "Stored"))), h("tbody", null, rows));
}

function row(one, context) {
  const open = () => openEntry(one.id, context);
  return h("tr", { class: "go", onclick: open, "data-entry": one.id },
    h("td", { class: "asked" }, h("button", { type: "button", class: "cellbutton" },
      h("span", { class: "clip strong" }, one.question ?? "(matched exactly only)"), h("span", { class: "clip muted" }, one.answer || "(no text)"))),
    h("td", { class: "who" }, one.model, h("span", { class: "sub" }, `tenant ${tenantName(one.tenant)}`)),
    h("td", { class: "state" }, condition(one)),
    h("td", { class: "num hits" }, count(one.hits)),
    one.similarity === undefined ? h("td", { class: "num age", title: date(one.created_at) }, ago(one.age_s)) : h("td", { class: "num age" }, cosine(one.similarity)));
}

export function condition(one) {
  return h("span", { class: { quarantined: "pill bad", stale: "pill warn", fresh: "pill" }[one.condition] }, one.condition);
}

// ---------------------------------------------------------------------------------------- in bulk

function invalidate(known, models, reload) {
  const field = (name, input, more = "") => h("label", { class: `field ${more}` }, h("span", null, name), input);
  const tenant = h("input", { value: known.tenant, placeholder: "any", spellcheck: "false" });
  const model = h("select", null, models.map((one) => h("option", { value: one.value }, one.value || "any")));
  model.value = known.model;
  const namespace = h("input", { placeholder: "any" });
  const question = h("input", { placeholder: "any; the whole text" });
  const age = h("select", null, AGES.map(([value, name]) => h("option", { value }, name)));
  const told = h("div", { "aria-live": "polite" });
  let body = null;
  const said = () => Object.fromEntries(Object.entries({ tenant: tenant.value.trim(), model: model.value, namespace: namespace.value.trim(), question: question.value.trim(), older_than_s: age.value && Number(age.value) })
    .filter(([, value]) => value !== ""));
  const box = confirmBox("Invalidate entries", [
    h("p", { class: "muted" }, "Entries for which all of this holds are deleted, for every process."),
    h("div", { class: "fields" }, field("Tenant", tenant), field("Model", model), field("Namespace", namespace), field("Age", age), field("Question", question, "all")), told,
  ], "Look what would go", async (button) => {
    if (body && JSON.stringify(body) === JSON.stringify(said())) {
      const done = await post("/v1/cache/invalidate", body);
      toast(`${count(done.count)} entries deleted`);
      reload();
      return true;
    }
    body = said();
    const would = await post("/v1/cache/invalidate?dry_run=true", body);
    show(told, h("p", { class: "strong" }, would.count ? `${count(would.count)} entries would be deleted:` : "No entry is meant."),
      h("ul", { class: "sample" }, would.sample.map((one) => h("li", { class: "clip one muted" }, one.question ?? one.key))));
    button.textContent = would.count ? `Delete ${count(would.count)}` : "Look what would go";
    button.className = would.count ? "danger" : "primary";
    if (!would.count) body = null;
    return false;
  });
  box.addEventListener("input", () => { body = null; box.go.textContent = "Look what would go"; box.go.className = "primary"; show(told); });
}
