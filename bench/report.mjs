// Results as text: the tables, what they are of, and no more than they show.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "../scripts/lib.mjs";
import { FEW, MANY } from "./routes.mjs";
import { PASSWORD_COST } from "./world.mjs";

/** Fewer rounds or requests than these show that it runs, and little else. */
const ENOUGH = { rounds: 5, requests: 1000 };
/** Above this share the generator may have been the narrow place. */
const BUSY = 0.8;

const LABELS = { passthrough: "pass-through", carrier: "carrier", peer: "hono + jose", edgewarden: "Edgewarden" };

/** RESULTS.md. */
export function report(settings, results) {
  const { memory, passes, parallelism } = PASSWORD_COST;
  return `# Benchmark

Written by \`make bench\`; do not edit.${shortened(settings)}

Requests per second depend on the machine and on what else it was doing: in this run, the pass-through
alone answered between ${range(results.proxied, "passthrough")} of the same requests per second from round to round.
**Only the ratios mean something.** Each is taken within one round, in which all services run one
after another, in an order that rotates. Shown are the median over the rounds and, in brackets, the
least and the greatest.

${versions()}

${settings.rounds} rounds after the warm-up; ${settings.requests} requests per service, scenario and round, over
${settings.connections} keep-alive connections, each of which sends its next request when the last is answered. An answer with another
status than the expected one fails the whole run.

All services are Workers in one workerd process, each on a socket of its own, and so is the
origin, which answers fixed JSON of some 70 bytes over HTTP:

- **pass-through** forwards everything and checks nothing.
- **carrier** carries as Edgewarden does, with its very code for that, and decides nothing: it has one verdict for all.
- **hono + jose** verifies the token with \`jwtVerify\` against the same key set, removes the same
  headers, sets the same identity and refuses in the same words. That both do the same, forged
  headers included, is checked before anything is timed.
- **Edgewarden** is the built Worker with D1, KV and its Durable Object, under this repository's
  policy.toml.

## A proxied request with a valid token

\`GET /demo/private/x\`, always with the same EdDSA token, which is remembered, as is what is asserted of its bearer. Neither Edgewarden
(\`ACCESS_LOG=refusals\`) nor the peer writes a line into the log for what it forwards.

${throughput(results.proxied)}

${verdict(results.proxied)}

${wanted(results)}

**What stands in the way** of the first is not the decision but what it takes to carry a request on this runtime: whoever looks at its headers,
removes one, sets a dozen, keeps a time limit and adds five to the answer has the carrier's rate at best,
${spread(ratios(results.proxied, "carrier", "passthrough"))} of the pass-through. Edgewarden, with the decision, does ${spread(ratios(results.proxied, "edgewarden", "carrier"))} of
the carrier. Some three tenths of the carrier's cost are the dozen headers themselves, which the origin has to read as well.

What was tried, each beside what is there, in 9 to 13 rounds in one process (noise: some 5 %; *of pass-through*):

| | | |
| --- | --- | --- |
| a dozen headers more, the same ready-made object for each request: nothing is computed | 0.93, where the same without them has 1.07 | the origin is to have them |
| one list of pairs for the request's headers, or one object, instead of a copy that is changed | 58 µs and 19 µs instead of 12 µs in a loop; 0.79 and 0.85 instead of 0.89 | not kept |
| the answer's headers made at once instead of changed one by one | 0.63 instead of 0.68 | not kept |
| no time limit at all, or one without \`AbortController\` | 0.69 and 0.69 instead of 0.68 | not kept: the body of a request is broken off by it |
| \`forEach\` over the request's headers instead of \`for … of\` | 3.7 µs instead of 8 µs in a loop | kept |
| the clock without an object for each reading | 0.4 µs instead of 0.9 µs in a loop | kept |
| one verdict for all instead of deciding, with all the rest | 0.77 instead of 0.70 | that is what deciding costs in traffic; in a loop it is 16 µs of some 800 |

The two do not do the same work here. Edgewarden remembers in its isolate which tokens it verified; it
asks for their time and key again at each request, and the feed of revocations beside an answer, when what it
said is five seconds old. The peer verifies the signature at every request, as jose does, and never
asks about revocation. A token's first request is not in these numbers.

### With a line in the log

The same, where both write a line for each request that they forward, as Edgewarden does unless it is told otherwise. The simulator hands each line to
the process that makes the load, which is busier for it.

${throughput(results.logged)}

${verdict(results.logged)}

## All tokens different

The same request, each with a token that was not seen before, of another user and another session: both verify a signature and sign an assertion for
each. No line in the log for what is forwarded.

${throughput(results.different)}

${verdict(results.different)}

What stands in the way is that somebody has to be asked twice, from WebAssembly, and each question is a promise of JavaScript that a future of
Rust waits for. V8's profiler, of some 1,200 µs for such a request: the signature's check 102 µs and the making of one 46 µs (native, in both
services), carrying as above; and beside that 41 µs for waking futures (\`queueMicrotask\`), some 40 µs for the timer by which no request waits for
ever, four decisions (before, between and after the questions) of some 20 µs each, 26 µs of collecting garbage. Tried, in 11 rounds: without that timer 0.49 of the
pass-through instead of 0.48; without the decision before the first question 0.48; without both 0.51. Not kept: the timer is why no request hangs, and the first decision is the only one of a
request that is remembered.

## A refused token

The same request with one bit of the signature turned: 401 from both, each after verifying the
signature and with a line in the log. The pass-through is there for reference; it forwards this
request too, so that a ratio above 1 says that refusing is cheaper than forwarding.

${throughput(results.refused)}

${verdict(results.refused)}

## One token

What it takes to believe one token, without HTTP: another process with the same build and jose in one
isolate. *First* is a token that is not remembered: its digest, its header, its key, its signature, its
claims, who that is, and remembering it. *Remembered* is the same token again. *jose* is \`jwtVerify\`
with an imported key; *bare* only the signature, by \`crypto.subtle.verify\` on bytes that are decoded
already. HMAC is computed in WebAssembly here, everything else by Web Crypto.

${verification(results.verification)}

${against(results.verification)}

## Roles

What roles come to is worked out once by a fresh isolate, from what the edge bundle holds of them: each role's own permissions
and what it inherits, up to 16 above one another. *Worked out* is reading that and working out all that is inherited, in
WebAssembly; *parsed* is \`JSON.parse\` of the same text, and no more. The last row is as many as there can be.

${roles(results.roles)}

## Routes

What it takes to find the route of a request among few and among many, in WebAssembly: its path brought into its one spelling,
then found. *By path*: each route has a path of its own; *by host*: all have the same, each on a host of its own.

${routes(results.routes)}

## Large bodies

What the process holds more after a gibibyte has passed through the gateway than before, each way, after 64 MiB to warm up. All that is
held by workerd counts, its simulated network included; the origin is another process.

${streams(results.streams)}

## A sign-in

\`POST /api/v1/auth/token\` with username and password, ${settings.signIns} per round, one after another. Each comes
from another address, because sign-ins are limited to 5 a minute and 20 in a quarter of an hour by
address. Beside each, one bare argon2id at the same cost (${memory} KiB, ${passes} passes, parallelism ${parallelism})
in the native code of Node's OpenSSL.

${signIns(results.signIn)}

**Failures.** An unknown name, a wrong password and a closed account are to take as long as each other, so that nobody learns
by a clock which it was. Of each kind ${settings.signIns} were done per round, one beside the other, in an order that rotates.

${failures(results.signIn)}

The ratio holds all that a sign-in is beside a native hash: argon2id in WebAssembly, the limiter's
object, two batches in the database, the signature of the new token, HTTP. They are not told apart.

## What is not measured

- Cloudflare's network and machines: no way to D1, KV and Durable Objects, which are simulated in the
  same process; no cold starts; no processor time as it is billed.
- The checks alone: each ratio is of whole requests, origin included. All of workerd's share runs on
  one thread, and fetches go through the local simulator's outbound Worker, alike for all of them.
- WebSockets, strict routes, routes with limits, other
  gateways.
- The load generator, in Node on the same machine. It was busy for ${percent(busiest(results))} of its busiest run${narrow(results)}.
`;
}

