// A resource server that knows only where our keys are: the most used JOSE library of JavaScript
// must take our access tokens as RFC 9068 describes them, and refuse them once they are changed
// or meant for somebody else. scripts/e2e.mjs runs this and says by environment where and who.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createRemoteJWKSet, jwtVerify } from "jose";

const {
  E2E_JWKS_URL: jwksUrl,
  E2E_ACCESS_TOKEN: token,
  E2E_ISSUER: issuer,
  E2E_AUDIENCE: audience,
  E2E_SUBJECT: subject,
  E2E_ALGORITHM: algorithm,
} = process.env;

/** RFC 9068, §2.2. */
const REQUIRED_CLAIMS = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
/** RFC 7518, §6.2.2, §6.3.2 and §6.4.1; RFC 8037, §2. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const keys = createRemoteJWKSet(new URL(jwksUrl));
const expected = { issuer, audience, typ: "at+jwt", requiredClaims: REQUIRED_CLAIMS };
const verify = (jwt, other = {}) => jwtVerify(jwt, keys, { ...expected, ...other });

/** The token with its claims' text changed, still well-formed. */
function withClaims(change) {
  const [header, payload, signature] = token.split(".");
  const claims = Buffer.from(payload, "base64url").toString("utf8");
  const changed = change(claims);
  assert.notEqual(changed, claims);
  return [header, Buffer.from(changed).toString("base64url"), signature].join(".");
}

test("the token verifies against the key set", async () => {
  const { payload, protectedHeader } = await verify(token);
  assert.equal(protectedHeader.alg, algorithm);
  assert.equal(protectedHeader.typ, "at+jwt");
  assert.equal(typeof protectedHeader.kid, "string");
  assert.equal(payload.sub, subject);
  assert.deepEqual(payload.roles, ["user"]);
});

test("the claims are those of RFC 9068", async () => {
  const { payload } = await verify(token);
  for (const name of REQUIRED_CLAIMS) assert.ok(payload[name], `${name} is missing`);
  assert.equal(payload.iss, issuer);
  assert.deepEqual([payload.aud].flat(), [audience]);
  for (const name of ["client_id", "jti"]) assert.equal(typeof payload[name], "string");
  for (const name of ["iat", "exp", "auth_time"]) assert.ok(Number.isSafeInteger(payload[name]), name);
  assert.ok(payload.iat < payload.exp);
  assert.ok(payload.auth_time <= payload.iat);
  assert.deepEqual(payload.amr, ["pwd"]);
});

test("a token with one changed payload character is refused", async () => {
  const [header, payload, signature] = token.split(".");
  for (let at = 0; at < payload.length; at += 1) {
    const other = payload[at] === "A" ? "B" : "A";
    const changed = payload.slice(0, at) + other + payload.slice(at + 1);
    const refused = verify([header, changed, signature].join("."));
    await assert.rejects(refused, { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" }, `character ${at}`);
  }
});

test("a token whose claims were rewritten is refused", async () => {
  const refusal = { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" };
  await assert.rejects(verify(withClaims((text) => text.replace('["user"]', '["admin"]'))), refusal);
  await assert.rejects(verify(withClaims((text) => text.replace(subject, subject.replace(/.$/, (c) => (c === "0" ? "1" : "0"))))), refusal);
});

test("a token without its signature is refused", async () => {
  const [, payload] = token.split(".");
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url");
  await assert.rejects(verify(`${none}.${payload}.`), { code: "ERR_JOSE_NOT_SUPPORTED" });
});

test("a wrong audience is refused", async () => {
  const refusal = { code: "ERR_JWT_CLAIM_VALIDATION_FAILED", claim: "aud" };
  await assert.rejects(verify(token, { audience: "somebody-else" }), refusal);
});

test("a wrong issuer is refused", async () => {
  const refusal = { code: "ERR_JWT_CLAIM_VALIDATION_FAILED", claim: "iss" };
  await assert.rejects(verify(token, { issuer: "https://issuer.example" }), refusal);
});

test("the key set is public", async () => {
  const response = await fetch(jwksUrl);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/jwk-set+json");
  assert.match(response.headers.get("cache-control"), /^public, max-age=\d+$/);
  const set = await response.json();
  assert.ok(set.keys.length > 0);
  for (const key of set.keys) {
    const kind = { EdDSA: ["OKP", "Ed25519"], ES256: ["EC", "P-256"], RS256: ["RSA", undefined] }[algorithm];
    assert.deepEqual([key.kty, key.crv, key.use, key.alg], [...kind, "sig", algorithm]);
    for (const name of PRIVATE_MEMBERS) assert.ok(!(name in key), `${name} is published`);
  }
});
