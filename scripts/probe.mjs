// Asks the test-only build of the Worker (feature `probe`), in workerd, about signatures: reads a list
// of cases as JSON from the file that is named, and prints the list of answers as JSON.
//
// usage: node_modules/node/bin/node scripts/probe.mjs CASES.json

import { readFileSync } from "node:fs";

import { fail } from "./lib.mjs";
import { startProbe } from "./probe-worker.mjs";

/** So many cases go into one request. */
const PER_REQUEST = 250;

const [path] = process.argv.slice(2);
if (!path) fail("usage: scripts/probe.mjs CASES.json");
const cases = JSON.parse(readFileSync(path, "utf8"));
const probe = await startProbe();
try {
  const answers = [];
  for (let at = 0; at < cases.length; at += PER_REQUEST) {
    answers.push(...(await probe.ask("signatures", cases.slice(at, at + PER_REQUEST))));
  }
  process.stdout.write(JSON.stringify(answers));
} finally {
  await probe.stop();
}