const shortened = ({ rounds, requests }) =>
  rounds < ENOUGH.rounds || requests < ENOUGH.requests
    ? " **This was a shortened run: it shows that the benchmark works, and nothing else.**"
    : "";

/** The least and the greatest throughput of a service. */
function range(rounds, service) {
  const all = rounds.map((runs) => Math.round(runs[service].perSecond));
  return `${Math.min(...all)} and ${Math.max(...all)}`;
}

function versions() {
  const packaged = (name) => JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")).version;
  const own = readFileSync(join(root, "Cargo.toml"), "utf8").match(/^version = "(.+)"$/m)[1];
  const rows = [
    ["Edgewarden", own],
    ...["workerd", "miniflare", "hono", "jose"].map((name) => [name, packaged(name)]),
    ["Node", process.versions.node],
  ];
  return table(["", "version"], rows);
}

/** Requests per second of one scenario. */
function throughput(rounds) {
  const rows = Object.entries(LABELS).filter(([service]) => rounds[0][service]).map(([service, label]) => [
    label,
    Math.round(median(rounds.map((runs) => runs[service].perSecond))).toString(),
    service === "passthrough" ? "1" : spread(ratios(rounds, service, "passthrough")),
  ]);
  return table(["", "requests/s, median", "relative to pass-through"], rows);
}

