// Two isolates over the same stores, in one workerd: what one revokes, the other refuses within REVOCATION_BOUND, and what
// it asks meanwhile is counted. They are two Workers of the same build; the second one's objects are the first one's.

import assert from "node:assert/strict";
import http from "node:http";
import { after, afterEach, before, test } from "node:test";

import { HOST, OBJECTS, bindings, edgewardenModules, freePorts, migrate, secret, source, startWorkers, text, worker } from "../../scripts/miniflare.mjs";

const BOUND_MS = 10_000;
const PASSWORD = "Correct-Horse-7";

/** What the Workers logged; shown when something failed. */
const lines = [];
let failed = false;
let miniflare;
let url;
let database;

before(async () => {
  const ports = await freePorts(["one", "two", "origin"]);
  url = (name) => `http://${HOST}:${ports[name]}`;
  const [mac, encryption] = [secret(), secret()];
  const env = {
    ...bindings("isolates", "one"),
    ENVIRONMENT: text("development"),
    PUBLIC_URL: text(url("one")),
    DEMO_ORIGIN: text(url("origin")),
    API_LIMIT: text("10000"),
    ARGON2_MEMORY_KIB: text("7168"),
    ARGON2_ITERATIONS: text("1"),
    KEY_ENCRYPTION_KEY: encryption,
    TOKEN_MAC_KEY: mac,
  };
  const modules = { "tests/e2e/counted.js": source("tests/e2e/counted.js"), ...edgewardenModules() };
  const origin = { "origin.js": { type: "esm", contents: "export default { fetch: () => new Response('here') }" } };
  const workers = [
    worker("origin", ports, origin),
    worker("one", ports, modules, { env, exports: OBJECTS }),
    worker("two", ports, modules, { env }),
  ];
  miniflare = await startWorkers(workers, (line) => lines.push(line));
  database = await miniflare.getD1Database("DB", "one");
  await migrate(database);
});

afterEach((context) => (failed ||= !context.passed));

after(async () => {
  if (failed) console.error(lines.slice(-40).join("\n"));
  await miniflare?.dispose();
});

let addresses = 0;

async function send(isolate, method, path, { token, body, form } = {}) {
  const headers = { "cf-connecting-ip": `2001:db8:0:${(addresses += 1).toString(16)}::1` };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers["content-type"] = "application/json";
  const init = { method, headers, body: form ? new URLSearchParams(form) : body && JSON.stringify(body) };
  const response = await fetch(`${url(isolate)}${path}`, init);
  const said = await response.text();
  return { status: response.status, said, json: () => JSON.parse(said) };
}

const show = async (isolate, route, token) => (await send(isolate, "GET", `/demo/${route}/x`, { token })).status;
const counts = async (isolate) => (await send(isolate, "GET", "/counted")).json();

/** A new user, signed in at the first isolate. */
async function user(username) {
  const body = { username, email: `${username}@example.org`, password: PASSWORD };
  assert.equal((await send("one", "POST", "/api/v1/users/register", { body })).status, 201);
  return signIn(username);
}

async function signIn(username) {
  const answer = await send("one", "POST", "/api/v1/auth/token", { form: { username, password: PASSWORD } });
  assert.equal(answer.status, 200, answer.said);
  return answer.json();
}

test("a fresh isolate reads one value beside one question to the feed, and nothing of the record", async () => {
  const ada = await user("fresh");
  const before = await counts("two");
  assert.equal(await show("two", "private", ada.access_token), 200);
  const after = await counts("two");
  assert.deepEqual([after.database, after.kv, after.feed], [before.database, before.kv + 1, before.feed + 1]);
});

