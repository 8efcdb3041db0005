// One entry: what it says, whose it is, what can be done with it, and why it is served.

import { get, post, send } from "./api.js";
import { confirmBox, sideBox } from "./dialogs.js";
import { h, problem, show, toast } from "./dom.js";
import { condition } from "./entries.js";
import { ago, count, date, duration } from "./format.js";
import { tenantName } from "./tenants.js";
import { why } from "./why.js";

// `question`: another wording to explain; `changed` is called after the entry was.
export function openEntry(id, { signal, question, changed = () => {} }) {
  const body = h("div", { class: "stack" }, h("p", { class: "note" }, "Loading…"));
  const footer = h("div", { class: "row wide" });
  const box = sideBox(`Entry ${id}`, body, footer);
  signal?.addEventListener("abort", () => box.close());
  load(id, { body, footer, box, changed, question });
  return box;
}

async function load(id, parts) {
  try {
    const entry = await get(`/v1/cache/entries/${id}`);
    render(entry, parts);
  } catch (error) {
    show(parts.footer);
    show(parts.body, error.status === 404 ? h("p", { class: "note" }, "This entry is no longer there: it was deleted, replaced or evicted.") : problem(error));
  }
}

function render(entry, parts) {
  const asked = parts.question ?? entry.question;
  const reasons = h("div", { class: "stack" });
  show(parts.body,
    h("section", { class: "stack tight" }, h("h3", null, "Question"), h("div", { class: "quote text" }, entry.question ?? "This entry answers an equal request only.")),
    h("section", { class: "stack tight" }, h("h3", null, "Answer"), h("div", { class: "quote text" }, entry.answer || "No text; see the whole response below.")),
    facts(entry),
    entry.question === null ? null : h("section", { class: "stack tight" }, h("h3", null, "Why"), tryOut(entry.id, asked, reasons), reasons),
    h("details", null, h("summary", null, "Whole response"), h("pre", { class: "quote" }, JSON.stringify(entry.completion, null, 2))));
  buttons(entry, parts);
  if (entry.question !== null) explain(entry.id, asked, reasons);
}

function facts(entry) {
  const rows = [
    ["State", condition(entry)],
    ["Model", entry.model], ["Engine", entry.answerer || "–"], ["Tenant", tenantName(entry.tenant) === entry.tenant.slice(0, 8) ? h("code", null, entry.tenant) : [tenantName(entry.tenant), " ", h("code", { class: "muted" }, entry.tenant)]],
    entry.namespace && ["Namespace", entry.namespace],
    ["Stored", `${date(entry.created_at)}, ${ago(entry.age_s)}`],
    ["Expires", entry.expires_at === null ? "never" : date(entry.expires_at)],
    ["Hits", entry.hits ? `${count(entry.hits)}, last ${date(entry.used_at)}` : "none yet"],
    ["Took to make", entry.cost_s ? duration(entry.cost_s) : "–"],
    entry.sources ? ["Sources", `${count(entry.sources)} documents`] : null,
    ["Key", h("code", null, entry.key.slice(0, 32))],
    ["Scope", h("code", null, entry.scope.scope)],
  ];
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}

function tryOut(id, asked, reasons) {
  const input = h("input", { class: "grow", value: asked, "aria-label": "A wording to try in this entry’s scope" });
  return h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); explain(id, input.value.trim(), reasons); } },
    input, h("button", { type: "submit" }, "Try this wording"));
}

async function explain(id, question, node) {
  show(node, h("p", { class: "muted" }, "Asking the layers…"));
  try {
    show(node, why(await post(`/v1/cache/entries/${id}/explain`, question ? { question } : {}), id));
  } catch (error) {
    show(node, problem(error));
  }
}

function buttons(entry, parts) {
  const held = entry.condition === "quarantined";
  const act = async (verb, text) => {
    try {
      await post(`/v1/cache/entries/${entry.id}/${verb}`, {});
      toast(text);
      parts.changed();
      await load(entry.id, parts);
    } catch (error) {
      toast(error.message);
    }
  };
  const remove = () => confirmBox("Delete this entry?", h("p", null, "The answer is gone for every process; the next request asks anew."), "Delete", async () => {
    await send("DELETE", `/v1/cache/entries/${entry.id}`);
    toast("Entry deleted");
    parts.changed();
    parts.box.close();
    return true;
  }, "danger");
  show(parts.footer,
    held ? h("button", { type: "button", onclick: () => act("release", "Serves again") }, "Release")
      : h("button", { type: "button", onclick: () => act("quarantine", "Kept, and never served") }, "Quarantine"),
    h("span", { class: "end" }, h("button", { type: "button", class: "danger", onclick: remove }, "Delete…")));
}
