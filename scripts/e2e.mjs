// Tests that need more than Rust and Node: libraries that others wrote, given nothing but our
// URLs, must accept our tokens and refuse forged ones, our verifier must accept theirs, and an origin
// behind the gateway must see who calls and nothing that the caller made up. One Worker with a state of
// its own serves each algorithm that tokens can be signed with, and one more is asked all that its description allows and much
// that it does not; the tests themselves are in tests/e2e.
//
// Without a usable Python what needs one is left out, without oathtool the second factor, and without nginx forward auth, which is
// said; with CI=true each is a failure.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { nginx, oathtool, pythonWithPackages } from "./e2e-tools.mjs";
import { root, say, start, stop } from "./lib.mjs";
import { setup } from "./setup.mjs";

/** The Worker may have to be built first. */
const READY_TIMEOUT_MS = 15 * 60_000;
/** dev.mjs gives what it started three seconds; it has this long to end in order itself. */
const END_TIMEOUT_MS = 20_000;
const TESTS_TIMEOUT_MS = 3 * 60_000;
/** So many of the Worker's last lines are shown when something failed. */
const TAIL = 60;

/** By what a proxy is known: two, as while one takes the other's place. */
const FORWARD_AUTH_SECRET = ["k1", "k2"].map((id) => `${id}:${randomBytes(32).toString("base64url")}`).join(",");

/** What is asked where tokens are signed with which algorithm. A shared key is in no key set, for no origin. */
const SUITES = [
  {
    algorithm: "EdDSA",
    tests: ["jose", "origin", "assertion", "stream", "algorithms", "isolates", "issuer", "docs"],
    asksPython: true,
    asksOathtool: true,
    asksNginx: true,
    vars: [`FORWARD_AUTH_SECRET=${FORWARD_AUTH_SECRET}`],
  },
  { algorithm: "ES256", tests: ["jose"], asksPython: true },
  { algorithm: "RS256", tests: ["jose"], asksPython: true },
  { algorithm: "HS256", tests: ["shared"] },
  { algorithm: "EdDSA", described: true, vars: ["REGISTER_LIMIT=1000", "INVITE_LIMIT=1000", "APIKEY_LIMIT=10000", "MAX_LOGIN_FAILURES=100"] },
];

const USER = { username: "ada", email: "ada@example.org", password: "Correct-Horse-7" };
const OTHER = { username: "grace", email: "grace@example.org", password: "Correct-Horse-7" };

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));

/** Starts the Worker. Its lines are kept; those in which dev.mjs says what it does are shown. */
function startWorker(state, algorithm, vars = []) {
  const env = { ...process.env, PORT: "0", ORIGIN_PORT: "0", PUBLIC_URL: "", STATE: state };
  const args = [join(root, "scripts", "dev.mjs"), "--until-stdin-closes", `SIGNING_ALG=${algorithm}`, "API_LIMIT=10000", ...vars];
  const child = start(process.execPath, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {}); // It ended first.
  const lines = [];
  const found = { child, lines, origin: undefined };
  found.ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the Worker was not ready in time")), READY_TIMEOUT_MS);
    const settle = (how) => (value) => (clearTimeout(timer), how(value));
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (line) => {
        lines.push(line);
        if (lines.length > TAIL) lines.shift();
        if (line.startsWith("edgewarden: ")) console.log(line);
        const url = line.match(/^ready: (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
        found.origin ??= line.match(/^demo origin: pid \d+ on (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
        if (url) settle(resolve)(url);
      });
    }
    child.once("error", settle(reject));
    child.once("exit", (code) => settle(reject)(new Error(`the Worker ended (${code})`)));
    interrupted.signal.addEventListener("abort", () => settle(reject)(interrupted.signal.reason));
  });
  return found;
}

/** Closing its input ends dev.mjs and all that it started; what does not end is ended. */
async function endWorker({ child }) {
  const ended = child.exitCode !== null || child.signalCode !== null || new Promise((resolve) => child.once("exit", resolve));
  child.stdin.end();
  let timer;
  await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, END_TIMEOUT_MS)))]);
  clearTimeout(timer);
  await stop(child);
}

