// What an origin checks of an assertion, by the very lines that docs/ORIGINS.md gives for Node.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

const { E2E_URL: url, E2E_ACCESS_TOKEN: token, E2E_SUBJECT: subject, E2E_ORIGIN: origin } = process.env;
const root = join(import.meta.dirname, "..", "..");

/** The documented lines as a module, where it finds this project's packages. */
const folder = (mkdirSync(join(root, "target"), { recursive: true }), mkdtempSync(join(root, "target", "e2e-origin-")));
after(() => rmSync(folder, { recursive: true }));
const snippets = [...readFileSync(join(root, "docs", "ORIGINS.md"), "utf8").matchAll(/```js\n(.+?)```/gs)].map(([, lines]) => lines);
const snippet = (name) => snippets.find((lines) => lines.includes(`function ${name}(`));
writeFileSync(join(folder, "is-of.mjs"), snippet("isOf"));
const { isOf: documentedCheck } = await import(join(folder, "is-of.mjs"));
async function documented(audience) {
  const lines = snippet("caller");
  const file = join(folder, `${encodeURIComponent(audience).replaceAll("%", "_")}.mjs`);
  writeFileSync(file, lines);
  Object.assign(process.env, { EDGEWARDEN_URL: url, EDGEWARDEN_AUDIENCE: audience });
  return (await import(file)).caller;
}

async function seen(path) {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200);
  return response.json();
}

const assertion = async (path = "/demo/private/x") => (await seen(path)).headers["x-auth-assertion"];

test("an origin learns who calls", async () => {
  const caller = await documented(origin);
  const claims = await caller(await assertion());
  assert.deepEqual([claims.sub, claims.sub_iss, claims.roles, claims.auth_method], [subject, url, ["user"], "bearer"]);
  assert.ok(!("request" in claims));
});

test("one that is for a request names it", async () => {
  const caller = await documented(origin);
  const { headers, method, path } = await seen("/demo/bound/a%20b?x=1");
  const { request } = await caller(headers["x-auth-assertion"]);
  assert.equal(path, "/demo/bound/a%20b");
  const isOf = (what) => documentedCheck({ request }, { method, headers, url: `${path}?x=1`, ...what });
  assert.ok(isOf({}));
  for (const other of [{ method: "POST" }, { url: path }, { url: `${path}?x=2` }, { headers: { "x-forwarded-host": "h" } }]) assert.ok(!isOf(other));
});

test("what is not an assertion for this origin is refused", async () => {
  const [caller, other] = [await documented(origin), await documented("https://other.example")];
  const good = await assertion();
  await assert.rejects(other(good), /"aud"/);
  await assert.rejects(caller(token), /"typ"|"aud"/);
  const [head, claims, signature] = good.split(".");
  const raised = JSON.parse(Buffer.from(claims, "base64url"));
  raised.roles = ["admin"];
  await assert.rejects(caller([head, Buffer.from(JSON.stringify(raised)).toString("base64url"), signature].join(".")), /signature/);
  await assert.rejects(caller(`${head}.${claims}.`), /signature/);
});
