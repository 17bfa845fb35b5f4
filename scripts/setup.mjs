// Makes a machine ready: wasm target, pinned tools, npm packages, local secrets. Every step looks
// first and does nothing where nothing is to be done.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { capture, fail, isMain, root, run, say, toolCache } from "./lib.mjs";

/** The version of a package in Cargo.lock. */
export function locked(name) {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8");
  const found = lock.match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`));
  return found?.[1] ?? fail(`Cargo.lock holds no ${name}`);
}

/** Tools that only `make check` uses. */
export const CHECK_TOOLS = { "cargo-deny": "0.20.2", "cargo-machete": "0.9.2" };

/** The path of a cargo-built tool, built if it is not in the cache. */
export function cargoTool(name, version, binary = name) {
  const folder = join(toolCache, `${name}-${version}`);
  const path = join(folder, "bin", binary);
  if (existsSync(path)) return path;
  say(`building ${name} ${version} (once; kept in ${toolCache})`);
  mkdirSync(toolCache, { recursive: true });
  // Built aside and moved in whole, so that what is in the cache is complete.
  const aside = join(toolCache, `.${name}-${version}-${process.pid}`);
  const env = { ...process.env, CARGO_TARGET_DIR: join(toolCache, `.build-${process.pid}`) };
  // What a build leaves behind is large and of no more use, however it ends.
  const sweep = () => [aside, env.CARGO_TARGET_DIR].forEach((path) => rmSync(path, { recursive: true, force: true }));
  process.once("exit", sweep);
  run("cargo", ["install", "--quiet", "--root", aside, "--version", version, name], { env });
  try {
    renameSync(aside, folder);
  } catch (error) {
    // Another clone was faster; its copy is as good.
    if (!existsSync(path)) throw error;
  }
  sweep();
  process.off("exit", sweep);
  return path;
}

/** A program that comes from npm. */
export const npmTool = (name) => join(root, "node_modules", ".bin", name);

/**
 * The environment in which worker-build finds its helpers. esbuild always comes from npm. The
 * other two are prebuilt downloads that worker-build makes itself, where their host can be
 * reached; elsewhere wasm-bindgen is built by cargo, and wasm-opt comes from npm.
 */
export async function helperEnv() {
  const env = { ESBUILD_BIN: npmTool("esbuild") };
  const version = locked("wasm-bindgen");
  const built = join(toolCache, `wasm-bindgen-cli-${version}`, "bin", "wasm-bindgen");
  if (!existsSync(built) && (await canDownload(version))) return env;
  return { ...env, WASM_BINDGEN_BIN: cargoTool("wasm-bindgen-cli", version, "wasm-bindgen"), WASM_OPT_BIN: npmTool("wasm-opt") };
}

let downloads;

/**
 * Whether prebuilt helpers can be had, asked for at most three seconds: of the very file, so that
 * the host which release pages redirect to is asked as well.
 */
async function canDownload(version) {
  const file = `wasm-bindgen-${version}-x86_64-unknown-linux-musl.tar.gz`;
  const url = `https://github.com/wasm-bindgen/wasm-bindgen/releases/download/${version}/${file}`;
  downloads ??= fetch(url, { method: "HEAD", signal: AbortSignal.timeout(3000) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return downloads;
}

function rustTarget() {
  const installed = capture("rustup", ["target", "list", "--installed"]);
  if (installed === null) fail('rustup is not installed (see README, "What you need")');
  if (!installed.includes("wasm32-unknown-unknown")) run("rustup", ["target", "add", "wasm32-unknown-unknown"]);
}

function npmPackages() {
  const [lock, done] = [join(root, "package-lock.json"), join(root, "node_modules", ".package-lock.json")];
  const node = join(root, "node_modules", "node", "bin", "node");
  const fresh = existsSync(done) && existsSync(node) && statSync(done).mtimeMs >= statSync(lock).mtimeMs;
  if (fresh) return;
  say("installing npm packages");
  // Not `npm ci`: that refuses a lock file which lacks another platform's optional packages, whose
  // exact versions their own parents fix. What the lock file has is installed as it says, and it
  // is not written.
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** A list of one fresh 256-bit secret. */
const secret = () => `k1:${randomBytes(32).toString("base64url")}`;

function devVars() {
  const path = join(root, ".dev.vars");
  if (existsSync(path)) return;
  say("writing .dev.vars with fresh secrets");
  const lines = [
    "# Secrets of this checkout for local development. Never committed.",
    "ENVIRONMENT=development",
    `KEY_ENCRYPTION_KEY=${secret()}`,
    `TOKEN_MAC_KEY=${secret()}`,
  ];
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600, flag: "wx" });
}

/** All that building and serving need. */
export async function setup() {
  rustTarget();
  npmPackages();
  devVars();
  cargoTool("worker-build", locked("worker"));
  await helperEnv();
}

if (isMain(import.meta)) await setup();
