// Numbers with their units, as short as they can be read.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const NONE = "–";

export function count(value) {
  return value >= 100_000 ? compact.format(value) : whole.format(value);
}

export function percent(share, digits = 1) {
  if (share === null || share === undefined || Number.isNaN(share)) return NONE;
  return share === 0 || share === 1 ? `${100 * share} %` : `${(100 * share).toFixed(digits)} %`;
}

function digits(value) {
  return value >= 100 ? 0 : value >= 10 ? 1 : 2;
}

function plain(value, most) {
  return String(Number(value.toFixed(most)));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${plain(1e6 * seconds, 0)} µs`;
  if (seconds < 1) return `${plain(1e3 * seconds, digits(1e3 * seconds))} ms`;
  if (seconds < 120) return `${plain(seconds, digits(seconds))} s`;
  if (seconds < 7200) return `${plain(seconds / 60, 1)} min`;
  if (seconds < 172_800) return `${plain(seconds / 3600, 1)} h`;
  return `${plain(seconds / 86_400, 1)} days`;
}

export const ms = (value) => duration(value === null || value === undefined ? value : value / 1e3);

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let left = value;
  while (left >= 1000 && at < units.length - 1) { left /= 1000; at += 1; }
  return `${plain(left, at === 0 || left >= 100 ? 0 : 1)} ${units[at]}`;
}

export function usd(value) {
  if (value === 0) return "$0";
  if (value < 0.01) return `$${value.toFixed(5)}`;
  if (value < 100) return `$${value.toFixed(2)}`;
  return `$${count(value)}`;
}

export function cosine(value) {
  return value === null || value === undefined ? NONE : value.toFixed(3);
}

export function ago(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

const hours = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dated = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export const clock = (at) => hours.format(new Date(1000 * at));
export const clockSeconds = (at) => exact.format(new Date(1000 * at));
export const date = (at) => dated.format(new Date(1000 * at));

export const short = (digest) => (/^[0-9a-f]{32,}$/.test(digest) ? digest.slice(0, 8) : digest);
