// Everything that is held green beside the tests. Each step runs, so that one run shows all that
// is wrong.

import { spawnSync } from "node:child_process";

import { root, say } from "./lib.mjs";
import { CHECK_TOOLS, cargoTool } from "./setup.mjs";

const [deny, machete] = ["cargo-deny", "cargo-machete"].map((name) => cargoTool(name, CHECK_TOOLS[name]));
const WASM = ["--target", "wasm32-unknown-unknown"];
const LINTS = ["--", "-D", "warnings"];

const STEPS = [
  ["format", "cargo", ["fmt", "--check"]],
  ["lints on the host", "cargo", ["clippy", "--locked", "--all-targets", ...LINTS]],
  ["lints on wasm32", "cargo", ["clippy", "--locked", ...WASM, ...LINTS]],
  ["documentation", "cargo", ["doc", "--locked", "--no-deps", "--document-private-items"], { RUSTDOCFLAGS: "-D warnings" }],
  ["bans, licences, sources", deny, ["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]],
  ["unused dependencies", machete, []],
];

function passes(name, command, args, env = {}) {
  say(`check: ${name}`);
  const { status } = spawnSync(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"] });
  return status === 0;
}

/** Advisories need a database from the network: checked where it can be had, said where it can't. */
function advisories() {
  say("check: advisories");
  const args = ["--locked", "check", "--hide-inclusion-graph", "advisories"];
  const { status, stdout, stderr } = spawnSync(deny, args, { cwd: root, encoding: "utf8", timeout: 60_000 });
  const said = `${stdout}${stderr}`;
  if (status !== 0 && /failed to (fetch|clone|load|open|obtain|acquire)/.test(said)) {
    say("the advisory database cannot be fetched here; advisories were NOT checked");
    return true;
  }
  process.stdout.write(said);
  return status === 0;
}

const failed = STEPS.filter((step) => !passes(...step)).map(([name]) => name);
if (!advisories()) failed.push("advisories");
if (failed.length > 0) {
  console.error(`edgewarden: check failed: ${failed.join(", ")}`);
  process.exit(1);
}
say("check: all green");
