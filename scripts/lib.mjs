// What the scripts share. They run on the Node that is there (20 or newer); wrangler itself runs
// on the one that package.json pins.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether a module is the script that was started. */
export const isMain = (meta) => process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(meta.url);

/** Where pinned tools are kept, outside any checkout, so that a second clone finds them. */
export const toolCache =
  process.env.EDGEWARDEN_TOOLS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "edgewarden", "tools");

/** Where local databases, namespaces and objects are kept. */
export const stateFolder = () => process.env.STATE || join(root, ".wrangler", "state");

/** Ends the script with one sentence. */
export function fail(sentence) {
  console.error(`edgewarden: ${sentence}`);
  process.exit(1);
}

/** Says what is being done. */
export const say = (sentence) => console.log(`edgewarden: ${sentence}`);

/** Runs a command to its end, with its output shown; its failure ends the script. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], ...options });
  if (error?.code === "ENOENT") fail(`${command} is not installed (see README, "What you need")`);
  if (status !== 0) fail(`${[command, ...args].join(" ")} failed`);
}

/** Runs a command to its end and gives what it printed, or null if it failed. */
export function capture(command, args, options = {}) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
  return status === 0 ? stdout : null;
}

/** The environment that wrangler runs in: no prompts, no metrics, no look-ups of its own. */
export const wranglerEnv = {
  ...process.env,
  CI: "true",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  NO_UPDATE_NOTIFIER: "1",
};

/** The command line of wrangler on the pinned Node. */
export function wrangler(args) {
  const node = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (!existsSync(node)) fail("node_modules is not complete; remove it and run make again");
  return [node, [join(root, "node_modules", "wrangler", "bin", "wrangler.js"), ...args]];
}

/** Starts a long-lived child in a process group of its own, so that all of it can be ended. */
export function start(command, args, options = {}) {
  return spawn(command, args, { cwd: root, detached: true, ...options });
}

/** Ends a child and everything it started; gives it three seconds to do so itself. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const signal = (name) => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // It is gone already.
    }
  };
  signal("SIGTERM");
  const timer = setTimeout(() => signal("SIGKILL"), 3000);
  await ended;
  clearTimeout(timer);
  // What the group's leader left behind.
  signal("SIGKILL");
}
