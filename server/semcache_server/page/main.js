// The page's frame: the key, the views, the colours.

import { ask } from "./ask.js";
import { ApiError, forgetKey, keepKey, get, takeKey } from "./api.js";
import { decisions } from "./decisions.js";
import { h, icon, ICONS, problem, show } from "./dom.js";
import { entries } from "./entries.js";
import { overview } from "./overview.js";
import { learnTenants } from "./tenants.js";

const VIEWS = { overview: ["Overview", overview], decisions: ["Decisions", decisions], entries: ["Entries", entries], ask: ["Ask", ask] };
const EVERY_MS = 4000;

const main = document.getElementById("main");
const tabs = document.getElementById("tabs");
const live = document.getElementById("live");
const lock = document.getElementById("lock");

let stop = null;
let inside = false;

// --------------------------------------------------------------------------------------- views

function wanted() {
  const name = location.hash.slice(1);
  return name in VIEWS ? name : "overview";
}

// Calls `read` now and then while its view is shown and the page can be seen.
function polling(read, signal) {
  let timer = 0;
  const round = async () => {
    try {
      if (document.visibilityState === "visible") {
        await read();
        said(true);
      }
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      if (error.status === 401 || error.status === 403) { unlock(error); return; }
      said(false, error);
    }
    if (!signal.aborted) timer = setTimeout(round, EVERY_MS);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  round();
}

function said(good, error) {
  live.hidden = false;
  live.classList.toggle("off", !good);
  const text = good ? "Live" : error instanceof ApiError && error.status ? "The server reports an error" : "No connection, trying again";
  if (live.textContent !== text) live.textContent = text;
  live.title = good ? "" : error.message;
}

function open() {
  const name = wanted();
  stop?.abort();
  stop = new AbortController();
  const { signal } = stop;
  for (const tab of tabs.children) {
    if (tab.hash === `#${name}`) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[name][0]} · semcache`;
  const body = h("div", { class: `view view-${name}` }, h("h1", { class: "sr" }, VIEWS[name][0]));
  show(main, body);
  scrollTo(0, 0);
  VIEWS[name][1](body, { signal, poll: (read) => polling(read, signal), fail: (error) => failed(body, error, signal) });
}

// What a view does with an error that it cannot show better.
function failed(node, error, signal) {
  if (error.name === "AbortError" || signal.aborted) return;
  if (error.status === 401 || error.status === 403) unlock(error);
  else node.append(problem(error));
}

function enter() {
  tabs.hidden = lock.hidden = false;
  if (!tabs.children.length) show(tabs, Object.entries(VIEWS).map(([name, [text]]) => h("a", { href: `#${name}` }, text)));
  inside = true;
  learnTenants().catch(() => {}).finally(open);
}

// Another view, or an address with a key that was pasted over this one.
addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("key") && takeKey()) enter();
  else if (inside) open();
});

// ----------------------------------------------------------------------------------------- key

function unlock(error) {
  stop?.abort();
  forgetKey();
  inside = false;
  tabs.hidden = lock.hidden = live.hidden = true;
  document.querySelectorAll("dialog[open]").forEach((one) => one.close());
  document.title = "semcache";
  const input = h("input", { type: "password", id: "key", name: "key", autocomplete: "off", required: true, spellcheck: "false", placeholder: "sk-semcache-admin-…" });
  const told = h("div", { class: "unlock-told", "aria-live": "polite" }, error ? problem(error) : null);
  const button = h("button", { class: "primary", type: "submit" }, "Open the dashboard");
  const form = h("form", { class: "card unlock", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    keepKey(input.value.trim());
    try {
      await get("/cache/ping");
      enter();
    } catch (failure) {
      forgetKey();
      show(told, problem(failure));
      button.disabled = false;
      input.focus();
    }
  } },
  h("h1", null, "Admin key"),
  h("p", { class: "muted" }, "Run ", h("code", null, "semcache dashboard"), " on the server’s machine: it prints this page’s address with the key in it."),
  h("label", { class: "field", for: "key" }, h("span", null, "Key"), input), told, button);
  show(main, form);
  input.focus();
}

lock.append(icon(...ICONS.lock));
lock.addEventListener("click", () => unlock(null));

// ------------------------------------------------------------------------------------- colours

const theme = document.getElementById("theme");
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SAID = { auto: "as the system", light: "light", dark: "dark" };

function paint() {
  const chosen = localStorage.getItem("semcache-theme") ?? "auto";
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  show(theme, icon(...ICONS[chosen]));
  theme.setAttribute("aria-label", `Colours: ${SAID[chosen]}`);
  theme.title = `Colours: ${SAID[chosen]}`;
}

theme.addEventListener("click", () => {
  localStorage.setItem("semcache-theme", NEXT[localStorage.getItem("semcache-theme") ?? "auto"]);
  paint();
});
paint();

if (takeKey()) enter();
else unlock(null);
