// Charts of distributions: cosines around the threshold, times by tier.

import { canvas, figure, point, unpoint, yTicks } from "./charts.js";
import { h, s } from "./dom.js";
import { count, duration, ms } from "./format.js";

// Buckets side by side, each as wide as the others: their bounds stand between them.
export function cosines(similarity) {
  const { bounds, served, nearest_of_misses: missed, threshold } = similarity;
  const edges = [bounds[0] - 0.1, ...bounds];
  const buckets = bounds.map((_, at) => ({ low: edges[at], high: edges[at + 1], served: served[at], missed: missed[at] }));
  buckets.at(-1).served += served.at(-1);
  buckets.at(-1).missed += missed.at(-1);
  const high = Math.max(1, ...buckets.map((one) => one.served + one.missed));
  const label = `Cosines: ${count(sum(served))} served near-duplicates and ${count(sum(missed))} nearest entries of misses, threshold ${threshold.toFixed(2)}`;
  return figure(label, (width) => {
    const height = 208;
    const top = 26;
    const bottom = 24;
    const ticks = yTicks(high, 3);
    const left = 12 + 7 * Math.max(...ticks.map((one) => count(one).length));
    const y = (value) => top + (height - top - bottom) * (1 - value / ticks.at(-1));
    const step = (width - left) / buckets.length;
    const svg = canvas(width, height);
    for (const one of ticks) {
      svg.append(s("line", { class: one === 0 ? "axis" : "grid", x1: left, x2: width, y1: y(one), y2: y(one) }),
        s("text", { class: "tick", x: left - 8, y: y(one) + 4, "text-anchor": "end" }, count(one)));
    }
    buckets.forEach((one, at) => {
      const x = left + at * step + 1.5;
      const wide = Math.max(1, step - 3);
      const bar = s("g", { class: "bars" },
        s("rect", { class: "hover", x: x - 1.5, y: top, width: step, height: height - top - bottom }),
        one.missed ? s("rect", { class: "s-miss", x, width: wide, y: y(one.missed), height: y(0) - y(one.missed) }) : null,
        one.served ? s("rect", { class: "s-semantic", x, width: wide, y: y(one.missed + one.served), height: y(one.missed) - y(one.missed + one.served) }) : null);
      bar.addEventListener("pointermove", (event) => point(event, [
        h("b", null, at === 0 ? `cosine up to ${one.high}` : `cosine ${one.low} to ${one.high}`),
        h("span", null, `${count(one.served)} served`), h("span", null, `${count(one.missed)} nearest of a miss`)]));
      bar.addEventListener("pointerleave", unpoint);
      svg.append(bar);
      const sparse = step < 34 && at % 2 === 0 && at !== buckets.length - 1;
      if (at > 0 && !sparse) svg.append(s("text", { class: "tick", x: left + at * step, y: height - 6, "text-anchor": "middle" }, String(one.low).replace("0.", ".")));
    });
    svg.append(s("text", { class: "tick", x: width, y: height - 6, "text-anchor": "end" }, "1"));
    const within = buckets.findIndex((one) => threshold <= one.high);
    const one = buckets[within];
    const x = left + step * (within + (threshold - one.low) / (one.high - one.low));
    const end = x > width * 0.6;
    svg.append(s("line", { class: "gate", x1: x, x2: x, y1: 8, y2: y(0) }),
      s("text", { class: "gate-text", x: end ? x - 6 : x + 6, y: 17, "text-anchor": end ? "end" : "start" }, `threshold ${threshold.toFixed(2)}`));
    return svg;
  });
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

const SCALE = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100];

// For each name: from p50 to p99 on a logarithmic scale, with p95 between them.
export function times(rows) {
  const height = 30 + 40 * rows.length;
  const label = rows.map((row) => `${row.name}: median ${ms(row.p50_ms)}, 95th percentile ${ms(row.p95_ms)}, 99th ${ms(row.p99_ms)}`).join("; ");
  const low = SCALE.findLast((one) => one <= Math.min(...rows.map((row) => row.p50_ms / 1e3))) ?? SCALE[0];
  const high = SCALE.find((one) => one >= Math.max(...rows.map((row) => row.p99_ms / 1e3))) ?? SCALE.at(-1);
  const scale = SCALE.filter((one) => one >= low && one <= Math.max(high, 10 * low));
  return figure(label, (width) => {
    const narrow = width < 480;
    const left = narrow ? 4 : 148;
    const right = 14;
    const x = (milliseconds) => {
      const share = (Math.log10(Math.max(1e-6, milliseconds / 1e3)) - Math.log10(scale[0])) / (Math.log10(scale.at(-1)) - Math.log10(scale[0]));
      return left + (width - left - right) * Math.min(1, Math.max(0, share));
    };
    const tall = narrow ? 52 : 40;
    const full = 30 + tall * rows.length;
    const svg = canvas(width, full);
    for (const one of scale) {
      const at = x(1e3 * one);
      svg.append(s("line", { class: "grid", x1: at, x2: at, y1: 0, y2: full - 22 }),
        s("text", { class: "tick", x: at, y: full - 5, "text-anchor": one === scale[0] ? "start" : one === scale.at(-1) ? "end" : "middle" }, duration(one)));
    }
    rows.forEach((row, at) => {
      const y = tall * at + (narrow ? 34 : 20);
      const [a, b, c] = [row.p50_ms, row.p95_ms, row.p99_ms].map(x);
      const group = s("g", { class: `c-${row.kind}` },
        s("rect", { class: "hover", x: 0, y: tall * at, width, height: tall }),
        s("text", { class: "name", x: narrow ? 4 : 0, y: narrow ? y - 12 : y + 4 }, row.name),
        s("line", { class: "span thin", x1: a, x2: Math.max(c, a + 1), y1: y, y2: y }),
        s("line", { class: "span", x1: a, x2: Math.max(b, a + 1), y1: y, y2: y }),
        s("circle", { class: "dot", cx: a, cy: y, r: 5 }));
      const room = c + 12 + 8 * ms(row.p50_ms).length < width;
      group.append(s("text", { class: "value", x: room ? c + 9 : a - 10, y: y + 4, "text-anchor": room ? "start" : "end" }, ms(row.p50_ms)));
      group.addEventListener("pointermove", (event) => point(event, [h("b", null, row.name),
        h("span", null, `median ${ms(row.p50_ms)}`), h("span", null, `95 % within ${ms(row.p95_ms)}`),
        h("span", null, `99 % within ${ms(row.p99_ms)}`), h("span", null, `${count(row.count)} measured`)]));
      group.addEventListener("pointerleave", unpoint);
      svg.append(group);
    });
    return svg;
  }, height);
}

// Names with counts, as bars of HTML.
export function bars(rows) {
  const high = Math.max(1, ...rows.map((row) => row.count));
  return h("ul", { class: "hbars" }, rows.map((row) => h("li", null,
    h("span", { class: "hbar-name", title: row.title ?? row.name }, row.name),
    h("span", { class: "hbar-value" }, row.value ?? count(row.count)),
    h("span", { class: `hbar c-${row.kind ?? "miss"}` }, h("i", { style: { width: `${Math.max(0.5, (100 * row.count) / high)}%` } })))));
}
