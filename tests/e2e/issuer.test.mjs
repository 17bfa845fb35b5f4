// An issuer that is not ours: its tokens are signed by the most used JOSE library of JavaScript, its keys are served on this
// machine, and two isolates in one workerd take them. And services with certificates, as the platform tells of those.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { SignJWT, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";

import { HOST, OBJECTS, bindings, edgewardenModules, freePorts, migrate, secret, source, startWorkers, text, worker } from "../../scripts/miniflare.mjs";

const ISSUER = "https://issuer.example";
const CERTIFICATE = "ab".repeat(32);

/** What the Workers logged; shown when something failed. */
const lines = [];
let failed = false;
let miniflare;
let url;
let issuer;

/** How an issuer may answer so that its keys are not known: each would give them to whoever took more than is taken. */
const ODD = {
  redirects: (response) => response.writeHead(302, { location: "/jwks.json" }).end(),
  hangs: () => {},
  stalls: (response, set) => response.writeHead(200).write(set),
  floods: (response, set) => response.writeHead(200).end(set.padEnd(64 * 1024 + 1)),
  fails: (response, set) => response.writeHead(500).end(set),
  breaks: (response, set) => {
    response.writeHead(200, { "content-length": set.length + 1 }).write(set);
    setTimeout(() => response.destroy(), 50);
  },
};

/** Serves a key set, by its path as it should be or otherwise, and counts who asks. */
class Issuer {
  asked = 0;
  keys = [];

  async start() {
    this.server = createServer(({ url }, response) => {
      this.asked += 1;
      const set = JSON.stringify({ keys: this.keys });
      const odd = ODD[url.slice(1)];
      if (odd) return odd(response, set);
      response.writeHead(200, { "content-type": "application/jwk-set+json" });
      response.end(set);
    });
    await new Promise((resolve) => this.server.listen(0, HOST, resolve));
    this.url = `http://${HOST}:${this.server.address().port}/jwks.json`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** A new key, published or not. */
  async key(alg, kid, { published = true } = {}) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    if (published) this.keys.push({ ...(await exportJWK(publicKey)), alg, kid, use: "sig", x5t: "AAAA" });
    return { alg, kid, privateKey };
  }
}

/** A token, right in everything that is not said. */
function token(key, { groups = ["staff"], aud = "edgewarden", iss = ISSUER, sub = "ada", exp = "10m", header = {} } = {}) {
  const jwt = new SignJWT({ groups }).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "JWT", ...header });
  return jwt.setIssuer(iss).setAudience(aud).setSubject(sub).setIssuedAt().setExpirationTime(exp).sign(key.privateKey);
}

before(async () => {
  issuer = new Issuer();
  await issuer.start();
  const ports = await freePorts(["one", "two", "origin", ...Object.keys(ODD)]);
  url = (name) => `http://${HOST}:${ports[name]}`;
  const env = {
    ...bindings("issuer", "one"),
    ENVIRONMENT: text("development"),
    PUBLIC_URL: text(url("one")),
    DEMO_ORIGIN: text(url("origin")),
    DEMO_JWKS: text(issuer.url),
    DEMO_CERTIFICATE: text(CERTIFICATE.toUpperCase()),
    KEY_ENCRYPTION_KEY: secret(),
    TOKEN_MAC_KEY: secret(),
  };
  const modules = { "tests/e2e/certified.js": source("tests/e2e/certified.js"), ...edgewardenModules() };
  const echo = "export default { fetch: ({ headers }) => Response.json(Object.fromEntries(headers)) }";
  const origin = { "origin.js": { type: "esm", contents: echo } };
  const workers = [
    worker("origin", ports, origin),
    worker("one", ports, modules, { env, exports: OBJECTS }),
    worker("two", ports, modules, { env }),
    ...Object.keys(ODD).map((name) => {
      const jwks = text(issuer.url.replace("jwks.json", name));
      return worker(name, ports, modules, { env: { ...env, BLACKLIST: bindings(name).BLACKLIST, DEMO_JWKS: jwks } });
    }),
  ];
  miniflare = await startWorkers(workers, (line) => lines.push(line));
  await migrate(await miniflare.getD1Database("DB", "one"));
});

