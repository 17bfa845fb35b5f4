// Tokens that jose signs, with each algorithm, under keys that are put into the Worker's ring: ours must
// believe them, and nothing that is almost one of them. scripts/e2e.mjs runs this and says by environment
// where and who.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { SignJWT, calculateJwkThumbprint, decodeJwt, exportJWK, exportSPKI, generateKeyPair, generateSecret, importSPKI } from "jose";

import { database, seal } from "./database.mjs";

const { E2E_URL: url, E2E_ACCESS_TOKEN: own, E2E_SUBJECT: subject } = process.env;

/** EdDSA first: only a key of an algorithm that is issued here can be unknown and ours. */
const ALGORITHMS = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256", "HS384", "HS512"];
const REQUIRED = { RSA: ["e", "kty", "n"], EC: ["crv", "kty", "x", "y"], OKP: ["crv", "kty", "x"] };
/** Keys are asked for again at most once in ten seconds. */
const PATIENCE_MS = 15_000;
/** A time that never comes, within what the database counts exactly. */
const NEVER = 2 ** 52;

const keys = {};

before(async () => {
  const rows = database();
  const insert = rows.prepare(
    `INSERT INTO token_keys (kid, algorithm, public_key, sealed, publish_at, sign_from, retire_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  for (const algorithm of ALGORITHMS) {
    const key = await make(algorithm);
    // They verify, and neither sign nor are published.
    insert.run(key.kid, algorithm, key.members, key.sealed, NEVER, NEVER, NEVER);
    keys[algorithm] = key;
  }
  rows.close();
  // The first one that is unknown makes the Worker look; what it finds holds all of them.
  const token = await sign("EdDSA");
  const until = Date.now() + PATIENCE_MS;
  while ((await answer(token)).status !== 200) {
    assert.ok(Date.now() < until, "the Worker never learnt of the keys");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});

/** A key pair, or a secret, as a row of the ring. */
async function make(algorithm) {
  if (algorithm.startsWith("HS")) {
    const secret = await generateSecret(algorithm, { extractable: true });
    const jwk = await exportJWK(secret);
    const kid = await calculateJwkThumbprint(jwk);
    return { signing: secret, kid, members: null, sealed: await seal(kid, Buffer.from(jwk.k, "base64url")) };
  }
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true, crv: algorithm === "EdDSA" ? "Ed25519" : undefined });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { signing: privateKey, publicKey, jwk, kid, members: JSON.stringify(jwk, REQUIRED[jwk.kty]), sealed: "-" };
}

/** A token with the claims of a genuine one. */
const sign = (algorithm, { signing, kid } = keys[algorithm], claims = decodeJwt(own)) =>
  new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid, typ: "at+jwt" }).sign(signing);

async function answer(token, path = "/demo/private/x") {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: await response.json() };
}

async function refused(token, why) {
  for (const path of ["/demo/private/x", "/demo/strict/x", "/demo/optional/x", "/api/v1/users/me"]) {
    const { status, body } = await answer(token, path);
    assert.deepEqual([status, body.error], [401, "invalid_token"], `${why}: ${path}`);
  }
}

for (const algorithm of ALGORITHMS) {
  test(`${algorithm}: what jose signs is believed, and nothing that differs by a bit`, async () => {
    const token = await sign(algorithm);
    const believed = await answer(token);
    assert.deepEqual([believed.status, believed.body.headers?.["x-auth-subject"]], [200, subject]);
    assert.equal((await answer(token, "/demo/strict/x")).status, 200);
    assert.equal((await answer(token, "/api/v1/users/me")).status, 200);
    const [header, payload, signature] = token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const other = Buffer.from(bytes);
      other[at] ^= 1;
      await refused([header, payload, other.toString("base64url")].join("."), `byte ${at}`);
    }
    await refused([header, payload, bytes.subarray(1).toString("base64url")].join("."), "one byte less");
    await refused([header, payload, Buffer.concat([bytes, Buffer.of(0)]).toString("base64url")].join("."), "one byte more");
    await refused([header, payload, ""].join("."), "none");
  });
}

test("a public key is no secret: HS256 keyed with it in any form is refused", async () => {
  for (const algorithm of ["EdDSA", "ES256", "RS256"]) {
    const { publicKey, jwk, kid, members } = keys[algorithm];
    const pem = await exportSPKI(publicKey);
    const raw = { EdDSA: [jwk.x], ES256: [jwk.x, jwk.y], RS256: [jwk.n] }[algorithm].map((part) => Buffer.from(part, "base64url"));
    const secrets = {
      pem,
      "pem without its last line break": pem.trimEnd(),
      der: Buffer.from(pem.replaceAll(/-----.*?-----|\s/g, ""), "base64"),
      jwk: JSON.stringify(jwk),
      members,
      raw: Buffer.concat(raw),
      "raw point": Buffer.concat([Buffer.of(4), ...raw]),
      kid,
    };
    for (const [form, secret] of Object.entries(secrets)) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        const signing = await crypto.subtle.importKey("raw", Buffer.from(secret), { name: "HMAC", hash: `SHA-${alg.slice(2)}` }, false, ["sign"]);
        await refused(await hmac(alg, signing, kid), `${alg} with ${algorithm} as ${form}`);
      }
    }
  }
});

/** Signed by hand: jose itself refuses keys that are too short. */
async function hmac(alg, signing, kid) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${encode({ alg, typ: "at+jwt", kid })}.${encode(decodeJwt(own))}`;
  const tag = await crypto.subtle.sign("HMAC", signing, Buffer.from(input));
  return `${input}.${Buffer.from(tag).toString("base64url")}`;
}

test("a key is for its algorithm alone, though it could do another", async () => {
  const pem = await exportSPKI(keys.RS256.publicKey);
  assert.ok(await importSPKI(pem, "PS256"), "the same key");
  for (const [key, other] of [["RS256", "RS384"], ["PS256", "RS256"], ["RS512", "PS512"], ["HS512", "HS256"]]) {
    const hash = `SHA-${other.slice(2)}`;
    const name = { RS: "RSASSA-PKCS1-v1_5", PS: "RSA-PSS", HS: "HMAC" }[other.slice(0, 2)];
    const { d, ...jwk } = await exportJWK(keys[key].signing);
    const parts = { ...jwk, ...(d ? { d } : {}), alg: undefined };
    const signing = await crypto.subtle.importKey("jwk", parts, { name, hash }, false, ["sign"]);
    await refused(await sign(other, { signing, kid: keys[key].kid }), `${key} used for ${other}`);
  }
});
