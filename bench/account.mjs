// An account on the Edgewarden that is measured, and tokens of it.

import { sendExpecting } from "./load.mjs";

const USERNAME = "ada";
/** Its password. */
export const PASSWORD = "Correct-Horse-7";

/** Creates the account. */
export async function register(port) {
  const body = JSON.stringify({ username: USERNAME, email: "ada@example.org", password: PASSWORD });
  const headers = { "content-type": "application/json" };
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
export async function signIn(port, agent) {
  const body = new URLSearchParams({ grant_type: "password", username: USERNAME, password: PASSWORD }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", "cf-connecting-ip": nextAddress() };
  const { text } = await sendExpecting(200, { port, method: "POST", path: "/api/v1/auth/token", headers, body, agent });
  return JSON.parse(text).access_token;
}

/** The same token with one bit of its signature turned; well-formed, and nobody's. */
export function broken(token) {
  const [header, payload, signature] = token.split(".");
  const bytes = Buffer.from(signature, "base64url");
  bytes[0] ^= 1;
  return [header, payload, bytes.toString("base64url")].join(".");
}
