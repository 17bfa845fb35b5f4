// Accounts on the Edgewarden that is measured, and tokens of one.

import { sendExpecting } from "./load.mjs";

const USERNAME = "ada";
/** Who signs in again and again: of too many sessions the oldest ends, which is not to be the measured token's. */
export const SIGNER = "bea";
/** Its password. */
export const PASSWORD = "Correct-Horse-7";

/** So many accounts are closed: of one, a hundred failures are looked at in a quarter of an hour. */
const CLOSED = 4;

/** Creates the account that is used, and some that are closed. */
export async function register(port) {
  await create(port, USERNAME);
  await create(port, SIGNER);
  for (let number = 0; number < CLOSED; number += 1) {
    await create(port, `closed-${number}`);
    const token = await signIn(port, undefined, `closed-${number}`);
    const body = JSON.stringify({ password: PASSWORD });
    // Node says how long a body is by itself, but not of a DELETE.
    const headers = { "content-type": "application/json", "content-length": body.length, authorization: `Bearer ${token}` };
    await sendExpecting(200, { port, method: "DELETE", path: "/api/v1/users/me", headers, body });
  }
}

async function create(port, username) {
  const body = JSON.stringify({ username, email: `${username}@example.org`, password: PASSWORD });
  const headers = { "content-type": "application/json", "cf-connecting-ip": nextAddress() };
  await sendExpecting(201, { port, method: "POST", path: "/api/v1/users/register", headers, body });
}

let addresses = 0;

/**
 * Another address at each call, of the block that is set aside for benchmarks (RFC 2544). Sign-ins
 * are limited to 5 a minute by address, which is told by `CF-Connecting-IP`: on the edge the
 * platform sets it, here nobody does, so the client may.
 */
function nextAddress() {
  addresses += 1;
  return `198.${18 + ((addresses >> 16) & 1)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** Signs in and gives the access token. */
export async function signIn(port, agent, username = USERNAME) {
  const { text } = await trySignIn(200, port, agent, username, PASSWORD);
  return JSON.parse(text).access_token;
}

/** Sign-ins that come to nothing, by what is wrong with them. */
export const FAILURES = {
  unknown: (port, agent, count) => trySignIn(401, port, agent, `nobody-${count}`, PASSWORD),
  wrong: (port, agent) => trySignIn(401, port, agent, SIGNER, "Wrong-Horse-7"),
  inactive: (port, agent, count) => trySignIn(401, port, agent, `closed-${count % CLOSED}`, PASSWORD),
};

function trySignIn(expected, port, agent, username, password) {
  const body = new URLSearchParams({ grant_type: "password", username, password }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", "cf-connecting-ip": nextAddress() };
  return sendExpecting(expected, { port, method: "POST", path: "/api/v1/auth/token", headers, body, agent });
}

/** The same token with one bit of its signature turned; well-formed, and nobody's. */
export function broken(token) {
  const [header, payload, signature] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[0] ^= 1;
  return [header, payload, bytes.toString("base64url")].join(".");
}