afterEach((context) => (failed ||= !context.passed));

after(async () => {
  if (failed) console.error(lines.slice(-40).join("\n"));
  await miniflare?.dispose();
  await issuer?.stop().catch(() => {});
});

/** What becomes of a request, and what the origin got of it. */
async function ask(route, { bearer, certificate, isolate = "one", method = "GET", headers = {} } = {}) {
  const all = { ...headers };
  if (bearer) all.authorization = `Bearer ${bearer}`;
  if (certificate) all["x-test-certificate"] = JSON.stringify(certificate);
  const response = await fetch(`${url(isolate)}/demo/${route}/x`, { method, headers: all });
  return { status: response.status, body: await response.json() };
}

const status = async (route, shown) => (await ask(route, shown)).status;

let key;
let other;

test("a token of a trusted issuer passes with the roles that are mapped, and its bearer is nobody of ours", async () => {
  [key, other] = [await issuer.key("ES256", "one"), await issuer.key("EdDSA", "two")];
  // What is only of the form of a key: points that are not on their curve, and one that everybody can sign for.
  const zero = "A".repeat(43);
  issuer.keys.push({ kty: "EC", crv: "P-256", x: zero, y: zero, kid: "zero" }, { ...issuer.keys[0], y: issuer.keys[0].x, kid: "off" });
  issuer.keys.push({ kty: "OKP", crv: "Ed25519", x: zero, kid: "small" });
  const { status: passed, body } = await ask("private", { bearer: await token(key, { groups: ["leads", "admin"] }) });
  assert.equal(passed, 200);
  assert.equal(body["x-auth-subject"], "demo|ada");
  assert.equal(body["x-auth-issuer"], ISSUER);
  assert.equal(body["x-auth-roles"], "moderator");
  assert.equal(body.authorization, undefined);
  const keys = createRemoteJWKSet(new URL(`${url("one")}/.well-known/jwks.json`));
  const { payload } = await jwtVerify(body["x-auth-assertion"], keys, { issuer: url("one"), audience: url("origin") });
  assert.deepEqual([payload.sub, payload.sub_iss, payload.roles], ["demo|ada", ISSUER, ["moderator"]]);
  assert.equal(await status("admin", { bearer: await token(key, { groups: ["leads"] }) }), 403);
  const own = await fetch(`${url("one")}/api/v1/users/me`, { headers: { authorization: `Bearer ${await token(key)}` } });
  assert.equal(own.status, 401);
  await own.body.cancel();
});

test("by each of its keys, and by no other", async () => {
  for (const one of [key, other]) assert.equal(await status("private", { bearer: await token(one) }), 200, one.alg);
  const hidden = await issuer.key("EdDSA", "three", { published: false });
  assert.equal(await status("private", { bearer: await token(hidden) }), 401);
});

test("what is wrong with a token is refused", async () => {
  for (const [what, wrong] of Object.entries({
    audience: { aud: "other" },
    issuer: { iss: "https://other.example" },
    "an issuer that is ourselves": { iss: url("one") },
    time: { exp: "-1m" },
    "a far end": { exp: "3d" },
    type: { header: { typ: "dpop+jwt" } },
    "a key beside it": { header: { jwk: {} } },
  })) {
    assert.equal(await status("private", { bearer: await token(key, wrong) }), 401, what);
  }
  const stolen = { ...(await generateKeyPair("ES256")), alg: "ES256", kid: "one" };
  assert.equal(await status("private", { bearer: await token(stolen) }), 401, "another's key under its name");
  const odd = { ...(await generateKeyPair("RS256")), alg: "RS256", kid: "one" };
  assert.equal(await status("private", { bearer: await token(odd) }), 401, "an algorithm that is not taken");
  const shared = { privateKey: new TextEncoder().encode(JSON.stringify(issuer.keys[0])), alg: "HS256", kid: "one" };
  assert.equal(await status("private", { bearer: await token(shared) }), 401, "its public key as a shared one");
  for (const groups of [[], ["guests"], ["Staff"], "nobody"]) {
    const { status: refused, body } = await ask("private", { bearer: await token(key, { groups }) });
    assert.deepEqual([refused, body.detail], [403, "missing role: one of moderator user"], String(groups));
  }
});