/** What can be said of Edgewarden beside the peer. */
function verdict(rounds) {
  const all = ratios(rounds, "edgewarden", "peer");
  const [least, greatest] = [Math.min(...all), Math.max(...all)];
  const beside = `Edgewarden relative to hono + jose: ${spread(all)} requests per second.`;
  if (least > 1) return `${beside} It was faster in every round.`;
  if (greatest < 1) return `${beside} It was slower in every round.`;
  return `${beside} Neither was faster in every round.`;
}

/** What was wanted of whole requests, and what came of it. */
function wanted({ proxied, different }) {
  const line = (what, rounds, other, least) => {
    const ratio = median(ratios(rounds, "edgewarden", other));
    return `- ${what}, at least ${least.toFixed(2)} of ${LABELS[other]}: ${ratio >= least ? "met" : "missed"} (${ratio.toFixed(2)}).`;
  };
  return [
    line("A remembered token", proxied, "passthrough", 0.85),
    line("A remembered token", proxied, "peer", 1.15),
    line("Tokens that all differ (below)", different, "peer", 1),
  ].join("\n");
}

/** Microseconds for one token, and how the ways compare in each round. */
function verification(results) {
  const micros = (list) => `${median(list).toFixed(1)} µs`;
  const rows = Object.entries(results).map(([algorithm, { first, remembered, jose, bare }]) => [
    algorithm,
    ...[first, remembered, jose, bare].map(micros),
    spread(byRound(first, bare)),
    spread(byRound(first, jose)),
  ]);
  return table(["", "first", "remembered", "jose", "bare", "first / bare", "first / jose"], rows);
}

/** How large what is read of roles is, and how long working it out takes. */
function roles(results) {
  const millis = (list) => `${(median(list) / 1000).toFixed(2)} ms`;
  const rows = results.map(({ roles, permissions, bytes, worked, parsed }) => [
    `${roles} roles, ${permissions} permissions`,
    `${(bytes / 1024).toFixed(1)} KiB`,
    millis(worked),
    millis(parsed),
    spread(byRound(worked, parsed)),
  ]);
  return table(["", "in the bundle", "worked out", "parsed", "worked out / parsed"], rows);
}

