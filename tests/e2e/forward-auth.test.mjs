// Forward auth with an nginx that runs the very configuration of docs/FORWARD_AUTH.md: whom it lets through to the origin, as whom,
// and that nothing a client sends changes either. scripts/e2e.mjs runs this and says by environment where, who, and which nginx.

import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";

import { createRemoteJWKSet, jwtVerify } from "jose";

import { certificate, stage } from "./nginx.mjs";

const { E2E_URL: url, E2E_ORIGIN: origin, E2E_ACCESS_TOKEN: token, E2E_SUBJECT: subject, E2E_ISSUER: issuer } = process.env;
const { E2E_JWKS_URL: jwksUrl, E2E_USERNAME: username, E2E_PASSWORD: password, E2E_FORWARD_AUTH_SECRET: list } = process.env;
const [secret, next] = list.split(",").map((pair) => pair.split(":")[1]);
const { host } = new URL(url);
const bearer = ["Authorization", `Bearer ${token}`];
const keys = createRemoteJWKSet(new URL(jwksUrl));

/** No value like this may be seen by the origin. */
const FORGED = "forged-by-the-client";
const IDENTITY = ["Subject", "Issuer", "Username", "Email", "Roles", "Scopes", "Session", "Method", "Assertion"];
/** What says who calls, or how they came, in several spellings; each proxy's own way to say another target; and each secret there is. */
const FORGERIES = [
  ...IDENTITY.map((name) => [`X-Auth-${name}`, FORGED]),
  ...["X-Auth_Subject", "x_auth_roles", "X.Auth.Subject", "X!Auth!Subject", "X-Forwarded-User", "Remote-User"].map((name) => [name, FORGED]),
  ...["X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP"].map((name) => [name, FORGED]),
  ...["X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL"].map((name) => [name, `/demo/public/${FORGED}`]),
  ...["X-Forwarded-Method", "X-Original-Method", "X-HTTP-Method-Override"].map((name) => [name, "OPTIONS"]),
  ["X-Forward-Auth-Secret", FORGED],
  ["X-Forward-Auth-Secret", next],
];

/** Ways to spell what is not public as if it were, or to name it where nobody looks. */
const HOSTILE = [
  ...["/demo/public/..%2fadmin/x", "/demo/public/%2e%2e/admin/x", "/demo/public/../admin/x", "/demo/public/%252e%252e/admin/x"],
  ...["/demo/public/..;/admin/x", "/demo/public/..%5cadmin/x", "/demo/public\\..\\admin/x", "/demo/public/.%00./admin/x", "/demo/public//../admin/x"],
  // Who calls may go to these in their one spelling.
  ...["//demo/private/x", "/demo//private/x", "/demo/./private/x", "/demo/private;x", "/demo/private;/x", "/demo/%70rivate/x", "/%64emo/public/x"],
  ...["/demo/public/x#/../../admin/x", "/demo/public/%ff", "demo/public/x", "*", "?"],
  ...[`http://${host}//demo/private/x`, "http://evil.example/demo/admin/x", "http://evil.example", "http://evil.example?/demo/public/x"],
];

const { edge, start, end } = await stage({ secret, host });
const nginx = await start();
let failed = false;
afterEach((context) => (failed ||= !context.passed));
after(() => end(failed));

/** What the origin saw. */
async function seen(target, headers, options) {
  const answer = await nginx.send(target, headers, options);
  assert.equal(answer.status, 200, answer.text);
  assert.ok(answer.seen, answer.text);
  assert.ok(![secret, next].some((value) => answer.text.includes(value)), "the secret is the gateway's alone");
  return { ...answer.seen, answer };
}

const identityOf = (headers) => Object.keys(headers).filter((name) => /^x[^a-z]auth/.test(name));

test("nobody gets to what is for somebody, and is told what is missing", async () => {
  for (const target of ["/demo/private/x", "/demo/admin/x"]) {
    const { status, headers, seen: reached } = await nginx.send(target);
    assert.deepEqual([status, reached], [401, undefined]);
    assert.match(headers["www-authenticate"], /^Bearer /);
    assert.ok(headers["x-request-id"]);
  }
  const { status } = await nginx.send("/demo/private/x", [["Authorization", `Bearer ${token}x`]]);
  assert.equal(status, 401);
});

test("the origin is told who calls, signed, and gets no credential", async () => {
  // Brackets are what nginx would spell in another way, if it were to.
  const { headers, path, query, answer } = await seen("/demo/private/%5Bx%5D?a=1", [bearer, ["X-Custom", "kept"]]);
  assert.deepEqual([path, query, headers["x-custom"]], ["/demo/private/%5Bx%5D", { a: "1" }, "kept"]);
  assert.deepEqual([headers["x-auth-subject"], headers["x-auth-issuer"], headers["x-auth-method"]], [subject, issuer, "bearer"]);
  assert.equal(headers["x-auth-roles"], "user");
  assert.deepEqual([headers["x-forwarded-for"], headers["x-forwarded-host"]], ["127.0.0.1", host]);
  assert.equal(headers["x-request-id"], answer.headers["x-request-id"]);
  assert.ok(!("authorization" in headers) && !answer.text.includes(token));
  const { payload } = await jwtVerify(headers["x-auth-assertion"], keys, { typ: "assertion+jwt", issuer, audience: origin, algorithms: ["EdDSA"] });
  assert.deepEqual([payload.sub, payload.sub_iss, payload.auth_method], [subject, issuer, "bearer"]);
});

