// What `make e2e` needs beyond Rust and Node, made once and kept outside the checkout: a Python with pinned packages, and
// oathtool. Where one cannot be had, it is said why.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { say, toolCache } from "./lib.mjs";

const PYTHON_PACKAGES = { "PyJWT[crypto]": "2.15.1", cryptography: "50.0.2", "openapi-spec-validator": "0.9.0", schemathesis: "4.32.5" };
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** RFC 6238, appendix B: the secret of its examples, and the code of the 59th second. */
const RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const RFC_CODE = "287082";

/** A Python with the pinned packages, made once and kept outside the checkout; or why there is none. */
export function pythonWithPackages() {
  const name = `python-${Object.values(PYTHON_PACKAGES).join("-")}`;
  const folder = join(toolCache, name);
  const pythonIn = (place) => join(place, "bin", "python");
  const call = (command, args) => {
    const options = { cwd: toolCache, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: INSTALL_TIMEOUT_MS };
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    const lines = `${stdout ?? ""}\n${stderr ?? ""}`.trim().split("\n");
    const why = error?.message ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
    return { ok: status === 0, why };
  };
  const works = () => existsSync(pythonIn(folder)) && call(pythonIn(folder), ["-c", "import jwt, cryptography, openapi_spec_validator, schemathesis"]).ok;
  mkdirSync(toolCache, { recursive: true });
  if (works()) return { python: pythonIn(folder) };

  const found = call("python3", ["--version"]);
  if (!found.ok) return { missing: `python3 is not installed or does not run (${found.why})` };
  say(`installing ${Object.keys(PYTHON_PACKAGES).join(", ")} (once; kept in ${toolCache})`);
  // Made aside and moved in whole, so that what is in the cache is complete.
  const aside = join(toolCache, `.${name}-${process.pid}`);
  try {
    const made = call("python3", ["-m", "venv", aside]);
    if (!made.ok) return { missing: `python3 cannot make a virtual environment with pip (${made.why})` };
    const pins = Object.entries(PYTHON_PACKAGES).map(([name, version]) => `${name}==${version}`);
    const flags = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2", "--only-binary=:all:"];
    const installed = call(pythonIn(aside), ["-m", "pip", "install", ...flags, ...pins]);
    if (!installed.ok) return { missing: `pip cannot install ${pins.join(", ")} (${installed.why})` };
    // What is there by now is as good, if another clone put it there; if not, its Python is gone.
    if (!works()) {
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return { python: pythonIn(folder) };
}

/** An oathtool: the one that is installed, or Debian's, unpacked once and kept outside the checkout; or why there is none. */
export function oathtool() {
  const folder = join(toolCache, "oathtool");
  const unpacked = { E2E_OATHTOOL: join(folder, "usr", "bin", "oathtool"), LD_LIBRARY_PATH: join(folder, "lib") };
  const works = (env) => {
    const options = { env: { ...process.env, ...env }, encoding: "utf8", timeout: 10_000 };
    const { stdout } = spawnSync(env.E2E_OATHTOOL, ["--totp", "-b", "-N@59", RFC_SECRET], options);
    return stdout?.trim() === RFC_CODE;
  };
  for (const env of [{ E2E_OATHTOOL: "oathtool" }, unpacked]) if (works(env)) return { env };

  const aside = join(toolCache, `.oathtool-${process.pid}`);
  const run = (command, args) => spawnSync(command, args, { cwd: aside, encoding: "utf8", timeout: INSTALL_TIMEOUT_MS });
  mkdirSync(join(aside, "lib"), { recursive: true });
  try {
    say(`unpacking Debian's oathtool (once; kept in ${toolCache})`);
    const packages = ["oathtool", "liboath0"];
    // Lists of packages of its own, where the machine's are missing: that takes no rights.
    const own = ["-o", `Dir::State=${aside}`, "-o", `Dir::Cache=${aside}`, "-o", "Dir::State::status=/var/lib/dpkg/status"];
    if (run("apt-get", ["download", ...packages]).status !== 0) {
      mkdirSync(join(aside, "lists", "partial"), { recursive: true });
      run("apt-get", [...own, "update"]);
      const { status, stderr, error } = run("apt-get", [...own, "download", ...packages]);
      if (status !== 0) return { missing: `oathtool is neither installed nor to be had from apt-get (${error?.message ?? stderr.trim().split("\n").at(-1)})` };
    }
    for (const file of readdirSync(aside).filter((name) => name.endsWith(".deb"))) run("dpkg-deb", ["-x", file, "."]);
    const libraries = readdirSync(join(aside, "usr", "lib"), { recursive: true });
    for (const file of libraries.filter((name) => /liboath\.so\.0$/.test(name))) copyFileSync(join(aside, "usr", "lib", file), join(aside, "lib", "liboath.so.0"));
    if (!works(unpacked)) {
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
    return works(unpacked) ? { env: unpacked } : { missing: "Debian's oathtool does not run here" };
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
