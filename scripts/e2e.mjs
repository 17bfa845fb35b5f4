// Tests that need more than Rust and Node: libraries that others wrote, given nothing but our
// URLs, must accept our tokens and refuse forged ones, our verifier must accept theirs, and an origin
// behind the gateway must see who calls and nothing that the caller made up. One Worker with a state of
// its own serves each algorithm that tokens can be signed with; the tests themselves are in tests/e2e.
//
// Without a usable Python the PyJWT part is left out, and without oathtool that of the second factor, which is said; with
// CI=true either is a failure.

import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { root, say, start, stop, toolCache } from "./lib.mjs";
import { setup } from "./setup.mjs";

const PYTHON_PACKAGES = { "PyJWT[crypto]": "2.15.1", cryptography: "50.0.2", "openapi-spec-validator": "0.9.0" };

/** The Worker may have to be built first. */
const READY_TIMEOUT_MS = 15 * 60_000;
/** dev.mjs gives what it started three seconds; it has this long to end in order itself. */
const END_TIMEOUT_MS = 20_000;
const INSTALL_TIMEOUT_MS = 5 * 60_000;
const TESTS_TIMEOUT_MS = 2 * 60_000;
/** So many of the Worker's last lines are shown when something failed. */
const TAIL = 60;

/** What is asked where tokens are signed with which algorithm. A shared key is in no key set, for no origin. */
const SUITES = [
  { algorithm: "EdDSA", tests: ["jose", "origin", "algorithms", "isolates", "docs"], asksPython: true, asksOathtool: true },
  { algorithm: "ES256", tests: ["jose"], asksPython: true },
  { algorithm: "RS256", tests: ["jose"], asksPython: true },
  { algorithm: "HS256", tests: ["shared"], asksPython: false },
];

/** RFC 6238, appendix B: the secret of its examples, and the code of the 59th second. */
const RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const RFC_CODE = "287082";

const USER = { username: "ada", email: "ada@example.org", password: "Correct-Horse-7" };

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));

/** Starts the Worker. Its lines are kept; those in which dev.mjs says what it does are shown. */
function startWorker(state, algorithm) {
  const env = { ...process.env, PORT: "0", ORIGIN_PORT: "0", PUBLIC_URL: "", STATE: state };
  const args = [join(root, "scripts", "dev.mjs"), "--until-stdin-closes", `SIGNING_ALG=${algorithm}`, "API_LIMIT=10000"];
  const child = start(process.execPath, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {}); // It ended first.
  const lines = [];
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the Worker was not ready in time")), READY_TIMEOUT_MS);
    const settle = (how) => (value) => (clearTimeout(timer), how(value));
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on("line", (line) => {
        lines.push(line);
        if (lines.length > TAIL) lines.shift();
        if (line.startsWith("edgewarden: ")) console.log(line);
        const url = line.match(/^ready: (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
        if (url) settle(resolve)(url);
      });
    }
    child.once("error", settle(reject));
    child.once("exit", (code) => settle(reject)(new Error(`the Worker ended (${code})`)));
    interrupted.signal.addEventListener("abort", () => settle(reject)(interrupted.signal.reason));
  });
  return { child, lines, ready };
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

/** Registers a user and signs in, once: all that the tests are told, as environment variables. */
async function signIn(url) {
  const headers = { "content-type": "application/json" };
  const { id } = await post(`${url}/api/v1/users/register`, { headers, body: JSON.stringify(USER) }, 201);
  const { username, password } = USER;
  const answer = await post(`${url}/api/v1/auth/token`, { body: new URLSearchParams({ username, password }) }, 200);
  return {
    E2E_URL: url,
    E2E_JWKS_URL: `${url}/.well-known/jwks.json`,
    E2E_ISSUER: url,
    E2E_AUDIENCE: "edgewarden",
    E2E_SUBJECT: id,
    E2E_ACCESS_TOKEN: answer.access_token,
  };
}