async function post(url, options, expected) {
  const response = await fetch(url, { method: "POST", signal: interrupted.signal, ...options });
  const text = await response.text();
  if (response.status !== expected) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

async function register(url, user) {
  const headers = { "content-type": "application/json" };
  return (await post(`${url}/api/v1/users/register`, { headers, body: JSON.stringify(user) }, 201)).id;
}

async function tokenOf(url, { username, password }) {
  return (await post(`${url}/api/v1/auth/token`, { body: new URLSearchParams({ username, password }) }, 200)).access_token;
}

/** Registers a user and signs in, once: all that the tests are told, as environment variables. */
async function signIn(url) {
  return {
    E2E_URL: url,
    E2E_JWKS_URL: `${url}/.well-known/jwks.json`,
    E2E_ISSUER: url,
    E2E_AUDIENCE: "edgewarden",
    E2E_USERNAME: USER.username,
    E2E_PASSWORD: USER.password,
    E2E_SUBJECT: await register(url, USER),
    E2E_ACCESS_TOKEN: await tokenOf(url, USER),
  };
}

/** Runs tests with their output shown; gives their exit code and what they printed. */
function runTests(command, args, facts, cwd = root) {
  const env = { ...process.env, ...facts, NO_COLOR: "1", FORCE_COLOR: undefined, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" };
  const child = spawn(command, args, {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TESTS_TIMEOUT_MS,
    signal: interrupted.signal,
  });
  let text = "";
  for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
    from.setEncoding("utf8").on("data", (chunk) => ((text += chunk), to.write(chunk)));
  }
  return new Promise((resolve) => {
    child.once("error", (error) => (console.error(`edgewarden: ${command}: ${error.message}`), resolve({ code: 1, text })));
    child.once("close", (code) => resolve({ code: code ?? 1, text }));
  });
}

/** Tests that ended badly without a count of their own count as one failure. */
const tally = (code, passed, failed) => ({ passed, failed: failed || (code === 0 && passed > 0 ? 0 : 1) });

async function nodeTests(tests, facts) {
  const node = join(root, "node_modules", "node", "bin", "node");
  const files = tests.map((name) => join(root, "tests", "e2e", `${name}.test.mjs`));
  const { code, text } = await runTests(node, ["--test", "--test-reporter=spec", "--test-timeout=60000", ...files], facts);
  const count = (what) => Number(text.match(new RegExp(`^\\S+ ${what} (\\d+)$`, "m"))?.[1] ?? 0);
  return tally(code, count("pass"), count("fail") + count("cancelled"));
}

async function pythonTests(python, facts) {
  const { code, text } = await runTests(python, [join(root, "tests", "e2e", "pyjwt_origin.py"), "-v"], facts);
  const count = (pattern) => Number(text.match(pattern)?.[1] ?? 0);
  const failed = count(/^FAILED \(.*failures=(\d+)/m) + count(/^FAILED \(.*errors=(\d+)/m);
  return tally(code, Math.max(0, count(/^Ran (\d+) tests? in/m) - failed), failed);
}

/** Others' readers of the API's description: whether it is one. */
async function description(python) {
  say("e2e: the API's description");
  const file = join(root, "src", "api", "docs", "openapi.json");
  const quiet = { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const [node, redocly] = [join(root, "node_modules", "node", "bin", "node"), join(root, "node_modules", "@redocly", "cli", "bin", "cli.js")];
  const read = [await runTests(node, [redocly, "lint", "--config", join(root, "redocly.yaml"), "--max-problems=50", file], quiet)];
  if (python) read.push(await runTests(python, ["-m", "openapi_spec_validator", file], {}));
  for (const { code } of read) add(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
}

/** Asks, as a super_admin, all that the description allows and much that it does not. */
async function described(url, state, python) {
  const other = await register(url, OTHER);
  await register(url, USER);
  const granted = await runTests(process.execPath, [join(root, "scripts", "admin.mjs")], { USERNAME: USER.username, STATE: state });
  if (granted.code !== 0) throw new Error("no super_admin could be made");
  const facts = { E2E_URL: url, E2E_OTHER: other, E2E_ACCESS_TOKEN: await tokenOf(url, USER) };
  const [config, file] = [join(root, "tests", "e2e", "schemathesis.toml"), join(root, "src", "api", "docs", "openapi.json")];
  // What it notes for its next run goes with the state.
  const { code } = await runTests(python, ["-m", "schemathesis.cli", "--config-file", config, "run", "--no-color", file], facts, state);
  add(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
}

/** One Worker, and all that is asked of it. */
async function suite(what, { python, oath, proxy }) {
  const { algorithm, vars, tests } = what;
  const state = mkdtempSync(join(tmpdir(), "edgewarden-e2e-"));
  const worker = startWorker(state, algorithm, vars);
  const before = sum.failed;
  try {
    say(`e2e: ${what.described ? "all that the description allows" : algorithm}`);
    const url = await worker.ready;
    if (what.described) {
      await described(url, state, python);
    } else {
      const secret = readFileSync(join(root, ".dev.vars"), "utf8").match(/^KEY_ENCRYPTION_KEY=(.+)$/m)?.[1];
      const own = { E2E_ORIGIN: worker.origin, E2E_ALGORITHM: algorithm, E2E_STATE: state, E2E_KEY_ENCRYPTION_KEY: secret };
      const facts = { ...(await signIn(url)), ...own };
      add(await nodeTests(tests, facts));
      if (what.asksOathtool && oath) add(await nodeTests(["factor"], { ...facts, ...oath }));
      if (what.asksNginx && proxy) add(await nodeTests(["forward-auth"], { ...facts, E2E_FORWARD_AUTH_SECRET: FORWARD_AUTH_SECRET, ...proxy }));
      if (what.asksPython && python) add(await pythonTests(python, facts));
    }
  } catch (error) {
    console.error(`edgewarden: ${error.message}`);
    sum.failed += 1;
  }
  await endWorker(worker);
  rmSync(state, { recursive: true, force: true, maxRetries: 5 });
  if (sum.failed > before) console.error(`\nThe last lines of the Worker:\n  ${worker.lines.join("\n  ")}\n`);
}

const sum = { passed: 0, failed: 0 };
const add = ({ passed, failed }) => ((sum.passed += passed), (sum.failed += failed));
try {
  await setup();
  const { python, missing: noPython } = pythonWithPackages();
  const { env: oath, missing: noOathtool } = oathtool();
  const { env: proxy, missing: noNginx } = nginx();
  await description(python);
  for (const each of SUITES) {
    interrupted.signal.throwIfAborted();
    if (each.described && !python) continue;
    await suite(each, { python, oath, proxy });
  }
  if (noPython) console.error(`edgewarden: what needs Python was not run: ${noPython}`);
  if (noOathtool) console.error(`edgewarden: the second factor was not tried: ${noOathtool}`);
  if (noNginx) console.error(`edgewarden: forward auth was not tried: ${noNginx}`);
  if ((noPython || noOathtool || noNginx) && process.env.CI === "true") sum.failed += 1;
} catch (error) {
  console.error(`edgewarden: ${error.message}`);
  sum.failed += 1;
}
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exit(sum.failed === 0 ? 0 : 1);
