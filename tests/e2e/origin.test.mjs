// What an origin behind the gateway gets to see, told by the demo origin, which echoes it: who
// calls, as the gateway says it, and nothing that only the gateway may say in the caller's words.
// This is on a real HTTP stack because names such as `x_auth_subject` meet several parsers there.
// scripts/e2e.mjs runs this and says by environment where and who.

import assert from "node:assert/strict";
import { test } from "node:test";

const { E2E_URL: url, E2E_ACCESS_TOKEN: token, E2E_ISSUER: issuer, E2E_SUBJECT: subject } = process.env;

/** What no forged header may bring to the origin, under any name. */
const FORGED = "forged-by-the-client";
const FORGERIES = {
  "X-Auth-Subject": FORGED,
  x_auth_subject: FORGED,
  "X.Auth.Subject": FORGED,
  "X-Auth-Roles": FORGED,
  "X.Auth.Roles": FORGED,
  "X-Forwarded-Host": FORGED,
};
/** Names as odd as those, which are nobody's: they show that such names do arrive. */
const BYSTANDERS = { x_custom: "kept", "x.custom": "kept" };

/** What the origin saw. */
async function seen(path, headers) {
  const response = await fetch(`${url}${path}`, { headers });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

const bearer = { authorization: `Bearer ${token}` };

test("the origin is told who calls and does not get the token", async () => {
  const { method, path, query, headers } = await seen("/demo/private/x?a=1", bearer);
  assert.deepEqual([method, path, query], ["GET", "/demo/private/x", { a: "1" }]);
  assert.equal(headers["x-auth-subject"], subject);
  assert.equal(headers["x-auth-issuer"], issuer);
  assert.equal(headers["x-auth-roles"], "user");
  assert.ok(!("authorization" in headers));
  assert.ok(!JSON.stringify(headers).includes(token));
});

test("forged identity headers do not survive beside a token", async () => {
  const { headers } = await seen("/demo/private/x", { ...bearer, ...FORGERIES, ...BYSTANDERS });
  assert.ok(!JSON.stringify(headers).includes(FORGED), JSON.stringify(headers));
  assert.equal(headers["x-auth-subject"], subject);
  assert.equal(headers["x-auth-roles"], "user");
  for (const name of ["x_auth_subject", "x.auth.subject", "x.auth.roles"]) assert.ok(!(name in headers), name);
  for (const name of Object.keys(BYSTANDERS)) assert.equal(headers[name], "kept");
});

test("forged identity headers do not survive without a token", async () => {
  const { headers } = await seen("/demo/public/x", { ...FORGERIES, ...BYSTANDERS });
  const identity = Object.keys(headers).filter((name) => /^x[-_.]auth[-_.]/.test(name));
  assert.deepEqual(identity, []);
  assert.ok(!JSON.stringify(headers).includes(FORGED), JSON.stringify(headers));
  for (const name of Object.keys(BYSTANDERS)) assert.equal(headers[name], "kept");
});

test("forged identity headers do not stand for a token", async () => {
  const response = await fetch(`${url}/demo/private/x`, { headers: FORGERIES });
  assert.equal(response.status, 401);
});
