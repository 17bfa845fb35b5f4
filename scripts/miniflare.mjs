// Workers in one workerd process of miniflare's, each on a socket of its own: for the benchmark, and for tests that need
// several isolates over the same stores. Requests do not go through miniflare's entry Worker.

import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

import { Log, LogLevel, Miniflare } from "miniflare";

import { root } from "./lib.mjs";

export const HOST = "127.0.0.1";

/** What `edgewarden` is bound to; `owner` is the Worker whose objects they are. */
export const bindings = (stores, owner) => ({
  DB: { type: "d1", id: stores },
  BLACKLIST: { type: "kv", id: stores },
  SESSIONS: { type: "kv", id: `${stores}-sessions` },
  RATE_LIMITER: object(owner, "RateLimiter"),
  REVOCATIONS: object(owner, "RevocationFeed"),
});

/** The objects of a Worker. */
export const OBJECTS = {
  RateLimiter: { type: "durable-object", storage: "sqlite" },
  RevocationFeed: { type: "durable-object", storage: "sqlite" },
};

export const text = (value) => ({ type: "text", value });
export const secret = () => text(`k1:${randomBytes(32).toString("base64url")}`);
export const source = (path) => ({ type: "esm", contents: file(path).toString() });
const file = (path) => readFileSync(join(root, path));
const object = (worker, exportName) => ({ type: "durable-object", worker, exportName });

/** A Worker with a socket of its own. Its first module is its main one. */
export function worker(name, ports, modules, more = {}) {
  const compatibilityDate = file("wrangler.toml").toString().match(/^compatibility_date = "(.+)"$/m)[1];
  const manifest = { mainModule: Object.keys(modules)[0], modulesRoot: root, modules };
  const sockets = [{ host: HOST, port: ports[name] }];
  return {
    config: { name, compatibilityDate, manifest, ...more },
    dev: { rootPath: root, unsafeDirectSockets: sockets, stripCfConnectingIp: false },
  };
}

/** Starts Workers; `told` gets each line that they log. */
export async function startWorkers(workers, told) {
  const miniflare = new Miniflare({
    host: HOST,
    cf: false,
    enableDevRegistry: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ message }) => told(message),
    workers,
  });
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  return miniflare;
}

/** Edgewarden as it is deployed. */
export function edgewardenModules() {
  return {
    "src/edge.js": source("src/edge.js"),
    "src/origin.js": source("src/origin.js"),
    "build/index.js": source("build/index.js"),
    "build/index_bg.wasm": { type: "wasm", contents: new Uint8Array(file("build/index_bg.wasm")) },
  };
}

/** Ports that nobody listens on now, all held at once so that they differ. */
export async function freePorts(names) {
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
export async function migrate(database) {
  const names = readdirSync(join(root, "migrations")).filter((name) => name.endsWith(".sql")).sort();
  for (const name of names) await database.prepare(file(`migrations/${name}`).toString()).run();
}
