// Whether bodies stream: how much more memory the process holds after a gibibyte has passed, each way, than before. Only where the
// system tells of another process's memory in /proc.

import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { root } from "../scripts/lib.mjs";
import { HOST } from "../scripts/miniflare.mjs";
import { startWorld } from "./world.mjs";

const MEBIBYTE = 2 ** 20;
const [WARM_UP, BYTES] = [64 * MEBIBYTE, 1024 * MEBIBYTE];
const CHUNK = Buffer.alloc(64 * 1024);

/** Each way: MiB held before and after; or nothing, where that cannot be told. */
export async function measureStreams() {
  if (process.platform !== "linux") return undefined;
  const origin = spawn(process.execPath, [join(root, "demo", "origin.mjs"), "0"], { stdio: ["ignore", "pipe", "inherit"] });
  let world;
  try {
    const [line] = await new Promise((resolve) => createInterface({ input: origin.stdout }).once("line", (...lines) => resolve(lines)));
    const before = new Set(workerds());
    world = await startWorld({ origin: `http://${HOST}:${line.split(" ").at(-1)}` });
    const [pid] = workerds().filter((one) => !before.has(one));
    const results = {};
    for (const [way, pass] of Object.entries({ down, up })) {
      await pass(world.ports.edgewarden, WARM_UP);
      const held = megabytes(pid);
      await pass(world.ports.edgewarden, BYTES);
      results[way] = { before: held, after: megabytes(pid) };
    }
    return results;
  } finally {
    await world?.stop();
    origin.kill();
  }
}

/** Downloads so many bytes. */
async function down(port, bytes) {
  const answer = await fetch(`http://${HOST}:${port}/demo/public/big?bytes=${bytes}`);
  let count = 0;
  for await (const chunk of answer.body) count += chunk.length;
  if (count !== bytes) throw new Error(`${count} of ${bytes} bytes came`);
}

/** Uploads so many bytes, of which the length is said before. */
async function up(port, bytes) {
  const options = { host: HOST, port, path: "/demo/public/x", method: "POST", headers: { "content-length": bytes } };
  const sending = request(options);
  const answered = new Promise((resolve, reject) => sending.once("response", resolve).once("error", reject));
  const chunks = (function* () {
    for (let sent = 0; sent < bytes; sent += CHUNK.length) yield CHUNK;
  })();
  await pipeline(Readable.from(chunks), sending);
  let text = "";
  for await (const part of await answered) text += part;
  if (JSON.parse(text).body !== `${bytes} bytes`) throw new Error(`the origin saw ${JSON.parse(text).body}`);
}

/** This process's own, by their ids. */
function workerds() {
  const status = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/status`, "utf8");
    } catch {
      return ""; // It ended.
    }
  };
  const isOurs = (text) => /^Name:\s+workerd$/m.test(text) && new RegExp(`^PPid:\\s+${process.pid}$`, "m").test(text);
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isOurs(status(name)));
}

/** What a process holds in memory, in MiB. */
const megabytes = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)[1]) / 1024;