/** Runs tests with their output shown; gives their exit code and what they printed. */
function runTests(command, args, facts) {
  const env = { ...process.env, ...facts, NO_COLOR: "1", FORCE_COLOR: undefined, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" };
  const child = spawn(command, args, {
    cwd: root,
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

/** A Python with the pinned PyJWT, made once and kept outside the checkout; or why there is none. */
function pyjwt() {
  const name = `python-${Object.values(PYTHON_PACKAGES).join("-")}`;
  const folder = join(toolCache, name);
  const pythonIn = (place) => join(place, "bin", "python");
  const call = (command, args) => {
    const options = { cwd: toolCache, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: INSTALL_TIMEOUT_MS };
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    const lines = `${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n");
    const why = error?.message ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
    return { ok: status === 0, why };
  };
  const works = () => existsSync(pythonIn(folder)) && call(pythonIn(folder), ["-c", "import jwt, cryptography, openapi_spec_validator"]).ok;
  mkdirSync(toolCache, { recursive: true });
  if (works()) return { python: pythonIn(folder) };

  const found = call("python3", ["--version"]);
  if (!found.ok) return { missing: `python3 is not installed or does not run (${found.why})` };
  say(`installing PyJWT and openapi-spec-validator (once; kept in ${toolCache})`);
  // Made aside and moved in whole, so that what is in the cache is complete.
  const aside = join(toolCache, `.${name}-${process.pid}`);
  try {
    const made = call("python3", ["-m", "venv", aside]);
    if (!made.ok) return { missing: `python3 cannot make a virtual environment with pip (${made.why})` };
    const pins = Object.entries(PYTHON_PACKAGES).map(([name, version]) => `${name}==${version}`);
    const flags = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2", "--only-binary=:all:"];
    const installed = call(pythonIn(aside), ["-m", "pip", "install", ...flags, ...pins]);
    if (!installed.ok) return { missing: `pip cannot install ${pins.join(" and ")} (${installed.why})` };
    // What is there by now is as good, if another clone put it there; if not, its Python is gone.
    if (!works()) {
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return { python: pythonIn(folder) };
}

/** An oathtool: the one that is installed, or Debian's, unpacked once and kept outside the checkout; or why there is none. */
function oathtool() {
  const folder = join(toolCache, "oathtool");
  const unpacked = { E2E_OATHTOOL: join(folder, "usr", "bin", "oathtool"), LD_LIBRARY_PATH: join(folder, "lib") };
  const works = (env) => {
    const options = { env: { ...process.env, ...env }, encoding: "utf8", timeout: 10_000 };
    const { stdout } = spawnSync(env.E2E_OATHTOOL, ["--totp", "-b", "-N@59", RFC_SECRET], options);
    return stdout?.trim() === RFC_CODE;
  };
  for (const env of [{ E2E_OATHTOOL: "oathtool" }, unpacked]) if (works(env)) return { env };

  const aside = join(toolCache, `.oathtool-${process.pid}`);
  const run = (command, args) => spawnSync(command, args, { cwd: aside, encoding: "utf8", timeout: INSTALL_TIMEOUT_MS });
  mkdirSync(join(aside, "lib"), { recursive: true });
  try {
    say(`unpacking Debian's oathtool (once; kept in ${toolCache})`);
    const packages = ["oathtool", "liboath0"];
    // Lists of packages of its own, where the machine's are missing: that takes no rights.
    const own = ["-o", `Dir::State=${aside}`, "-o", `Dir::Cache=${aside}`, "-o", "Dir::State::status=/var/lib/dpkg/status"];
    if (run("apt-get", ["download", ...packages]).status !== 0) {
      mkdirSync(join(aside, "lists", "partial"), { recursive: true });
      run("apt-get", [...own, "update"]);
      const { status, stderr, error } = run("apt-get", [...own, "download", ...packages]);
      if (status !== 0) return { missing: `oathtool is neither installed nor to be had from apt-get (${error?.message ?? stderr.trim().split("\n").at(-1)})` };
    }
    for (const file of readdirSync(aside).filter((name) => name.endsWith(".deb"))) run("dpkg-deb", ["-x", file, "."]);
    const libraries = readdirSync(join(aside, "usr", "lib"), { recursive: true });
    for (const file of libraries.filter((name) => /liboath\.so\.0$/.test(name))) copyFileSync(join(aside, "usr", "lib", file), join(aside, "lib", "liboath.so.0"));
    if (!works(unpacked)) {
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
    return works(unpacked) ? { env: unpacked } : { missing: "Debian's oathtool does not run here" };
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** One Worker, and all that is asked of it. */
async function suite({ algorithm, tests, asksPython, asksOathtool }, python, oath) {
  const state = mkdtempSync(join(tmpdir(), "edgewarden-e2e-"));
  const worker = startWorker(state, algorithm);
  const before = sum.failed;
  try {
    say(`e2e: ${algorithm}`);
    const secret = readFileSync(join(root, ".dev.vars"), "utf8").match(/^KEY_ENCRYPTION_KEY=(.+)$/m)?.[1];
    const own = { E2E_ALGORITHM: algorithm, E2E_STATE: state, E2E_KEY_ENCRYPTION_KEY: secret };
    const facts = { ...(await signIn(await worker.ready)), ...own };
    add(await nodeTests(tests, facts));
    if (asksOathtool && oath) add(await nodeTests(["factor"], { ...facts, ...oath }));
    if (asksPython && python) add(await pythonTests(python, facts));
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
  const { python, missing: noPython } = pyjwt();
  const { env: oath, missing: noOathtool } = oathtool();
  await description(python);
  for (const each of SUITES) {
    interrupted.signal.throwIfAborted();
    await suite(each, python, oath);
  }
  if (noPython) console.error(`edgewarden: PyJWT was not run: ${noPython}`);
  if (noOathtool) console.error(`edgewarden: the second factor was not tried: ${noOathtool}`);
  if ((noPython || noOathtool) && process.env.CI === "true") sum.failed += 1;
} catch (error) {
  console.error(`edgewarden: ${error.message}`);
  sum.failed += 1;
}
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exit(sum.failed === 0 ? 0 : 1);