test("a logout is refused elsewhere within the bound, and most requests ask nobody", async () => {
  const [ada, bob] = [await user("leaver"), await user("stayer")];
  for (const { access_token } of [ada, bob]) assert.equal(await show("two", "private", access_token), 200);
  const began = Date.now();
  const before = await counts("two");
  assert.equal((await send("one", "POST", "/api/v1/auth/logout", { token: ada.access_token })).status, 200);
  const ended = Date.now();
  let shown = 0;
  for (;;) {
    const sent = Date.now();
    const status = await show("two", "private", ada.access_token);
    shown += 1;
    if (status === 401) break;
    assert.equal(status, 200);
    assert.ok(sent - ended < BOUND_MS, `accepted ${sent - ended} ms after it`);
    assert.equal(await show("two", "private", bob.access_token), 200);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const after = await counts("two");
  const windows = Math.floor((Date.now() - began) / 5000) + 1;
  assert.deepEqual([after.database - before.database, after.kv - before.kv], [0, 0]);
  assert.ok(after.feed - before.feed <= windows, `${after.feed - before.feed} questions in ${windows} times five seconds`);
  assert.ok(shown > 10, `only ${shown} requests`);
  assert.equal(await show("two", "private", bob.access_token), 200);
});

test("on a strict route, and everywhere where it was done, it is refused by the next request", async () => {
  const ada = await user("strict");
  for (const route of ["private", "strict"]) assert.equal(await show("two", route, ada.access_token), 200);
  const before = await counts("two");
  assert.equal((await send("one", "POST", "/api/v1/auth/logout", { token: ada.access_token })).status, 200);
  assert.equal(await show("two", "strict", ada.access_token), 401);
  assert.equal(await show("two", "private", ada.access_token), 401);
  for (const route of ["private", "strict"]) assert.equal(await show("one", route, ada.access_token), 401);
  const after = await counts("two");
  assert.deepEqual([after.database - before.database, after.kv - before.kv, after.feed - before.feed], [0, 0, 1]);
});

test("signing out everywhere ends every session of the user, and no other", async () => {
  const [first, other] = [await user("everywhere"), await user("bystander")];
  const second = await signIn("everywhere");
  for (const { access_token } of [first, second, other]) assert.equal(await show("two", "private", access_token), 200);
  assert.equal((await send("one", "POST", "/api/v1/auth/logout-all", { token: first.access_token })).status, 200);
  for (const { access_token } of [first, second]) assert.equal(await show("two", "strict", access_token), 401);
  assert.equal(await show("two", "strict", other.access_token), 200);
  assert.equal(await show("two", "strict", (await signIn("everywhere")).access_token), 200);
});

/** Sends a request and resets its connection 80 ms later; gives the status, or how it ended. */
function breakOff(path, token) {
  return new Promise((resolve) => {
    const options = { headers: { authorization: `Bearer ${token}` }, agent: false };
    const request = http.get(`${url("two")}${path}`, options, ({ statusCode }) => resolve(statusCode));
    request.once("error", ({ code }) => resolve(code));
    setTimeout(() => request.socket?.resetAndDestroy(), 80);
  });
}

test("who breaks off request after request holds nobody up", async () => {
  const [ada, attacker] = [await user("steady"), await user("breaker")];
  for (const { access_token } of [ada, attacker]) assert.equal(await show("two", "private", access_token), 200);
  await send("two", "GET", "/slowed?ms=300");
  const until = Date.now() + BOUND_MS + 3000;
  const pause = () => new Promise((resolve) => setTimeout(resolve, 400));
  let done = false;
  // Each asks the feed, and its client is gone before the answer comes; for longer than a view is good for.
  const breaking = async () => {
    const broken = [];
    while (!done) {
      broken.push(breakOff("/demo/strict/x", attacker.access_token));
      await pause();
    }
    return Promise.all(broken);
  };
  const steady = async () => {
    const statuses = [];
    while (Date.now() < until) {
      statuses.push(await show("two", "private", ada.access_token));
      await pause();
    }
    done = true;
    return statuses;
  };
  const [broken, statuses] = await Promise.all([breaking(), steady()]);
  assert.ok(broken.filter((code) => code === "ECONNRESET").length > 20, "they were broken off");
  assert.deepEqual(new Set(statuses), new Set([200]));
  await send("two", "GET", "/slowed?ms=0");
});

test("what is changed on the record around the Worker is heard of, too", async () => {
  const ada = await user("changed");
  assert.equal(await show("two", "private", ada.access_token), 200);
  const now = Date.now();
  await database.batch([
    database
      .prepare("INSERT INTO revocations (kind, value, created_at, until) VALUES ('session', ?1, ?2, ?3)")
      .bind(ada.session_id, now, now + 3_600_000),
    database.prepare("DELETE FROM role_permissions WHERE role = 'user' AND permission = 'content:create'"),
  ]);
  const until = Date.now() + 3 * BOUND_MS;
  while ((await show("two", "private", ada.access_token)) !== 401) {
    assert.ok(Date.now() < until, "it was never heard of");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const before = await counts("two");
  const bob = await user("later");
  for (let time = 0; time < 20; time += 1) assert.equal(await show("two", "private", bob.access_token), 200);
  const after = await counts("two");
  assert.ok(after.database - before.database <= 1, "roles are read once, because they are of another version");
});
