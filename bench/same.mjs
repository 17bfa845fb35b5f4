// Before anything is timed: peer and Edgewarden must do the same. What an origin receives through
// one it receives through the other, forgeries removed; what one refuses the other refuses in the
// same words. A faster answer to another question would be no result.

import { deepStrictEqual } from "node:assert";

import { broken } from "./account.mjs";
import { send } from "./load.mjs";

const PATH = "/demo/private/x?echo";
/** What a client must not be able to say, in several spellings, and what it may. */
const HEADERS = {
  accept: "application/json",
  "cf-connecting-ip": "198.51.100.7",
  forwarded: "for=192.0.2.1",
  "remote-user": "root",
  remote_user: "root",
  "x-api-key": "k",
  "x-auth-email": "root@example.org",
  "x-auth-roles": "admin",
  "X-Auth-Subject": "root",
  x_auth_subject: "root",
  "x.auth.scopes": "admin:access",
  "x-custom": "stays",
  "x-forwarded-for": "192.0.2.1",
  "x-original-url": "/admin",
  "x-request-id": "1",
};
/** What may differ: the id of the request and the name of the service. */
const OWN = ["date", "host", "x-forwarded-host", "x-request-id"];

/** Fails, with the difference, if peer and Edgewarden differ. */
export async function checkSame({ peer, edgewarden }, token) {
  for (const authorization of [`Bearer ${token}`, `Bearer ${broken(token)}`, "Bearer nonsense", undefined]) {
    // A key that is shown alone is a credential to Edgewarden; beside a token it must not get through.
    const headers = authorization ? { ...HEADERS, authorization } : without(HEADERS, ["x-api-key"]);
    const [theirs, ours] = await Promise.all([peer, edgewarden].map((port) => send({ port, path: PATH, headers })));
    deepStrictEqual(comparable(theirs), comparable(ours));
  }
}

function comparable({ status, headers, text }) {
  const body = JSON.parse(text);
  const seen = Array.isArray(body) ? asserted(without(Object.fromEntries(body))) : { ...body, request_id: null };
  // An echo is as long as what it echoes; that is compared by its content.
  return { status, headers: without({ ...headers, "content-length": null }), seen };
}

/** What is asserted, but for what each makes anew. */
function asserted({ "x-auth-assertion": assertion, ...headers }) {
  const [header, claims] = assertion.split(".").map((part, index) => (index < 2 ? JSON.parse(Buffer.from(part, "base64url")) : part));
  return { ...headers, "x-auth-assertion": without({ ...header, ...claims }, ["kid", "iat", "exp", "jti"]) };
}

const without = (headers, names = OWN) => Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)).sort());
