// The last decisions, as they are made.

import { get } from "./api.js";
import { badge, card, empty, h, OUTCOMES, segments, show } from "./dom.js";
import { openEntry } from "./entry.js";
import { clockSeconds, cosine, count, date, ms, NONE } from "./format.js";
import { tenantName } from "./tenants.js";

const FILTERS = { all: "All", hits: "Hits", miss: "Misses", bypass: "Bypasses" };
const HITS = ["hit", "semantic", "coalesced", "stale"];
const MOST = 200;

export function decisions(node, context) {
  const state = { filter: "all", text: "", paused: false, seen: null };
  const body = h("div", { class: "scroll" }, h("p", { class: "note" }, "Loading…"));
  const told = h("span", { class: "sub" });
  const search = h("input", { type: "search", placeholder: "Filter by text or reason", "aria-label": "Filter by text or reason", oninput: () => { state.text = search.value.trim().toLowerCase(); draw(); } });
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    state.paused = !state.paused;
    pause.setAttribute("aria-pressed", String(state.paused));
    pause.textContent = state.paused ? "Go on" : "Pause";
  } }, "Pause");
  const draw = () => { if (state.seen) render(body, told, state, context); };
  node.append(card("Decisions", { sub: "the last 512, kept in memory only" },
    h("div", { class: "row filters" }, segments("Outcome", FILTERS, state.filter, (value) => { state.filter = value; draw(); }), search, pause, told), body));
  context.poll(async () => {
    if (state.paused) return;
    const fresh = (await get("/v1/cache/decisions", {}, context.signal)).data;
    const newest = (list) => list && list.length && JSON.stringify(list[0]) + list.length;
    if (state.seen && newest(fresh) === newest(state.seen)) return;
    state.seen = fresh;
    draw();
  });
}

function matching({ filter, text, seen }) {
  return seen.filter((one) => (filter === "all" || (filter === "hits" ? HITS.includes(one.outcome) : one.outcome === filter))
    && (!text || `${one.question} ${one.reason} ${one.answerer} ${OUTCOMES[one.outcome]} ${tenantName(one.tenant)} ${one.tenant}`.toLowerCase().includes(text)));
}

function render(body, told, state, context) {
  const found = matching(state);
  const shown = found.slice(0, MOST);
  told.textContent = found.length === state.seen.length ? `${count(found.length)} decisions` : `${count(found.length)} of ${count(state.seen.length)}`;
  if (!state.seen.length) return show(body, empty("No decisions yet", "Each request appears here with what was decided, and why."));
  if (!shown.length) return show(body, empty("Nothing matches", "Try another filter."));
  return show(body, h("table", { class: "decisions" },
    h("thead", null, h("tr", null, ["Time", "Outcome", "Question", "Reason"].map((name) => h("th", { scope: "col" }, name)),
      ["Cosine", "Lookup"].map((name) => h("th", { scope: "col", class: "num" }, name)), h("th", { scope: "col" }, "Engine"))),
    h("tbody", null, shown.map((one) => row(one, context)))));
}

function row(one, context) {
  const open = one.entry_id ? () => openEntry(one.entry_id, { ...context, question: one.question || undefined }) : null;
  const question = one.question ? h("span", { class: "clip" }, one.question) : h("span", { class: "muted" }, "not shown");
  return h("tr", { class: open ? "go" : null, onclick: open },
    h("td", { class: "when", title: date(one.at) }, clockSeconds(one.at)),
    h("td", { class: "what" }, badge(one.outcome)),
    h("td", { class: "asked" }, open ? h("button", { class: "cellbutton", type: "button", "aria-label": `Why: ${one.question || "this decision"}` }, question) : question,
      h("span", { class: "sub" }, `tenant ${tenantName(one.tenant)}`)),
    h("td", { class: "why" }, one.reason || NONE),
    h("td", { class: "num sim" }, one.tier === "exact" ? NONE : cosine(one.similarity)),
    h("td", { class: "num took" }, ms(one.lookup_ms)),
    h("td", { class: "who" }, one.answerer || NONE));
}
