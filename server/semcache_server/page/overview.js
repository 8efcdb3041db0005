// What the cache does and saves: one look.

import { get } from "./api.js";
import { line, stacked } from "./charts.js";
import { badge, card, empty, h, OUTCOMES, segments, show } from "./dom.js";
import { ago, bytes, clock, count, date, duration, NONE, percent, usd } from "./format.js";
import { bars, cosines, times } from "./spreads.js";
import { tenantName } from "./tenants.js";

const RANGES = { 3600: "1 h", 21600: "6 h", 86400: "24 h" };
const BUCKETS = { 3600: 60, 21600: 300, 86400: 900 };
const ROLLING = 5;
const SERVED = ["hit", "semantic", "coalesced", "stale"];
const STACK = ["hit", "semantic", "coalesced", "stale", "miss", "bypass"];
const KINDS = { "lookup: exact": ["Exact hit", "hit"], "lookup: semantic": ["Semantic hit", "semantic"], "lookup: miss": ["Lookup of a miss", "miss"] };
const STAGES = { "stage: exact": "Read by key", "stage: encode": "Encode", "stage: search": "Search", "stage: judge": "Judge", "stage: store": "Store" };

const chosen = { range: "3600", saved: null, times: "tiers" };

export function overview(node, { poll, signal }) {
  const body = h("div", { class: "overview" }, h("p", { class: "note" }, "Loading…"));
  node.append(body);
  let told = null;
  const draw = () => render(body, told, draw, read);
  const read = async () => {
    const stats = await get("/v1/cache/stats", { minutes: Number(chosen.range) / 60 }, signal);
    const same = told && JSON.stringify({ ...stats, now: 0 }) === JSON.stringify({ ...told, now: 0 });
    const minute = told && Math.floor(stats.now / 60) === Math.floor(told.now / 60);
    told = stats;
    if (!same || !minute) draw();
  };
  poll(read);
}

function render(body, stats, draw, read) {
  const held = document.activeElement?.closest?.(".overview button")?.textContent;
  show(body, figures(stats), traffic(stats, draw, read), distributions(stats, draw), reasons(stats));
  if (held) [...body.querySelectorAll("button")].find((one) => one.textContent === held)?.focus();
}

// ------------------------------------------------------------------------------------- figures

function figures({ totals, store, priced, started_at: started, now, memory }) {
  const served = SERVED.reduce((sum, name) => sum + totals[name], 0);
  const tokens = totals.prompt_tokens + totals.completion_tokens;
  const tiles = [
    ["Hit rate", percent(totals.hit_rate), totals.hit_rate === null ? "no lookups yet" : `${count(served)} of ${count(served + totals.miss)} lookups`],
    ["Requests", count(totals.requests), `since ${since(started, now)}`],
    ["Money saved", priced ? usd(totals.usd) : NONE, priced ? "by the price list" : "no prices configured"],
    ["Tokens saved", count(tokens), `${count(totals.completion_tokens)} generated`],
    ["Waiting saved", duration(Math.round(totals.seconds * 10) / 10), "that answers took"],
    ["Entries", count(store.entries), `${bytes(store.bytes)}, ${count(memory.entries)} in memory`],
  ];
  return h("section", { class: "tiles", "aria-label": `Since the start, ${ago(now - started)}` },
    tiles.map(([name, value, sub], at) => h("div", { class: at === 0 ? "tile first" : "tile" },
      h("h3", null, name), h("p", { class: "big", "data-figure": name }, value), h("p", { class: "sub" }, sub))));
}

function since(started, now) {
  return now - started < 86_400 ? clock(started) : date(started).split(",").slice(0, 2).join(",");
}

// ------------------------------------------------------------------------------------- traffic

function bucketed(stats) {
  const span = Number(chosen.range);
  const size = BUCKETS[chosen.range];
  const end = Math.ceil((stats.now + 1) / size) * size;
  const buckets = Array.from({ length: span / size }, (_, at) => ({ at: end - span + at * size, size }));
  for (const minute of stats.timeline) {
    const bucket = buckets[Math.floor((minute.at - (end - span)) / size)];
    if (!bucket) continue;
    for (const [name, value] of Object.entries(minute)) if (name !== "at") bucket[name] = (bucket[name] ?? 0) + value;
  }
  let [dollars, tokens, seconds] = [0, 0, 0];
  for (const one of buckets) {
    one.served = SERVED.reduce((sum, name) => sum + (one[name] ?? 0), 0);
    one.asked = one.served + (one.miss ?? 0);
    one.rate = null;
    one.usd_total = dollars += one.usd ?? 0;
    one.tokens_total = tokens += (one.prompt_tokens ?? 0) + (one.completion_tokens ?? 0);
    one.seconds_total = seconds += one.seconds ?? 0;
  }
  buckets.forEach((one, at) => { one.rate = rateUntil(buckets, at); });
  return buckets;
}