test("who may not is refused", async () => {
  const { status, seen: reached } = await nginx.send("/demo/admin/x", [bearer]);
  assert.deepEqual([status, reached], [403, undefined]);
});

test("what a client says of itself and of its request changes nothing and does not arrive", async () => {
  const plain = await seen("/demo/private/x", [bearer]);
  const { method, path, headers, answer } = await seen("/demo/private/x", [bearer, ...FORGERIES]);
  assert.deepEqual([method, path], ["GET", "/demo/private/x"]);
  assert.ok(!answer.text.includes(FORGED), answer.text);
  assert.deepEqual(Object.keys(headers).sort(), Object.keys(plain.headers).sort());
  assert.equal(headers["x-auth-subject"], subject);
  for (const [target, credential, status] of [["/demo/private/x", [], 401], ["/demo/admin/x", [], 401], ["/demo/admin/x", [bearer], 403]]) {
    const refused = await nginx.send(target, [...credential, ...FORGERIES]);
    assert.deepEqual([refused.status, refused.seen], [status, undefined], target);
    // Each alone as well, so that none hides another.
    for (const forgery of FORGERIES) assert.equal((await nginx.send(target, [...credential, forgery])).status, status, `${target}: ${forgery}`);
  }
});

test("where nobody need be known, nobody is", async () => {
  for (const target of ["/demo/public/x", "/demo/optional/x"]) {
    const { headers, answer } = await seen(target, FORGERIES);
    assert.deepEqual(identityOf(headers), []);
    assert.ok(!answer.text.includes(FORGED), answer.text);
  }
});

test("no spelling of a path is one thing to the gateway and another to the origin", async () => {
  for (const path of HOSTILE) {
    for (const credential of [[], [bearer]]) {
      const { status, seen: reached, text } = await nginx.send(path, credential);
      assert.ok([400, 401, 403].includes(status) && reached === undefined, `${path}: ${status} ${text}`);
    }
  }
  // The query is not the path's: it decides nothing, and arrives as it came.
  const { query } = await seen("/demo/public/x?a=/../../admin/x&b=%2e%2e;", []);
  assert.deepEqual(query, { a: "/../../admin/x", b: "..;" });
});

test("bodies arrive whole at the origin, and not at the gateway", async () => {
  const body = "é".repeat(20_000);
  assert.equal((await seen("/demo/private/x", [bearer], { method: "POST", body })).body, body);
  const chunks = async function* () {
    for (let sent = 0; sent < 10; sent += 1) yield new Uint8Array(30_000);
  };
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://127.0.0.1:${nginx.port}/demo/private/x`, { method: "PUT", headers, body: chunks(), duplex: "half" });
  const echo = await answer.json();
  assert.deepEqual([echo.method, echo.body], ["PUT", "300000 bytes"]);
});

test("the gateway is asked for each request, and told no more than it must know", async () => {
  const before = edge.seen.length;
  for (const method of ["GET", "DELETE"]) await seen("/demo/private/a%20b?x=1", [bearer, ["Accept", "*/*"], ...FORGERIES], { method });
  const asked = edge.seen.slice(before);
  assert.deepEqual(asked.map(({ headers }) => headers["x-forwarded-method"]), ["GET", "DELETE"]);
  const told = ["authorization", "host", "x-forward-auth-secret", ...["for", "host", "method", "proto", "uri"].map((name) => `x-forwarded-${name}`)];
  for (const { method, target, headers, bytes } of edge.seen) {
    assert.deepEqual([method, target, bytes], ["GET", "/api/v1/auth/verify", 0]);
    assert.equal(headers["x-forward-auth-secret"], secret);
  }
  for (const { headers } of asked) {
    assert.deepEqual(Object.keys(headers).sort(), told);
    assert.deepEqual([headers["x-forwarded-uri"], headers["x-forwarded-for"]], ["/demo/private/a%20b?x=1", "127.0.0.1"]);
  }
});

test("an assertion that is for one request names the one that the origin gets", async () => {
  const { headers } = await seen("/demo/bound/a%20b?x=1", [bearer], { method: "POST", body: "x" });
  const { payload } = await jwtVerify(headers["x-auth-assertion"], keys, { audience: origin });
  const digest = await crypto.subtle.digest("SHA-256", Buffer.from("/demo/bound/a%20b?x=1"));
  assert.deepEqual(payload.request, { method: "POST", host: headers["x-forwarded-host"], target_sha256: Buffer.from(digest).toString("base64url") });
});

