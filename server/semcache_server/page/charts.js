// Charts drawn as SVG in the width that they have, again whenever it changes.

import { h, s, show } from "./dom.js";

const tip = () => document.getElementById("tip") ?? document.body.appendChild(h("div", { id: "tip", class: "tip", hidden: true, role: "presentation" }));

function point(event, lines) {
  const node = tip();
  show(node, lines);
  node.hidden = false;
  const box = node.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - box.width - 8);
  const y = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
  Object.assign(node.style, { left: `${Math.max(8, x)}px`, top: `${Math.max(8, y)}px` });
}

const unpoint = () => { tip().hidden = true; };

// A figure that redraws itself. `draw(width)` gives an SVG; `label` says in words what it shows.
export function figure(label, draw) {
  const node = h("figure", { class: "chart" });
  let width = 0;
  const redraw = () => { if (width > 0) { const made = draw(width); made.setAttribute("role", "img"); made.setAttribute("aria-label", label); show(node, made); } };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now !== width) { width = now; redraw(); }
  }).observe(node);
  return node;
}

function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((one) => one * power).find((step) => step >= rough) ?? rough;
}

function yTicks(high, most = 4) {
  const step = niceStep(high, most);
  const ticks = [];
  for (let at = 0; at < high + step * 0.999; at += step) ticks.push(at);
  return ticks;
}

const ROUND_S = [300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
const TOP = 10;
const BOTTOM = 22;

function frame(width, height, left, ticks, y, tick) {
  return [
    ticks.map((one) => s("line", { class: one === 0 ? "axis" : "grid", x1: left, x2: width, y1: y(one), y2: y(one) })),
    ticks.map((one) => s("text", { class: "tick", x: left - 8, y: y(one) + 4, "text-anchor": "end" }, tick(one))),
  ];
}

function timeAxis(width, height, left, buckets, clock) {
  const most = Math.max(2, Math.floor((width - left) / 80));
  const span = buckets.length * buckets[0].size;
  const every = ROUND_S.find((one) => span / one <= most) ?? ROUND_S.at(-1);
  const step = (width - left) / buckets.length;
  const zone = 60 * new Date().getTimezoneOffset();
  return buckets.map((bucket, at) => {
    const x = left + at * step;
    return (bucket.at - zone) % every === 0 && x + 34 < width ? s("text", { class: "tick", x, y: height - 5 }, clock(bucket.at)) : null;
  });
}

// Pointing at a bucket, with the mouse or with the arrow keys.
function pointing(svg, { width, height, left, buckets, lines }) {
  const step = (width - left) / buckets.length;
  const mark = s("rect", { class: "cursor", y: TOP, height: height - TOP - BOTTOM, width: Math.max(1, step), visibility: "hidden" });
  let at = buckets.length - 1;
  const go = (event) => {
    mark.setAttribute("x", left + at * step);
    mark.setAttribute("visibility", "visible");
    point(event, lines(buckets[at]));
  };
  const leave = () => { mark.setAttribute("visibility", "hidden"); unpoint(); };
  svg.prepend(mark);
  svg.addEventListener("pointermove", (event) => {
    const x = event.clientX - svg.getBoundingClientRect().left;
    at = Math.min(buckets.length - 1, Math.max(0, Math.floor((x - left) / step)));
    go(event);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    at = Math.min(buckets.length - 1, Math.max(0, at + by));
    const box = svg.getBoundingClientRect();
    go({ clientX: box.left + left + (at + 0.5) * step, clientY: box.top + height / 2 });
  });
}

const canvas = (width, height) => s("svg", { width, height, viewBox: `0 0 ${width} ${height}` });

// Bars of several series on top of each other. `series`: [{name, of(bucket)}].
export function stacked(label, buckets, series, { height = 180, tick, clock, lines }) {
  const high = Math.max(1e-9, ...buckets.map((bucket) => series.reduce((sum, one) => sum + one.of(bucket), 0)));
  return figure(label, (width) => {
    const ticks = yTicks(high);
    const left = 12 + 7 * Math.max(...ticks.map((one) => tick(one).length));
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / ticks.at(-1));
    const step = (width - left) / buckets.length;
    const gap = step > 5 ? 1.5 : 0.5;
    const svg = canvas(width, height);
    svg.append(...frame(width, height, left, ticks, y, tick).flat(), ...timeAxis(width, height, left, buckets, clock).filter(Boolean));
    buckets.forEach((bucket, at) => {
      let below = 0;
      for (const one of series) {
        const value = one.of(bucket);
        if (!value) continue;
        svg.append(s("rect", { class: `s-${one.name}`, x: left + at * step + gap / 2, width: Math.max(0.8, step - gap), y: y(below + value), height: Math.max(0.6, y(below) - y(below + value)) }));
        below += value;
      }
    });
    pointing(svg, { width, height, left, buckets, lines });
    return svg;
  });
}

// A line of values, with gaps where a bucket has none; the area below it is tinted.
export function line(label, buckets, of, { height = 180, high = null, tick, clock, lines, name = "hit" }) {
  const found = buckets.map(of).filter((value) => value !== null);
  return figure(label, (width) => {
    const ticks = yTicks(high ?? Math.max(1e-9, ...found));
    const left = 12 + 7 * Math.max(...ticks.map((one) => tick(one).length));
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / ticks.at(-1));
    const step = (width - left) / buckets.length;
    const svg = canvas(width, height);
    svg.append(...frame(width, height, left, ticks, y, tick).flat(), ...timeAxis(width, height, left, buckets, clock).filter(Boolean));
    for (const run of runs(buckets.map(of))) {
      const at = run.map(([place, value]) => `${(left + (place + 0.5) * step).toFixed(1)} ${y(value).toFixed(1)}`);
      if (run.length === 1) {
        const [x, top] = at[0].split(" ");
        svg.append(s("circle", { class: `s-${name}`, cx: x, cy: top, r: 3 }));
        continue;
      }
      const first = at[0].split(" ")[0];
      const last = at.at(-1).split(" ")[0];
      svg.append(s("path", { class: `a-${name}`, d: `M${first} ${y(0)}L${at.join("L")}L${last} ${y(0)}Z` }), s("path", { class: `l-${name}`, d: `M${at.join("L")}` }));
    }
    pointing(svg, { width, height, left, buckets, lines });
    return svg;
  });
}

function runs(values) {
  const found = [];
  let open = null;
  values.forEach((value, at) => {
    if (value === null) { open = null; return; }
    if (!open) found.push(open = []);
    open.push([at, value]);
  });
  return found;
}

export { canvas, point, unpoint, yTicks };