/** How long finding a route takes. */
function routes(results) {
  const rows = Object.entries(results).map(([kind, { few, many }]) => [
    { paths: "by path", hosts: "by host" }[kind],
    ...[few, many].map((list) => `${median(list).toFixed(2)} µs`),
    spread(byRound(many, few)),
  ]);
  return table(["", `${FEW} routes`, `${MANY} routes`, "ratio"], rows);
}

/** More than this is not streaming, in MiB. */
const FLAT = 64;

function streams(results) {
  if (!results) return "Not told: this system does not say what another process holds.";
  const mebibytes = (number) => `${number.toFixed(1)} MiB`;
  const rows = [["from the origin", results.down], ["to the origin", results.up]].map(([way, { before, after }]) => [
    way,
    mebibytes(before),
    mebibytes(after),
    mebibytes(after - before),
  ]);
  const most = Math.max(...Object.values(results).map(({ before, after }) => after - before));
  const verdict = `- At most ${FLAT} MiB more: ${most <= FLAT ? "met" : "missed"} (${mebibytes(most)}).`;
  return `${table(["", "before", "after", "more"], rows)}\n\n${verdict}`;
}

const byRound = (one, other) => one.map((time, round) => time / other[round]);

/** What was wanted, and what came of it. */
function against(results) {
  const remembered = Math.max(...Object.values(results).map((ways) => median(ways.remembered)));
  const [eddsa, hs256] = [results.EdDSA, results.HS256];
  const overBare = median(byRound(eddsa.first, eddsa.bare));
  const overJose = median(byRound(hs256.first, hs256.jose));
  const verdict = (holds) => (holds ? "met" : "missed");
  return [
    `- Remembered in at most 5 µs, whatever the algorithm: ${verdict(remembered <= 5)} (${remembered.toFixed(1)} µs).`,
    `- EdDSA, first time, at most 1.3 times the bare signature: ${verdict(overBare <= 1.3)} (${overBare.toFixed(2)}).`,
    `- HS256, first time, no slower than jose: ${verdict(overJose <= 1)} (${overJose.toFixed(2)}).`,
  ].join("\n");
}

function signIns(rounds) {
  const row = (label, name) => [label, `${median(rounds.flatMap((times) => times[name])).toFixed(1)} ms`];
  const each = rounds.map(({ signIn, hash }) => median(signIn) / median(hash));
  return table(["", "median", "relative to the bare hash"], [
    [...row("bare argon2id, native", "hash"), "1"],
    [...row("sign-in", "signIn"), spread(each)],
  ]);
}

/** How long each kind of failure takes, and how it compares with a wrong password, round by round. */
function failures(rounds) {
  const row = (label, name) => [
    label,
    `${median(rounds.flatMap((times) => times[name])).toFixed(1)} ms`,
    name === "wrong" ? "1" : spread(rounds.map((times) => median(times[name]) / median(times.wrong))),
  ];
  return table(["", "median", "relative to a wrong password"], [
    row("wrong password", "wrong"),
    row("unknown name", "unknown"),
    row("closed account", "inactive"),
  ]);
}

/** How a service did beside another, round by round. */
const ratios = (rounds, one, other) => rounds.map((runs) => runs[one].perSecond / runs[other].perSecond);

const spread = (list) => `${median(list).toFixed(2)} (${Math.min(...list).toFixed(2)}–${Math.max(...list).toFixed(2)})`;

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const busiest = ({ proxied, logged, different, refused }) =>
  Math.max(...[proxied, logged, different, refused].flat().flatMap((runs) => Object.values(runs).map(({ busy }) => busy)));

const narrow = (results) => (busiest(results) > BUSY ? ", so it may have held the fastest service back" : "");

const percent = (share) => `${Math.round(share * 100)} %`;

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index ? "---:" : "---"))), ...rows.map(line)].join("\n");
}
