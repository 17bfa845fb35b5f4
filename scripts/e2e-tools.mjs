// What `make e2e` needs beyond Rust and Node, made once and kept outside the checkout: a Python with pinned packages, oathtool,
// nginx and openssl. Where one cannot be had, it is said why.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

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

/** An oathtool, or why there is none. */
export function oathtool() {
  const { env, missing } = program("oathtool", ["--totp", "-b", "-N@59", RFC_SECRET], (output) => output.trim() === RFC_CODE);
  return missing ? { missing } : { env };
}

/** An nginx that asks before it answers, and an openssl, for the certificates that it wants; or why one of them is missing. */
export function nginx() {
  const found = [
    program("nginx", ["-V"], (output) => ["http_ssl", "http_auth_request"].every((name) => output.includes(`--with-${name}_module`))),
    program("openssl", ["version"], (output) => output.startsWith("OpenSSL 3.")),
  ];
  const { missing } = found.find((one) => one.missing) ?? {};
  if (missing) return { missing };
  const libraries = found.flatMap(({ env }) => env.LD_LIBRARY_PATH ?? []);
  return { env: Object.assign({}, ...found.map(({ env }) => env), libraries.length > 0 && { LD_LIBRARY_PATH: libraries.join(":") }) };
}

/**
 * A program, as environment variables that say where it is: the one that is installed, or Debian's, unpacked once and kept outside
 * the checkout; or why there is none. It is one that will do if what it answers to these arguments does.
 */
function program(name, args, will) {
  const [folder, variable] = [join(toolCache, name), `E2E_${name.toUpperCase()}`];
  const works = (env) => {
    const { stdout, stderr } = spawnSync(env[variable], args, { env: { ...process.env, ...env }, encoding: "utf8", timeout: 10_000 });
    return will(`${stdout ?? ""}${stderr ?? ""}`);
  };
  // What serves is for administrators, and may be where nobody else looks for programs.
  const installed = [name, `/usr/sbin/${name}`].map((path) => ({ [variable]: path }));
  const found = [...installed, ...unpacked(folder, name, variable)].find(works);
  if (found) return { env: found };

  say(`unpacking Debian's ${name} (once; kept in ${toolCache})`);
  const aside = join(toolCache, `.${name}-${process.pid}`);
  mkdirSync(aside, { recursive: true });
  try {
    const why = unpack(name, aside);
    if (why) return { missing: `${name} is neither installed nor to be had from apt-get (${why})` };
    // Another clone may have been faster.
    if (!unpacked(folder, name, variable).some(works)) {
      rmSync(folder, { recursive: true, force: true });
      renameSync(aside, folder);
    }
    const env = unpacked(folder, name, variable).find(works);
    return env ? { env } : { missing: `Debian's ${name} does not run here` };
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Where a program is in a folder that packages were unpacked into, and its libraries. */
function unpacked(folder, name, variable) {
  if (!existsSync(folder)) return [];
  const libraries = readdirSync(folder, { recursive: true }).filter((file) => /\.so(\.\d+)*$/.test(file));
  const folders = [...new Set(libraries.map((file) => join(folder, dirname(file))))];
  const path = folders.length > 0 ? { LD_LIBRARY_PATH: folders.join(":") } : {};
  return ["bin", "sbin"].map((bin) => ({ [variable]: join(folder, "usr", bin, name), ...path }));
}

/** Unpacks a package and those that it needs and that are not here, which takes no rights; says why, if it cannot. */
function unpack(name, aside) {
  const run = (command, args) => spawnSync(command, args, { cwd: aside, encoding: "utf8", timeout: INSTALL_TIMEOUT_MS });
  const download = (options) => {
    const plan = run("apt-get", [...options, "--simulate", "--no-install-recommends", "install", name]);
    const packages = [...(plan.stdout ?? "").matchAll(/^Inst (\S+)/gm)].map(([, one]) => one);
    // It runs from where it is unpacked, with the machine's own C library: nobody wants its service, nor what sets that up.
    const needed = packages.filter((one) => one.startsWith(name) || /^(lib(?!c6|c-)|zlib)/.test(one));
    return needed.length > 0 ? run("apt-get", [...options, "download", ...needed]) : plan;
  };
  if (download([]).status !== 0) {
    // Lists of packages of its own, where the machine's are missing or old: that takes no rights either.
    const own = ["-o", `Dir::State=${aside}`, "-o", `Dir::Cache=${aside}`, "-o", "Dir::State::status=/var/lib/dpkg/status"];
    mkdirSync(join(aside, "lists", "partial"), { recursive: true });
    run("apt-get", [...own, "update"]);
    const { status, stderr, error } = download(own);
    if (status !== 0) return error?.message ?? stderr.trim().split("\n").at(-1);
    rmSync(join(aside, "lists"), { recursive: true });
  }
  for (const file of readdirSync(aside).filter((file) => file.endsWith(".deb"))) {
    if (run("dpkg-deb", ["-x", file, "."]).status === 0) rmSync(join(aside, file));
  }
  return undefined;
}