// Of the last few buckets together, so that a quiet minute does not look like a change.
function rateUntil(buckets, at) {
  if (!buckets[at].asked && !buckets[at - 1]?.asked && !buckets[at + 1]?.asked) return null;
  const last = buckets.slice(Math.max(0, at - ROLLING + 1), at + 1);
  const asked = last.reduce((sum, one) => sum + one.asked, 0);
  return asked ? last.reduce((sum, one) => sum + one.served, 0) / asked : null;
}

const spanOf = (one) => h("b", null, `${clock(one.at)}–${clock(one.at + one.size)}`);

function traffic(stats, draw, read) {
  const buckets = bucketed(stats);
  const range = segments("Time shown", RANGES, chosen.range, (value) => {
    chosen.range = value;
    draw();
    read().catch(() => {}); // more of the past may be wanted; the next round says what is wrong
  });
  const total = buckets.reduce((sum, one) => sum + one.asked + (one.bypass ?? 0), 0);
  const seen = STACK.filter((name) => buckets.some((one) => one[name]));
  const none = () => empty("No requests in this time", "Charts fill as requests come in.");
  const requests = total === 0 ? none() : [
    stacked(`Requests by outcome, ${RANGES[chosen.range]}: ${count(total)}`, buckets, STACK.map((name) => ({ name, of: (one) => one[name] ?? 0 })), {
      tick: count, clock,
      lines: (one) => [spanOf(one), ...STACK.filter((name) => one[name]).map((name) => badgeLine(name, one[name]))],
    }),
    h("div", { class: "legend" }, seen.map(badge)),
  ];
  const rate = total === 0 ? none() : line(`Hit rate, ${RANGES[chosen.range]}`, buckets, (one) => one.rate, {
    high: 1, tick: (value) => `${Math.round(100 * value)} %`, clock,
    height: 210,
    lines: (one) => [spanOf(one), h("span", null, `hit rate ${percent(one.rate)} of the last ${duration(ROLLING * one.size)}`), h("span", null, `${count(one.served)} of ${count(one.asked)} lookups then`)],
  });
  return h("div", { class: "grid-2" },
    card("Hit rate", { side: range, sub: `over ${duration(ROLLING * BUCKETS[chosen.range])}` }, rate),
    card("Requests", { sub: total ? `${count(total)} in ${RANGES[chosen.range]}` : null }, requests),
    savings(stats, buckets, draw),
    latency(stats, draw));
}

function badgeLine(name, value) {
  return h("span", { class: "tip-row" }, h("span", { class: `badge c-${name}` }, OUTCOMES[name]), h("span", null, count(value)));
}

function savings(stats, buckets, draw) {
  const kinds = { usd: "Money", tokens: "Tokens", seconds: "Time" };
  if (!stats.priced) delete kinds.usd;
  if (!(chosen.saved in kinds)) chosen.saved = Object.keys(kinds)[0];
  const name = chosen.saved;
  const tick = { usd, tokens: count, seconds: duration }[name];
  const of = (one) => one[`${name}_total`];
  const side = segments("What was saved", kinds, name, (value) => { chosen.saved = value; draw(); });
  const total = of(buckets.at(-1));
  const chart = total === 0 ? empty("Nothing saved in this time", "Savings grow with every answer from the cache.") : line(
    `${kinds[name]} saved, added up over ${RANGES[chosen.range]}: ${tick(total)}`, buckets, of,
    { tick, clock, name: "semantic", height: Math.max(180, 30 + 40 * tierRows(stats).length), lines: (one) => [spanOf(one), h("span", null, `${tick(of(one))} saved until then`)] });
  return card("Saved", { side, sub: total ? `${tick(total)} in ${RANGES[chosen.range]}` : null }, chart);
}

// ------------------------------------------------------------------------------- distributions

