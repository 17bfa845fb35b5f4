// Measures what Edgewarden costs beside a bare pass-through and beside hono with jose, and writes
// bench/RESULTS.md.
//
// usage: node_modules/node/bin/node bench/run.mjs, after node scripts/build.mjs
//
// BENCH_ROUNDS (9) and BENCH_REQUESTS (2500 per run) may be set to shorten it.
//
// Machines are noisy and get warm, so nothing is compared across time: in every round each service
// runs once, close together and in rotated order, and only ratios within a round are kept.

import * as crypto from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";

import { fail, root, say } from "../scripts/lib.mjs";
import { FAILURES, PASSWORD, SIGNER, broken, register, signIn } from "./account.mjs";
import { keptConnections, load } from "./load.mjs";
import { report } from "./report.mjs";
import { checkSame } from "./same.mjs";
import { measureRoles } from "./roles.mjs";
import { measureRoutes } from "./routes.mjs";
import { measureStreams } from "./stream.mjs";
import { measureVerification } from "./verify.mjs";
import { PASSWORD_COST, startWorld } from "./world.mjs";

const CONNECTIONS = 16;
/** Sign-ins are slow by intent; one is done for each of so many requests. */
const REQUESTS_PER_SIGN_IN = 125;
/** Rounds that nobody counts, while engines compile what is hot. */
const WARM_UPS = 2;
/** Sign-ins that came to nothing so far, of each kind. */
let failed = 0;

/** Which Worker stands for what: without a line in the log for what is forwarded, or with one. */
const QUIET = { passthrough: "passthrough", carrier: "carrier", peer: "quietPeer", edgewarden: "quiet" };
const LOUD = { passthrough: "passthrough", peer: "peer", edgewarden: "edgewarden" };
const ALL_GOOD = { passthrough: 200, carrier: 200, peer: 200, edgewarden: 200 };
/** What checks nothing answers a refused token, too, with what the origin says. */
const SCENARIOS = {
  proxied: { services: QUIET, expected: ALL_GOOD },
  logged: { services: LOUD, expected: ALL_GOOD },
  different: { services: { ...QUIET, carrier: undefined }, expected: ALL_GOOD, differ: true },
  refused: { services: LOUD, expected: { ...ALL_GOOD, peer: 401, edgewarden: 401 }, token: broken },
};
const namesOf = ({ services }) => Object.keys(services).filter((name) => services[name]);

if (!crypto.argon2Sync) fail("this needs the pinned Node: node_modules/node/bin/node bench/run.mjs");
const settings = {
  rounds: whole("BENCH_ROUNDS", 9),
  requests: whole("BENCH_REQUESTS", 2500),
  connections: CONNECTIONS,
};
settings.signIns = Math.max(3, Math.round(settings.requests / REQUESTS_PER_SIGN_IN));

let world;
try {
  world = await startWorld();
  const results = await measure(world);
  await world.stop();
  say("streams");
  results.streams = await measureStreams();
  say("one token at a time");
  results.verification = await measureVerification(settings.rounds);
  say("roles");
  results.roles = await measureRoles(settings.rounds);
  say("routes");
  results.routes = await measureRoutes(settings.rounds);
  writeFileSync(join(root, "bench", "RESULTS.md"), report(settings, results));
  say("bench/RESULTS.md is written");
} catch (error) {
  for (const line of world?.lastLines ?? []) console.error(line);
  console.error(error);
  process.exitCode = 1;
} finally {
  await world?.stop();
}

/** A whole number of at least one from the environment. */
function whole(name, otherwise) {
  const number = Number(process.env[name] || otherwise);
  return Number.isInteger(number) && number >= 1 ? number : fail(`${name} must be a whole number, at least 1`);
}

/** Everything, in rounds. */
async function measure({ ports, signerLike }) {
  await register(ports.edgewarden);
  const token = await signIn(ports.edgewarden);
  await checkSame(ports, token);
  await checkSame({ peer: ports.quietPeer, edgewarden: ports.quiet }, token);
  const another = await signerLike(token);
  const run = (scenario, service, tokens) => {
    const { services, expected, token: made = (token) => token } = SCENARIOS[scenario];
    const headers = {
      accept: "application/json",
      "accept-language": "en",
      authorization: `Bearer ${made(token)}`,
      "cf-connecting-ip": "198.51.100.7",
      "user-agent": "bench",
    };
    const message = { port: ports[services[service]], path: "/demo/private/x", headers };
    return load(message, { expected: expected[service], connections: CONNECTIONS, count: settings.requests, tokens });
  };
  /** One round of a scenario. Where tokens are to differ, each service sees the same ones, and each of them once. */
  const runAll = async (scenario, round) => {
    const runs = {};
    const { differ } = SCENARIOS[scenario];
    const tokens = differ ? await Promise.all(Array.from({ length: settings.requests }, another)) : undefined;
    for (const service of rotated(namesOf(SCENARIOS[scenario]), round)) runs[service] = await run(scenario, service, tokens);
    return runs;
  };
  say("warming up");
  for (let time = 0; time < WARM_UPS; time += 1) {
    for (const scenario of Object.keys(SCENARIOS)) await runAll(scenario, time);
    await timedSignIns(ports.edgewarden);
  }
  const results = { proxied: [], logged: [], different: [], refused: [], signIn: [] };
  for (let round = 0; round < settings.rounds; round += 1) {
    for (const scenario of Object.keys(SCENARIOS)) results[scenario].push(await runAll(scenario, round));
    results.signIn.push(await timedSignIns(ports.edgewarden));
    say(`round ${round + 1} of ${settings.rounds}`);
  }
  return results;
}

/** The same list, beginning further on. */
function rotated(list, by) {
  return list.map((_, index) => list[(index + by) % list.length]);
}

/** Sign-ins one after another, each beside one that fails of each kind, and one bare hash at the same cost; in milliseconds. */
async function timedSignIns(port) {
  const agent = keptConnections(1);
  const times = { signIn: [], unknown: [], wrong: [], inactive: [], hash: [] };
  try {
    for (let count = 0; count < settings.signIns; count += 1) {
      times.signIn.push(await timed(() => signIn(port, agent, SIGNER)));
      for (const [why, fail] of rotated(Object.entries(FAILURES), count)) {
        times[why].push(await timed(() => fail(port, agent, failed)));
      }
      failed += 1;
      times.hash.push(await timed(bareHash));
    }
  } finally {
    agent.destroy();
  }
  return times;
}

/** What a sign-in cannot do without: one argon2id, here by Node's OpenSSL in native code. */
function bareHash() {
  const nonce = crypto.randomBytes(16);
  crypto.argon2Sync("argon2id", { message: PASSWORD, nonce, tagLength: 32, ...PASSWORD_COST });
}

async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}
