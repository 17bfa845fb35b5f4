// A second factor that somebody else computes: oathtool is given the secret that set-up tells, and its codes must sign in,
// for tokens and for a cookie. scripts/e2e.mjs runs this and says by environment where, who, and which oathtool.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const { E2E_URL: url, E2E_OATHTOOL: oathtool } = process.env;
const STEP_SECS = 30;
const USER = { username: "factor", email: "factor@example.org", password: "Correct-Horse-7" };

async function post(path, body, headers = {}) {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

function expect(answer, status) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return answer;
}

/** Codes as an app shows them, each once: the one of now or, since it is taken already, of the next step; or it is waited for. */
function codesOf(secret) {
  let last = 0;
  const step = () => Math.floor(Date.now() / 1000 / STEP_SECS);
  return async () => {
    last = Math.max(last + 1, step());
    while (step() + 1 < last) await new Promise((resolve) => setTimeout(resolve, 100));
    return execFileSync(oathtool, ["--totp", "-b", `-N@${last * STEP_SECS}`, secret], { encoding: "utf8" }).trim();
  };
}

const { username, password } = USER;
expect(await post("users/register", USER), 201);
const { access_token: first } = expect(await post("auth/token", { username, password }), 200).body;
const bearer = { authorization: `Bearer ${first}` };
const { secret, otpauth_uri: uri } = expect(await post("mfa/setup", {}, bearer), 200).body;
const next = codesOf(secret);

test("what an app is given says issuer, account and secret", () => {
  const { protocol, host, pathname, searchParams } = new URL(uri);
  assert.deepEqual([protocol, host], ["otpauth:", "totp"]);
  assert.equal(decodeURIComponent(pathname), `/Edgewarden:${USER.email}`);
  assert.deepEqual([searchParams.get("issuer"), searchParams.get("secret")], ["Edgewarden", secret]);
});

test("oathtool's codes enrol and sign in, each once", async () => {
  const { recovery_codes: codes } = expect(await post("mfa/confirm", { code: await next() }, bearer), 200).body;
  assert.equal(new Set(codes).size, 10);
  const asked = expect(await post("auth/token", { username, password }), 200).body;
  assert.equal(asked.mfa_required, true);
  const code = await next();
  const tokens = expect(await post("auth/mfa/verify", { mfa_token: asked.mfa_token, code }), 200).body;
  const proxied = await fetch(`${url}/demo/factor/x`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(proxied.status, 200);
  const again = expect(await post("auth/token", { username, password }), 200).body;
  expect(await post("auth/mfa/verify", { mfa_token: again.mfa_token, code }), 401);
  const own = { origin: url };
  const browser = expect(await post("auth/login", { username, password }, own), 200).body;
  const signedIn = expect(await post("auth/mfa/verify", { mfa_token: browser.mfa_token, code: await next() }, own), 200);
  assert.ok(signedIn.headers.getSetCookie().some((line) => line.startsWith("edgewarden=")));
});
