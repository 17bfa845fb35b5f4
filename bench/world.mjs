// The world of the benchmark: one workerd process that holds pass-through, carrier, peer, Edgewarden (the last two also without a
// line in the log for what they forward) and the origin behind them, each on a socket of its own. Sharing one process is what makes them
// comparable: same runtime, same thread, same moment.
//
// miniflare configures that process (it comes with wrangler, which pins it). Requests do not go
// through its entry Worker; fetches to the origin do go through its outbound one, for all of them.

import { build } from "esbuild";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { fail, root } from "../scripts/lib.mjs";
import { signerLike } from "./signer.mjs";
import { HOST, OBJECTS, bindings, edgewardenModules, freePorts, migrate, secret, source, startWorkers, text, worker } from "../scripts/miniflare.mjs";

/** What hashing a password costs: RFC 9106 parameters, given to Edgewarden and to the bare hash. */
export const PASSWORD_COST = { memory: 19_456, passes: 2, parallelism: 1 };
const AUDIENCE = "edgewarden";
/** Log lines of workerd that are kept for the report of a failure. */
const KEPT_LINES = 20;

/**
 * Starts it; Edgewarden's origin may be another. `ports` has each service's port, `stop` ends it (as miniflare itself does on a signal),
 * `lastLines` are the last lines of its log, `signerLike` makes more tokens like one.
 */
export async function startWorld({ origin: elsewhere } = {}) {
  if (!existsSync(join(root, "build", "index_bg.wasm"))) fail("nothing is built; run node scripts/build.mjs");
  const ports = await freePorts(["passthrough", "carrier", "peer", "quietPeer", "edgewarden", "quiet", "origin"]);
  const url = (name) => `http://${HOST}:${ports[name]}`;
  const stores = bindings("bench", "edgewarden");
  const origin = text(url("origin"));
  const encryption = secret();
  const ownVars = { ...edgewardenVars(url, elsewhere ?? url("origin")), ...stores, KEY_ENCRYPTION_KEY: encryption, TOKEN_MAC_KEY: secret() };
  const peerModules = await bundledPeer();
  const peerVars = {
    ORIGIN: origin,
    JWKS_URL: text(`${url("edgewarden")}/.well-known/jwks.json`),
    ISSUER: text(url("edgewarden")),
    AUDIENCE: text(AUDIENCE),
    DB: stores.DB,
  };
  const workers = [
    worker("origin", ports, { "origin.js": source("bench/workers/origin.js") }),
    worker("passthrough", ports, { "passthrough.js": source("bench/workers/passthrough.js") }, { env: { ORIGIN: origin } }),
    worker("carrier", ports, carrierModules(), { env: { ORIGIN: origin } }),
    worker("peer", ports, peerModules, { env: peerVars }),
    worker("quietPeer", ports, peerModules, { env: { ...peerVars, ACCESS_LOG: text("refusals") } }),
    worker("edgewarden", ports, edgewardenModules(), { env: ownVars, exports: OBJECTS }),
    worker("quiet", ports, edgewardenModules(), { env: { ...ownVars, ACCESS_LOG: text("refusals") } }),
  ];
  const lastLines = [];
  const told = (line) => {
    lastLines.push(line);
    if (lastLines.length > KEPT_LINES) lastLines.shift();
  };
  const miniflare = await startWorkers(workers, told);
  const stop = () => miniflare.dispose();
  let database;
  try {
    database = await miniflare.getD1Database("DB", "edgewarden");
    await migrate(database);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ports, stop, lastLines, signerLike: (token) => signerLike(token, database, encryption.value) };
}

function edgewardenVars(url, origin) {
  return {
    ENVIRONMENT: text("development"),
    PUBLIC_URL: text(url("edgewarden")),
    DEMO_ORIGIN: text(origin),
    AUDIENCE: text(AUDIENCE),
    // What is measured is not how soon a limit refuses.
    API_LIMIT: text("10000"),
    // One token must outlast the run.
    ACCESS_TTL: text("1h"),
    // So many failures are measured, not refused.
    MAX_LOGIN_FAILURES: text("100"),
    ARGON2_MEMORY_KIB: text(`${PASSWORD_COST.memory}`),
    ARGON2_ITERATIONS: text(`${PASSWORD_COST.passes}`),
    ARGON2_PARALLELISM: text(`${PASSWORD_COST.parallelism}`),
  };
}

function carrierModules() {
  return { "bench/workers/carrier.js": source("bench/workers/carrier.js"), "src/origin.js": source("src/origin.js") };
}

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
