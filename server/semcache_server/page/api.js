// The server's routes. The key lies in this tab's storage and leaves it in one header only.

const KEPT = "semcache-admin-key";

export class ApiError extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// The key from the address, which it leaves at once, or from this tab.
export function takeKey() {
  const said = new URLSearchParams(location.hash.slice(1)).get("key");
  if (said) {
    sessionStorage.setItem(KEPT, said);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEPT);
}

export function keepKey(key) {
  sessionStorage.setItem(KEPT, key);
}

export function forgetKey() {
  sessionStorage.removeItem(KEPT);
}

async function failure(response) {
  const told = await response.json().catch(() => null);
  const error = told?.error ?? {};
  return new ApiError(response.status, error.message ?? `The server answered with status ${response.status}.`, error.code);
}

async function fetched(path, options, key) {
  // No `cache` option: fetch would say `Cache-Control: no-cache` for it, which this server obeys.
  const headers = { ...options.headers, authorization: `Bearer ${key ?? sessionStorage.getItem(KEPT) ?? ""}` };
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export async function get(path, query = {}, signal) {
  const said = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(said).toString();
  return (await fetched(search ? `${path}?${search}` : path, { signal })).json();
}

export async function send(method, path, body, signal) {
  const options = { method, signal, headers: { "content-type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) };
  return (await fetched(path, options)).json();
}

export const post = (path, body, signal) => send("POST", path, body, signal);

// A chat request, streamed. `begun` gets the headers, `told` each event.
export async function chat(body, { headers = {}, key, signal, begun, told }) {
  const options = { method: "POST", signal, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  const response = await fetched("/v1/chat/completions", options, key || undefined);
  begun(response.headers);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const events = held.split(/\r?\n\r?\n/);
    held = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (!data || data === "[DONE]") continue;
      const wire = JSON.parse(data);
      if (wire.error) throw new ApiError(502, wire.error.message, wire.error.code);
      told(wire);
    }
  }
}
