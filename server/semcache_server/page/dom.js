// Elements made of values. Text becomes text nodes only: nothing here ever parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (one instanceof Node ? one : String(one))));
  return node;
}

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

export function show(node, ...children) {
  node.replaceChildren();
  return fill(node, null, children);
}

// An icon of strokes in a 24 × 24 box.
export function icon(...paths) {
  return s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, paths.map((d) => s("path", { d })));
}

export const ICONS = {
  auto: ["M4 5h16v11H4z", "M9 20h6", "M12 16v4"],
  light: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z", "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4"],
  dark: ["M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z"],
  lock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 7 0v3"],
  close: ["M6 6l12 12M18 6 6 18"],
};

export function card(title, { side = null, sub = null, label = null } = {}, ...children) {
  return h("section", { class: "card", "aria-label": label ?? title },
    h("header", null, h("h2", null, title), sub && h("span", { class: "sub" }, sub), side && h("div", { class: "side" }, side)),
    ...children);
}

export function empty(title, text) {
  return h("div", { class: "empty" }, h("strong", null, title), text && h("span", null, text));
}

export function problem(error) {
  return h("p", { class: "error", role: "alert" }, error.message ?? String(error));
}

export function badge(outcome) {
  return h("span", { class: `badge c-${outcome}` }, OUTCOMES[outcome] ?? outcome);
}

export const OUTCOMES = {
  hit: "Exact hit", semantic: "Semantic hit", coalesced: "Shared in flight", stale: "Stale answer", miss: "Miss", bypass: "Bypass",
};

// One of several values; `pick` is called with the one that is chosen.
export function segments(label, options, chosen, pick) {
  const buttons = Object.entries(options).map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
      for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset.value === value));
      pick(value);
    }, "data-value": value }, text));
  return h("div", { class: "seg", role: "group", "aria-label": label }, buttons);
}

export function toast(text) {
  const one = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(one);
  setTimeout(() => one.remove(), 4500);
}
