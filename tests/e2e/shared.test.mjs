// Tokens signed with a shared key: nobody can check them who does not hold it, so it is in no key set;
// who holds it finds them well made. scripts/e2e.mjs runs this and says by environment where and who.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeProtectedHeader, jwtVerify } from "jose";

import { database, open } from "./database.mjs";

const { E2E_URL: url, E2E_JWKS_URL: jwksUrl, E2E_ACCESS_TOKEN: token, E2E_ISSUER: issuer, E2E_SUBJECT: subject } = process.env;

test("the key is in no key set; the one for assertions is", async () => {
  const { keys } = await (await fetch(jwksUrl)).json();
  assert.deepEqual(keys.map(({ kty, alg }) => [kty, alg]), [["OKP", "EdDSA"]]);
  assert.ok(!keys.some(({ kid }) => kid === decodeProtectedHeader(token).kid));
});

test("who holds the key can check the token, and nobody else", async () => {
  const { kid, alg } = decodeProtectedHeader(token);
  assert.equal(alg, "HS256");
  const rows = database();
  const { sealed, public_key } = rows.prepare("SELECT sealed, public_key FROM token_keys WHERE kid = ?").get(kid);
  rows.close();
  assert.equal(public_key, null);
  const secret = await open(kid, sealed);
  assert.equal(secret.length, 32);
  const { payload } = await jwtVerify(token, secret, { issuer, audience: "edgewarden", typ: "at+jwt", algorithms: ["HS256"] });
  assert.equal(payload.sub, subject);
  secret[0] ^= 1;
  await assert.rejects(jwtVerify(token, secret), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
});

test("the gateway takes it", async () => {
  const response = await fetch(`${url}/demo/private/x`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await response.json()).headers["x-auth-subject"], subject);
});
