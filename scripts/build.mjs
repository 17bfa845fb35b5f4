// Builds the Worker into build/: Rust → wasm → bundle. Does nothing if nothing it is made of
// changed since the last build. wrangler calls this before it serves or deploys.
//
// With --probe, into build-probe/: the same Worker with functions that tests and benchmarks ask.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

import { isMain, root, run, say } from "./lib.mjs";
import { cargoTool, helperEnv, locked, npmTool } from "./setup.mjs";

const INPUTS = ["src", "templates", "policy.toml", "Cargo.toml", "Cargo.lock", "package-lock.json", "scripts/build.mjs"];
const OUTPUTS = ["index.js", "index_bg.wasm"];
/** Half of what Cloudflare's free plan takes, in bytes of gzip: what an isolate loads before its first request. */
const MAX_BYTES = 1536 * 1024;
/** Where builds go, and what they are built with. */
const DEPLOYED = { folder: "build", options: [] };
export const PROBE = { folder: "build-probe", options: ["--", "--features", "probe"] };

/** One digest of everything the bundle is made of. */
function digest() {
  const hash = createHash("sha256");
  const add = (path) => {
    const full = join(root, path);
    const entries = readdirSyncOrNull(full);
    if (entries) entries.sort().forEach((name) => add(`${path}/${name}`));
    else hash.update(`${path}\0`).update(readFileSync(full));
  };
  INPUTS.forEach(add);
  return hash.digest("hex");
}

function readdirSyncOrNull(path) {
  try {
    return readdirSync(path);
  } catch (error) {
    if (error.code === "ENOTDIR") return null;
    throw error;
  }
}

/** Builds if something changed. */
export async function build({ folder, options } = DEPLOYED) {
  const inputs = digest();
  const stamp = join(root, folder, ".inputs");
  const there = OUTPUTS.every((name) => existsSync(join(root, folder, name)));
  if (there && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;
  say(folder === DEPLOYED.folder ? "building the Worker" : "building the Worker for tests");
  const env = { ...process.env, ...(await helperEnv()) };
  run(cargoTool("worker-build", locked("worker")), ["--release", "--out-dir", folder, ...options], { env });
  // The names of functions, which worker-build keeps, are a sixteenth of the bundle, and nothing here reads them.
  const wasm = join(root, folder, "index_bg.wasm");
  run(npmTool("wasm-opt"), ["--strip-debug", wasm, "-o", wasm]);
  writeFileSync(stamp, inputs);
}

/** What the bundle weighs, in KiB. */
export function sizes() {
  const entry = join(root, "src", "edge.js");
  const files = [...OUTPUTS.map((name) => join(root, DEPLOYED.folder, name)), entry].map((path) => readFileSync(path));
  const kib = (bytes) => (bytes / 1024).toFixed(0);
  const sum = (list) => list.reduce((total, bytes) => total + bytes, 0);
  const raw = sum(files.map((file) => file.length));
  const gzip = sum(files.map((file) => gzipSync(file, { level: 9 }).length));
  return { raw: kib(raw), gzip: kib(gzip), bytes: gzip };
}

if (isMain(import.meta) && process.argv.includes("--probe")) {
  await build(PROBE);
} else if (isMain(import.meta)) {
  await build();
  const { raw, gzip, bytes } = sizes();
  say(`bundle ${raw} KiB raw, ${gzip} KiB gzip`);
  if (bytes > MAX_BYTES) {
    console.error(`edgewarden: the bundle is over ${MAX_BYTES / 1024} KiB gzip`);
    process.exit(1);
  }
}