function latency(stats, draw) {
  const side = segments("Times of", { tiers: "Tiers", stages: "Stages" }, chosen.times, (value) => { chosen.times = value; draw(); });
  const rows = tierRows(stats);
  return card("Latency", { side, sub: rows.length ? "median, to 95 % and 99 %" : null },
    rows.length ? times(rows) : empty("Nothing measured yet", "Times appear with the first requests."));
}

function tierRows(stats) {
  const rows = Object.entries(stats.latencies).filter(([, one]) => one.count > 0).map(([name, one]) => {
    if (name in KINDS) return { ...one, name: KINDS[name][0], kind: KINDS[name][1], tier: true };
    const [what, who] = name.split(": ");
    if (what === "stage") return { ...one, name: STAGES[name] ?? who, kind: "coalesced", tier: false };
    return { ...one, name: `${what === "answer" ? "Answer" : "First token"}, ${who}`, kind: "stale", tier: true };
  }).filter((one) => one.tier === (chosen.times === "tiers"));
  const order = [...Object.values(KINDS).map(([name]) => name), ...Object.values(STAGES)];
  const place = (one) => (order.includes(one.name) ? order.indexOf(one.name) : order.length);
  return rows.sort((a, b) => place(a) - place(b) || a.p50_ms - b.p50_ms);
}

function distributions(stats) {
  const { similarity } = stats;
  const compared = [...similarity.served, ...similarity.nearest_of_misses].some(Boolean);
  const histogram = !similarity.semantic ? empty("No semantic tier", "Evaluation is exact: nothing is compared by meaning.")
    : !compared ? empty("Nothing compared yet", "Cosines appear once a question meets a stored one.")
    : [cosines(similarity), h("div", { class: "legend" }, h("span", { class: "badge c-semantic" }, "Served"), h("span", { class: "badge c-miss" }, "Nearest entry of a miss"))];
  const sub = similarity.semantic ? `cosine; beyond the threshold ${similarity.verifier ? "guards and verifier" : "guards"} decide` : null;
  return h("div", { class: "grid-2" }, card("Similarity", { sub }, histogram), holdings(stats));
}

function holdings({ holdings: held, store, certificate }) {
  const { detail } = store;
  const rows = held.slice(0, 6).map((one) => ({ name: `${one.model} · ${tenantName(one.tenant)}`, title: `${one.model}, tenant ${one.tenant}`, count: one.entries, kind: "hit", value: `${count(one.entries)} · ${bytes(one.bytes)}` }));
  const facts = [["Quarantined", detail.quarantined], ["Expired", store.expired], ["Further questions", detail.aliases], ["Evicted", detail.evicted]]
    .filter(([, value]) => value !== undefined);
  return card("Stored", { sub: "by model and tenant" },
    rows.length ? bars(rows) : empty("The cache is empty", "Answers are stored as they are given."),
    h("dl", { class: "inline-facts" }, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, count(value))))),
    certificate && certified(certificate));
}

function certified(certificate) {
  const good = certificate.state === "certified";
  const said = certificate.threshold === null || certificate.threshold === undefined ? null : ` from ${Number(certificate.threshold).toFixed(3)}`;
  return h("div", { class: "certificate" }, h("h3", null, "Certificate"),
    h("p", { class: "row" }, h("span", { class: good ? "pill good" : "pill warn" }, certificate.state),
      h("span", { class: "sub" }, `at most ${percent(certificate.delta, 1)} wrong per ${certificate.per}${said ?? ""}, ${count(certificate.labels ?? 0)} labels`)));
}

// ------------------------------------------------------------------------------------- reasons

function reasons({ counters }) {
  const pick = (kind) => Object.entries(counters).filter(([name]) => name.startsWith(`${kind}: `))
    .map(([name, value]) => ({ name: name.slice(kind.length + 2), count: value, kind })).sort((a, b) => b.count - a.count).slice(0, 8);
  const missed = pick("miss");
  const bypassed = pick("bypass");
  const other = Object.entries(counters).filter(([name, value]) => value && !/^(hit|miss|bypass|saved|certificate): /.test(name))
    .map(([name, value]) => ({ name, count: value, kind: name.startsWith("failed") ? "stale" : "coalesced" }));
  return h("div", { class: "grid-3" },
    card("Why not from the cache", { sub: "misses" }, missed.length ? bars(missed) : empty("No misses yet")),
    card("Why around the cache", { sub: "bypasses" }, bypassed.length ? bars(bypassed) : empty("No request went around the cache")),
    card("What else happened", { sub: "events" }, other.length ? bars(other) : empty("Nothing out of the ordinary")));
}
