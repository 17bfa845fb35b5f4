// The world of the benchmark: one workerd process that holds pass-through, peer, Edgewarden and the
// origin behind them, each on a socket of its own. Sharing one process is what makes the three
// comparable: same runtime, same thread, same moment.
//
// miniflare configures that process (it comes with wrangler, which pins it). Requests do not go
// through its entry Worker; fetches to the origin do go through its outbound one, for all three.

import { build } from "esbuild";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";

import { fail, root } from "../scripts/lib.mjs";

/** What hashing a password costs: RFC 9106 parameters, given to Edgewarden and to the bare hash. */
export const PASSWORD_COST = { memory: 19_456, passes: 2, parallelism: 1 };
const AUDIENCE = "edgewarden";
const HOST = "127.0.0.1";
/** Log lines of workerd that are kept for the report of a failure. */
const KEPT_LINES = 20;

const text = (value) => ({ type: "text", value });
const secret = () => text(`k1:${randomBytes(32).toString("base64url")}`);
const file = (path) => readFileSync(join(root, path));
const source = (path) => ({ type: "esm", contents: file(path).toString() });

/**
 * Starts it. `ports` has each service's port, `stop` ends it (as miniflare itself does on a signal),
 * `lastLines` are the last lines of its log.
 */
export async function startWorld() {
  if (!existsSync(join(root, "build", "index_bg.wasm"))) fail("nothing is built; run node scripts/build.mjs");
  const ports = await freePorts(["passthrough", "peer", "edgewarden", "origin"]);
  const url = (name) => `http://${HOST}:${ports[name]}`;
  const database = { type: "d1", id: "bench" };
  const origin = text(url("origin"));
  const workers = [
    worker("origin", ports, { "origin.js": source("bench/workers/origin.js") }),
    worker("passthrough", ports, { "passthrough.js": source("bench/workers/passthrough.js") }, { env: { ORIGIN: origin } }),
    worker("peer", ports, await bundledPeer(), {
      env: {
        ORIGIN: origin,
        JWKS_URL: text(`${url("edgewarden")}/.well-known/jwks.json`),
        ISSUER: text(url("edgewarden")),
        AUDIENCE: text(AUDIENCE),
        DB: database,
      },
    }),
    worker("edgewarden", ports, edgewardenModules(), {
      env: {
        ...edgewardenVars(url),
        DB: database,
        BLACKLIST: { type: "kv", id: "bench" },
        RATE_LIMITER: object("RateLimiter"),
        REVOCATIONS: object("RevocationFeed"),
      },
      exports: {
        RateLimiter: { type: "durable-object", storage: "sqlite" },
        RevocationFeed: { type: "durable-object", storage: "sqlite" },
      },
    }),
  ];
  const lastLines = [];
  const miniflare = new Miniflare({
    host: HOST,
    cf: false,
    enableDevRegistry: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ message }) => {
      lastLines.push(message);
      if (lastLines.length > KEPT_LINES) lastLines.shift();
    },
    workers,
  });
  const stop = () => miniflare.dispose();
  try {
    await miniflare.ready;
    await migrate(await miniflare.getD1Database("DB", "edgewarden"));
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, stop, lastLines };
}

/** A Worker with a socket of its own. Its first module is its main one. */
function worker(name, ports, modules, more = {}) {
  const compatibilityDate = file("wrangler.toml").toString().match(/^compatibility_date = "(.+)"$/m)[1];
  const manifest = { mainModule: Object.keys(modules)[0], modulesRoot: root, modules };
  const sockets = [{ host: HOST, port: ports[name] }];
  return {
    config: { name, compatibilityDate, manifest, ...more },
    dev: { rootPath: root, unsafeDirectSockets: sockets, stripCfConnectingIp: false },
  };
}

/** Edgewarden as it is deployed. */
function edgewardenModules() {
  return {
    "src/edge.js": source("src/edge.js"),
    "build/index.js": source("build/index.js"),
    "build/index_bg.wasm": { type: "wasm", contents: new Uint8Array(file("build/index_bg.wasm")) },
  };
}

function edgewardenVars(url) {
  return {
    ENVIRONMENT: text("development"),
    PUBLIC_URL: text(url("edgewarden")),
    DEMO_ORIGIN: text(url("origin")),
    AUDIENCE: text(AUDIENCE),
    // One token must outlast the run.
    ACCESS_TTL: text("1h"),
    ARGON2_MEMORY_KIB: text(`${PASSWORD_COST.memory}`),
    ARGON2_ITERATIONS: text(`${PASSWORD_COST.passes}`),
    ARGON2_PARALLELISM: text(`${PASSWORD_COST.parallelism}`),
    KEY_ENCRYPTION_KEY: secret(),
    TOKEN_MAC_KEY: secret(),
  };
}

const object = (exportName) => ({ type: "durable-object", worker: "edgewarden", exportName });

async function bundledPeer() {
  const { outputFiles } = await build({
    entryPoints: [join(root, "bench", "workers", "peer.js")],
    bundle: true,
    write: false,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
  });
  return { "peer.js": { type: "esm", contents: outputFiles[0].text } };
}

/** Ports that nobody listens on now, all held at once so that they differ. */
async function freePorts(names) {
  const held = await Promise.all(
    names.map(async (name) => {
      const server = createServer();
      await new Promise((resolve, reject) => server.once("error", reject).listen(0, HOST, resolve));
      return { name, server, port: server.address().port };
    }),
  );
  await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  return Object.fromEntries(held.map(({ name, port }) => [name, port]));
}

/** Applies each migration whole: the local D1 takes several statements at once. */
async function migrate(database) {
  const names = readdirSync(join(root, "migrations")).filter((name) => name.endsWith(".sql")).sort();
  for (const name of names) await database.prepare(file(`migrations/${name}`).toString()).run();
}
