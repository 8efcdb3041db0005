// Ask a question, and watch which layer answers it: with the cache, without, or both at once.

import { chat, get } from "./api.js";
import { badge, card, empty, h, problem, show } from "./dom.js";
import { openEntry } from "./entry.js";
import { cosine, count, duration, ms, NONE, usd } from "./format.js";

const STATUS = { HIT: "hit", SEMANTIC_HIT: "semantic", COALESCED: "coalesced", STALE: "stale", MISS: "miss", BYPASS: "bypass" };
const engines = new Map();
const kept = { question: "", system: "", key: "", model: "", cache: "with", knowledge: true };

export function ask(node, context) {
  const results = h("div", { class: "results" }, empty("Nothing asked yet", "Ask the same question twice, then in other words, and compare."));
  const form = asking(context, (runs) => {
    if (!results.querySelector(".run")) show(results);
    const row = h("div", { class: runs.length > 1 ? "pair" : "single" }, runs.map((run) => run.card));
    results.prepend(row);
    for (const run of runs) run.go();
  });
  node.append(card("Ask", { sub: "what is asked here is answered, counted and stored as any request" }, form), results);
}

function asking(context, start) {
  const question = h("textarea", { id: "question", rows: 3, required: true, placeholder: "How long is the warranty?", oninput: () => { kept.question = question.value; } });
  question.value = kept.question;
  const model = h("select", { onchange: () => { kept.model = model.value; } });
  const cache = h("select", { onchange: () => { kept.cache = cache.value; } },
    [["with", "with the cache"], ["without", "without (no-cache)"], ["both", "both, side by side"]].map(([value, name]) => h("option", { value }, name)));
  cache.value = kept.cache;
  const knowledge = h("input", { type: "checkbox", checked: kept.knowledge, onchange: () => { kept.knowledge = knowledge.checked; } });
  const system = h("input", { value: kept.system, placeholder: "none", oninput: () => { kept.system = system.value; } });
  const key = h("input", { type: "password", value: kept.key, autocomplete: "off", placeholder: "the admin’s own tenant", oninput: () => { kept.key = key.value; } });
  const told = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "primary" }, "Ask");
  const form = h("form", { class: "stack ask-form", onsubmit: (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (!text) return;
    const one = { question: text, system: system.value.trim(), model: model.value, key: key.value.trim(), knowledge: knowledge.checked };
    const modes = cache.value === "both" ? ["with", "without"] : [cache.value];
    start(modes.map((mode) => run({ ...one, cached: mode === "with" }, context)));
  } },
  h("label", { class: "field", for: "question" }, h("span", null, "Question"), question),
  h("div", { class: "options" },
    h("label", { class: "field" }, h("span", null, "Model"), model),
    h("label", { class: "field" }, h("span", null, "Cache"), cache),
    h("label", { class: "field" }, h("span", null, "System prompt"), system),
    h("label", { class: "field" }, h("span", null, "API key, to ask as its tenant"), key)),
  told,
  h("div", { class: "row" }, button, h("label", { class: "check" }, knowledge, "Answer from the documents")));
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) form.requestSubmit();
  });
  models(model, context).catch((error) => { if (error.name !== "AbortError") show(told, problem(error)); });
  return form;
}

async function models(select, { signal }) {
  const { answerers } = await get("/v1/cache/stats", { minutes: 1 }, signal);
  const listed = await get("/v1/models", {}, signal).catch(() => ({ data: [] }));
  const own = answerers.flatMap((one) => one.models.filter((name) => !name.includes("*")).map((name) => [name, one.name]));
  const others = listed.data.filter((one) => one.owned_by !== "semcache").map((one) => [one.id, one.owned_by]);
  for (const [name, who] of [...others, ...own]) engines.set(name, who);
  const every = [...new Map([...others, ...own])].sort(([a], [b]) => own.some(([name]) => name === b) - own.some(([name]) => name === a));
  select.append(...every.map(([name, who]) => h("option", { value: name }, who ? `${name} (${who})` : name)));
  if (every.some(([name]) => name === kept.model)) select.value = kept.model;
}

// ------------------------------------------------------------------------------------- one answer

