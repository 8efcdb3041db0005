// Whose something is: the name of a key or namespace where one is known, else the digest's beginning.

import { get } from "./api.js";
import { short } from "./format.js";

let names = {};

export async function learnTenants(signal) {
  names = (await get("/v1/cache/stats", { minutes: 1 }, signal)).tenants;
}

export const tenantName = (digest) => (Object.hasOwn(names, digest) ? names[digest] : short(digest));