test("an API key is one's own, and a used up limit says when to come again", async () => {
  const made = await fetch(`${url}/api/v1/api-keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "forward auth" }),
  });
  const { key } = await made.json();
  assert.equal(made.status, 201);
  const { headers, answer } = await seen("/demo/key/x", [["X-API-Key", key]]);
  assert.deepEqual([headers["x-auth-subject"], headers["x-auth-method"]], [subject, "api_key"]);
  assert.ok(!answer.text.includes(key));
  for (let time = 0; time < 10; time += 1) await seen("/demo/limited/x", [bearer]);
  const over = await nginx.send("/demo/limited/x", [bearer]);
  assert.deepEqual([over.status, over.seen], [429, undefined]);
  assert.ok(Number(over.headers["retry-after"]) > 0);
});

/** Signs in as a browser, which gets a cookie; where that was done too often of late, once it may be again. */
async function cookie() {
  const headers = { "content-type": "application/json", origin: url };
  const body = JSON.stringify({ username, password });
  for (;;) {
    const answer = await fetch(`${url}/api/v1/auth/login`, { method: "POST", headers, body });
    if (answer.status === 200) return answer.headers.getSetCookie().find((line) => line.startsWith("edgewarden=")).split(";")[0];
    assert.equal(answer.status, 429, await answer.text());
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("retry-after"))));
  }
}

test("on the auth host a browser's session counts, from its own pages", { timeout: 150_000 }, async () => {
  const session = await cookie();
  for (const around of [session, `a=1; ${session}`, `${session}; b=2`, `a=1; ${session}; b=2; edgewarden-device=x`]) {
    const { headers, answer } = await seen("/demo/private/x", [["Cookie", around]]);
    assert.deepEqual([headers["x-auth-subject"], headers["x-auth-method"]], [subject, "session"]);
    assert.ok(headers["x-auth-session"]);
    assert.ok(!answer.text.includes(session) && !/edgewarden/.test(headers.cookie ?? ""), "it is the gateway's alone");
    for (const other of around.match(/[ab]=\d/g) ?? []) assert.ok(headers.cookie.includes(other), `${other} of ${around}`);
  }
  const post = (headers) => nginx.send("/demo/private/x", [["Cookie", session], ...headers], { method: "POST", body: "x" });
  for (const headers of [[], [["Origin", "https://evil.example"]]]) assert.equal((await post(headers)).status, 403);
  assert.equal((await post([["Origin", url]])).status, 200);
});

test("a browser is led to where it can sign in, and a program is not", async () => {
  const leading = await start({ leadsToSignIn: true });
  const html = ["Accept", "text/html,*/*;q=0.8"];
  for (const [target, location] of [
    ["/demo/private/x", "/login?return_to=/demo/private/x"],
    ["/demo/private/x?a=b", "/login?return_to=/demo/private/x?a=b"],
    ["/demo/private/x?a=b&return_to=//evil.example", "/login"],
    ["/demo/private/%0D%0AX:%20y", undefined],
    ["//evil.example", undefined],
  ]) {
    const { status, headers } = await leading.send(target, [html]);
    assert.deepEqual([status, headers.location], [location ? 303 : 403, location], target);
  }
  assert.equal((await leading.send("/login", [html])).status, 200);
  const { status, headers } = await leading.send("/demo/private/x", [["Accept", "application/json"]]);
  assert.equal(status, 401);
  assert.match(headers["www-authenticate"], /^Bearer /);
  assert.equal((await leading.send("/demo/private/x", [html], { method: "POST", body: "x" })).status, 401);
});

test("a proxy that the gateway does not know, or that does not know the gateway, lets nobody through", async () => {
  const unusual = {
    "a wrong secret": [403, { secret: `${secret}x` }],
    "no secret": [403, { secret: "" }],
    "another's host": [403, { host: "other.example" }],
    "another's certificate": [500, { trusted: certificate("other") }],
    "nobody there": [500, { edge: { port: 1 } }],
  };
  for (const [what, [status, options]] of Object.entries(unusual)) {
    const one = await start(options);
    for (const target of ["/demo/public/x", "/demo/private/x"]) {
      const answer = await one.send(target, [bearer]);
      assert.deepEqual([answer.status, answer.seen], [status, undefined], `${what}: ${target}`);
    }
  }
});

test("each secret of the list will do, and the answer always names everything", async () => {
  const target = { "x-forwarded-host": host, "x-forwarded-uri": "/demo/public/x", "x-forwarded-for": "192.0.2.1" };
  const request = { "x-forwarded-method": "GET", "x-forwarded-proto": "http", ...target };
  const ask = (headers) => fetch(`${url}/api/v1/auth/verify`, { headers, redirect: "manual" });
  for (const value of [secret, next]) {
    const answer = await ask({ ...request, "x-forward-auth-secret": value });
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get("cache-control")], [200, "", "no-store"]);
    for (const name of IDENTITY) assert.equal(answer.headers.get(`x-auth-${name}`), "", name);
    assert.ok(answer.headers.get("x-request-id"));
  }
  for (const name of ["x-forward-auth-secret", "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri"]) {
    const answer = await ask({ ...request, "x-forward-auth-secret": secret, [name]: "" });
    assert.deepEqual([answer.status, answer.headers.get("content-type")], [403, "application/problem+json"], name);
  }
});
