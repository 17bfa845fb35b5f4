// One workerd process with the test-only build in it, and beside it what it is measured against.

import { build as bundle } from "esbuild";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";

import { root } from "./lib.mjs";
import { PROBE, build } from "./build.mjs";

/** Builds it if need be, and starts it. `ask` puts a question and gives the answer; `stop` ends it. */
export async function startProbe() {
  await build(PROBE);
  const compatibilityDate = readFileSync(join(root, "wrangler.toml"), "utf8").match(/^compatibility_date = "(.+)"$/m)[1];
  const wasm = readFileSync(join(root, PROBE.folder, "index_bg.wasm"));
  const modules = {
    "probe.js": { type: "esm", contents: await entry() },
    "index_bg.wasm": { type: "wasm", contents: new Uint8Array(wasm) },
  };
  const miniflare = new Miniflare({
    cf: false,
    enableDevRegistry: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.NONE),
    workers: [
      {
        config: { name: "probe", compatibilityDate, manifest: { mainModule: "probe.js", modulesRoot: root, modules } },
        dev: { rootPath: root },
      },
    ],
  });
  const ask = async (what, question) => {
    const response = await miniflare.dispatchFetch(`http://probe/${what}`, { method: "POST", body: JSON.stringify(question) });
    if (!response.ok) throw new Error(`${what}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  try {
    await miniflare.ready;
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  return { ask, stop: () => miniflare.dispose() };
}

/** The entry with its JavaScript, in one module beside the wasm. */
async function entry() {
  const { outputFiles } = await bundle({
    entryPoints: [join(root, "bench", "workers", "probe.js")],
    bundle: true,
    write: false,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
    external: ["*.wasm", "cloudflare:*"],
  });
  return outputFiles[0].text;
}