function run(asked, context) {
  const state = { engine: engines.get(asked.model) ?? "engine", started: 0, text: "", headers: null, first: null, done: null, sources: [], usage: null };
  const path = h("ol", { class: "path", "aria-label": "Layers" });
  const answer = h("div", { class: "answer text", "aria-live": "polite" });
  const facts = h("div", { class: "run-facts" });
  const sources = h("div");
  const where = [asked.model, asked.cached ? "with the cache" : "without the cache", asked.knowledge ? null : "without the documents"].filter(Boolean).join(" · ");
  const made = h("article", { class: "card run" }, h("header", null, h("h2", { class: "clip" }, asked.question), h("span", { class: "sub" }, where)), path, answer, sources, facts);
  const draw = () => {
    show(path, layers(state));
    show(facts, told(state, context));
  };
  const go = async () => {
    state.started = performance.now();
    draw();
    const ticking = setInterval(draw, 100);
    try {
      await chat(body(asked), {
        key: asked.key, signal: context.signal, headers: asked.cached ? {} : { "cache-control": "no-cache" },
        begun: (headers) => { state.headers = headers; draw(); },
        told: (event) => heard(event, state, answer, sources),
      });
      state.done = performance.now();
      if (!state.text) show(answer, h("span", { class: "muted" }, "The answer has no text."));
    } catch (error) {
      if (error.name !== "AbortError") { state.failed = true; state.done = performance.now(); answer.after(problem(error)); }
    } finally {
      clearInterval(ticking);
      answer.classList.remove("writing");
      draw();
    }
  };
  answer.classList.add("writing");
  return { card: made, go };
}

function body({ question, system, model, knowledge }) {
  const messages = [...(system ? [{ role: "system", content: system }] : []), { role: "user", content: question }];
  return { model, messages, stream: true, stream_options: { include_usage: true }, ...(knowledge ? {} : { knowledge: false }) };
}

function heard(event, state, answer, sources) {
  const text = event.choices?.[0]?.delta?.content ?? "";
  if (text && state.first === null) state.first = performance.now();
  if (text) answer.append(text);
  state.text += text;
  state.usage = event.usage ?? state.usage;
  const citations = event.citations ?? event.choices?.[0]?.delta?.citations;
  if (Array.isArray(citations) && citations.length) show(sources, cited(citations));
}

function cited(citations) {
  return h("div", { class: "cited" }, h("h3", null, "Sources"), h("ul", null, citations.map((one) => h("li", null,
    h("span", { class: "strong" }, typeof one === "string" ? one : one.document ?? "document"), one.heading ? h("span", { class: "muted" }, ` ${one.heading}`) : null,
    one.text ? h("details", null, h("summary", null, "Passage"), h("p", { class: "quote text" }, one.text)) : null))));
}

// Which layers were asked, and which one answered.
function layers({ headers, done, failed, engine: named }) {
  const status = headers?.get("x-semcache-status") ?? null;
  const outcome = STATUS[status] ?? null;
  const engine = headers?.get("x-semcache-answerer") || named;
  const waiting = headers === null && done === null;
  const at = { hit: 0, stale: 0, semantic: 1, coalesced: 2, miss: 2, bypass: 2 }[outcome] ?? (failed ? 2 : -1);
  const passed = outcome === "bypass" ? "skipped" : "passed";
  return [["Exact", "same request"], ["Semantic", "other words"], [outcome === "coalesced" ? "In flight" : `Engine`, outcome === "coalesced" ? "shared" : engine]].map(([name, sub], place) => {
    const kind = waiting || at < 0 ? "waiting" : place < at ? passed : place === at ? (failed ? "failed" : "answered") : "idle";
    return h("li", { class: `${kind} ${kind === "answered" ? `c-${outcome}` : ""}` }, h("b", null, name), h("span", { class: "sub" }, kind === "skipped" ? "not asked" : kind === "idle" ? "not needed" : sub),
      kind === "answered" ? h("span", { class: "sr" }, "answered") : null);
  });
}

function told({ headers, started, first, done, usage }, context) {
  const now = done ?? performance.now();
  const status = headers?.get("x-semcache-status");
  const entry = headers?.get("x-semcache-entry-id");
  const similarity = headers?.get("x-semcache-similarity");
  const detail = /detail=(?:"([^"]*)"|([^;]+))/.exec(headers?.get("cache-status") ?? "");
  const saved = headers?.get("x-semcache-saved");
  const rows = [
    ["Outcome", status ? badge(STATUS[status] ?? status) : NONE],
    ["First word", first === null ? NONE : duration((first - started) / 1000)],
    [done === null ? "So far" : "Whole answer", started ? duration((now - started) / 1000) : NONE],
    similarity ? ["Cosine", cosine(Number(similarity))] : null,
    usage ? ["Tokens", `${usage.prompt_tokens} in, ${usage.completion_tokens} out`] : null,
    saved ? ["Saved", savedOf(saved)] : null,
    detail ? ["Reason", (detail[1] ?? detail[2]).replaceAll(";", " · ")] : null,
    entry ? ["Entry", h("button", { type: "button", class: "link", onclick: () => openEntry(Number(entry), context) }, `${entry}: why`)] : null,
  ];
  return h("dl", { class: "inline-facts" }, rows.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

// Of `tokens=138, usd-micros=84, ms=986`.
function savedOf(header) {
  const found = Object.fromEntries(header.split(",").map((one) => one.trim().split("=")));
  const said = [found.tokens && `${count(Number(found.tokens))} tokens`, found["usd-micros"] && usd(Number(found["usd-micros"]) / 1e6), found.ms && ms(Number(found.ms))];
  return said.filter(Boolean).join(" · ") || header;
}
