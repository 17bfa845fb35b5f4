// Serves the Worker on this machine with a demo origin behind it, after all set-up.
//
// PORT (8787), PUBLIC_URL (http://127.0.0.1:PORT) and STATE (.wrangler/state) may be set; with
// different ones, two copies run side by side. Further arguments NAME=value set variables of the
// Worker. Ctrl-C ends everything that was started; with --until-stdin-closes, so does the end of
// standard input, which is how tests make sure that nothing outlives them.

import { randomInt } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { join } from "node:path";

import { build } from "./build.mjs";
import { fail, root, run, say, start, stateFolder, stop, wrangler, wranglerEnv } from "./lib.mjs";
import { setup } from "./setup.mjs";

/** The Worker has this long to answer for the first time. */
const START_TIMEOUT_MS = 120_000;

const children = [];
let ending = false;

async function end(code) {
  if (ending) return;
  ending = true;
  await Promise.all(children.map(stop));
  process.exit(code);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(0));

const args = process.argv.slice(2);
const untilStdinCloses = args.includes("--until-stdin-closes");
if (untilStdinCloses) process.stdin.resume().once("end", () => end(0)).once("error", () => end(0));

const port = process.env.PORT === "0" ? await freePort() : Number(process.env.PORT || 8787);
if (!Number.isInteger(port) || port < 1 || port > 65535) fail("PORT must be a port number");
const publicUrl = process.env.PUBLIC_URL || `http://127.0.0.1:${port}`;
const state = stateFolder();

await setup();
await build();
// A taken port is told at once, not after a minute.
if (!(await isFree(port))) fail(`port ${port} is taken; choose another with PORT=…`);
run(...wrangler(["d1", "migrations", "apply", "DB", "--local", "--persist-to", state]), {
  env: wranglerEnv,
  stdio: ["ignore", "ignore", "inherit"],
});
const origin = await startOrigin();
startWorker(origin);
await answering();
console.log(`ready: ${publicUrl}`);
tour();

/** Whether nobody listens on a port now. */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/**
 * A port that stays free until it is used: below those that the system hands out to connections,
 * and claimed against other copies of this script.
 */
async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const claim = join(tmpdir(), `edgewarden-port-${port}`);
    try {
      mkdirSync(claim);
    } catch {
      continue;
    }
    process.once("exit", () => rmSync(claim, { recursive: true, force: true }));
    if (await isFree(port)) return port;
  }
}

/** A child whose end ends everything. */
function child(command, args, options) {
  const started = start(command, args, options);
  children.push(started);
  started.once("exit", (code) => {
    if (ending) return;
    console.error(`edgewarden: ${args[0]} ended (${code}); stopping`);
    end(1);
  });
  return started;
}

/** Starts the demo origin on a free port and gives its URL. */
async function startOrigin() {
  const script = join(root, "demo", "origin.mjs");
  const origin = start(process.execPath, [script, process.env.ORIGIN_PORT || "0"], { stdio: ["ignore", "pipe", "inherit"] });
  // The gateway must answer 502 without it, so its end ends nothing.
  children.push(origin);
  for await (const line of createInterface({ input: origin.stdout })) {
    const port = line.match(/^demo origin: (\d+)$/)?.[1];
    if (port) {
      console.log(`demo origin: pid ${origin.pid} on http://127.0.0.1:${port}`);
      return `http://127.0.0.1:${port}`;
    }
  }
  fail("the demo origin did not start");
}

/** Starts the Worker in workerd. */
function startWorker(origin) {
  const vars = { PUBLIC_URL: publicUrl, DEMO_ORIGIN: origin };
  for (const arg of args) {
    const [name, ...value] = arg.split("=");
    if (/^[A-Z_]+$/.test(name)) vars[name] = value.join("=");
  }
  // In production no issuer's keys come over plain http.
  if (vars.ENVIRONMENT !== "production") vars.DEMO_JWKS ??= `${origin}/issuer/jwks.json`;
  const given = Object.entries(vars).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const options = ["--ip", "127.0.0.1", "--port", `${port}`, "--inspector-port", "0", "--persist-to", state];
  const command = wrangler(["dev", ...options, "--show-interactive-dev-session=false", ...given]);
  return child(...command, { env: wranglerEnv, stdio: ["ignore", "inherit", "inherit"] });
}

/**
 * Waits until the Worker answers well, or, in production mode, that this is not its host (421) or not over http (308). One
 * that cannot start says why, once, and that ends all.
 */
async function answering() {
  const until = Date.now() + START_TIMEOUT_MS;
  let why = "it did not answer";
  while (Date.now() < until && !ending) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/health`, { redirect: "manual", signal: AbortSignal.timeout(5000) });
      if (response.ok || [308, 421].includes(response.status)) return;
      const type = response.headers.get("content-type");
      if (response.status === 500 && type === "application/problem+json") {
        why = (await response.json()).detail;
        break;
      }
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  if (ending) return;
  say(`the Worker cannot start: ${why}`);
  await end(1);
}

function tour() {
  const api = `${publicUrl}/api/v1`;
  console.log(`
  curl ${publicUrl}/demo/public/hello
  curl ${api}/users/register -H 'Content-Type: application/json' \\
       -d '{"username":"ada","email":"ada@example.org","password":"Correct-Horse-7"}'
  curl ${publicUrl}/dev/outbox
  curl ${api}/auth/token -d username=ada -d password=Correct-Horse-7
`);
}
