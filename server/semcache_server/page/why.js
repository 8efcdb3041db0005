// An explanation of the layers, for people.

import { badge, h } from "./dom.js";
import { cosine, duration, percent } from "./format.js";

export function why(told, own) {
  const { decision, exact, encoding, candidates, elsewhere, withdrawn, timeliness } = told;
  return h("div", { class: "why-told stack" },
    verdict(decision),
    h("ol", { class: "steps" },
      step("Exact", exact ? (exact.refused ?? "the same request is stored") : "no equal request is stored", exact && !exact.refused),
      encoding ? step("Meaning", encoding.unfit ? `not matched: ${encoding.unfit}` : `${encoding.tokens} tokens, ${percent(encoding.unknown_share, 0)} of them unknown`, !encoding.unfit) : null,
      timeliness.kind === "lasting" ? null : step("Time", `the answer is ${timeliness.kind}`, false),
      withdrawn.map((one) => step("Feedback", `entry ${one.entry_id} was called wrong for this question`, false))),
    candidates.length ? h("div", { class: "stack" }, h("h3", null, "Nearest in this scope"), candidates.map((one) => candidate(one, own))) : null,
    elsewhere.length ? h("div", { class: "stack tight" }, h("h3", null, "Nearby, but kept apart"), elsewhere.map((one) => h("p", { class: "muted" }, one.said))) : null);
}

function verdict(decision) {
  const outcome = decision.outcome === "hit" ? (decision.tier === "exact" ? "hit" : "semantic") : decision.outcome;
  const numbers = [["cosine", decision.similarity ?? decision.nearest], ["threshold", decision.threshold], ["score", decision.score]]
    .filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => `${name} ${cosine(value)}`);
  return h("p", { class: "row verdict" }, badge(outcome), decision.reason !== decision.tier && h("span", null, decision.reason), h("span", { class: "sub" }, numbers.join(" · ")));
}

function step(name, text, good) {
  return h("li", { class: good ? "good" : null }, h("b", null, name), " ", h("span", { class: "muted" }, text));
}

function candidate(one, own) {
  const { verifier } = one;
  const features = verifier ? Object.entries(verifier.features).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`) : [];
  return h("article", { class: "candidate" },
    h("p", { class: "row" }, h("b", { class: "sim-number" }, cosine(one.similarity)),
      h("span", { class: "meter" }, h("i", { style: { width: `${Math.max(0, 100 * one.similarity)}%` } })),
      h("span", { class: one.refused ? "pill warn" : "pill good" }, one.refused ?? "may answer")),
    h("p", { class: "text" }, one.question),
    h("p", { class: "sub" }, `entry ${one.entry_id}${one.entry_id === own ? " (this one)" : ""}, ${duration(one.age_s)} old${one.alias ? ", by a further question" : ""}`),
    one.guards.map((guard) => h("p", { class: "guard" }, h("span", { class: guard.on ? "pill bad" : "pill" }, guard.on ? guard.guard : `${guard.guard}, off`), " ", guard.reason)),
    verifier && h("p", { class: "guard" }, h("span", { class: verifier.serve ? "pill good" : "pill warn" }, `verifier ${verifier.score.toFixed(2)}`), ` ${verifier.reason}${verifier.alone ? ", judged alone" : ""}`),
    features.length ? h("p", { class: "sub" }, features.join(" · ")) : null);
}