test("what is only of the form of a key verifies nothing", async () => {
  for (const [alg, kid] of [["ES256", "zero"], ["ES256", "off"], ["EdDSA", "small"]]) {
    const [, claims] = (await token(key)).split(".");
    const header = Buffer.from(JSON.stringify({ alg, kid })).toString("base64url");
    assert.equal(await status("private", { bearer: `${header}.${claims}.${"A".repeat(86)}` }), 401, kid);
  }
});

test("a flood of unknown keys asks the issuer once a minute at most", async () => {
  const began = Date.now();
  const before = issuer.asked;
  const flood = Array.from({ length: 100 }, async (_, number) => {
    const bearer = await token({ ...key, kid: `unknown-${number}` });
    return status("private", { bearer, isolate: number % 2 ? "one" : "two" });
  });
  assert.deepEqual(new Set(await Promise.all(flood)), new Set([401]));
  // However long this took, and for both isolates.
  const minutes = 1 + Math.floor((Date.now() - began) / 60_000);
  assert.ok(issuer.asked - before <= 2 * minutes, `${issuer.asked - before} questions in ${minutes} minutes`);
});

test("keys are taken of a plain answer alone, and nobody waits for long", async () => {
  const bearer = await token(key);
  const began = Date.now();
  const all = await Promise.all(Object.keys(ODD).map(async (isolate) => [isolate, await status("private", { bearer, isolate })]));
  assert.deepEqual(Object.fromEntries(all), Object.fromEntries(Object.keys(ODD).map((name) => [name, 503])));
  assert.ok(Date.now() - began < 30_000, "each question has five seconds");
  // Nobody is asked again at once, and others are let in as ever.
  const before = issuer.asked;
  for (const isolate of Object.keys(ODD)) {
    assert.equal(await status("private", { bearer, isolate }), 503);
    assert.equal(await status("public", { isolate }), 200);
  }
  assert.ok(Date.now() - began > 10_000 || issuer.asked === before);
});

test("an issuer that is gone does not stop anybody", async () => {
  await issuer.stop();
  for (const isolate of ["one", "two"]) {
    const { status: passed, body } = await ask("private", { bearer: await token(key, { sub: `later-${isolate}` }), isolate });
    assert.deepEqual([passed, body["x-auth-subject"]], [200, `demo|later-${isolate}`]);
    // Whether it has such a key, nobody can tell once it was asked for it in vain.
    assert.ok([401, 503].includes(await status("private", { bearer: await token({ ...key, kid: "new" }), isolate })));
  }
});

/** What the platform says of a certificate. */
const shown = (more = {}) => ({
  certPresented: "1",
  certVerified: "SUCCESS",
  certRevoked: "0",
  certFingerprintSHA256: CERTIFICATE,
  certSubjectDNRFC2253: "CN=demo",
  certIssuerDNRFC2253: "CN=ca\nCN=other",
  ...more,
});

test("a service with a certificate passes where the route looks at those", async () => {
  const { status: passed, body } = await ask("service", { certificate: shown(), method: "POST" });
  assert.equal(passed, 200);
  assert.deepEqual([body["x-auth-subject"], body["x-auth-method"], body["x-auth-roles"]], ["client|demo", "mtls", "user"]);
  assert.equal(await status("private", { certificate: shown() }), 401);
});

test("a certificate that is not good, not known or only said by the client is worth nothing", async () => {
  for (const wrong of [{ certVerified: "FAILED:certificate has expired" }, { certRevoked: "1" }, { certVerified: "NONE" }]) {
    assert.equal(await status("service", { certificate: shown(wrong) }), 401, JSON.stringify(wrong));
  }
  assert.equal(await status("service", { certificate: shown({ certFingerprintSHA256: "cd".repeat(32) }) }), 401);
  assert.equal(await status("service", { certificate: shown({ certPresented: "0" }) }), 401);
  const said = { "client-cert": "x", "cf-client-cert": "x", "x-ssl-client-verify": "SUCCESS", certificate: JSON.stringify(shown()) };
  assert.equal(await status("service", { headers: said }), 401);
  const page = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
  assert.equal(await status("service", { certificate: shown(), method: "POST", headers: page }), 403);
});
