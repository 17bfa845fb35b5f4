// Puts users of another system into the local database. Works while the Worker runs on the same state, and may be
// done again: who is there already is left alone. docs/OPERATIONS.md, "Users of another system", has the format, and
// how it is done to a deployed database.
//
// usage: FILE=users.ndjson [STATE=…] node scripts/import.mjs

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { fail, root, say, stateFolder, wrangler, wranglerEnv } from "./lib.mjs";

/** What a line that is not new came to, by what the database had. */
const TOLD = {
  differs: "is there already and differs now: left alone",
  "username taken": "its username is another account's: left alone",
  "email taken": "its email address is another account's: left alone",
  "no such role": "names a role that does not exist: not imported",
};

const file = process.env.FILE;
if (!file) fail("usage: make import FILE=users.ndjson");

// What lies in between holds password hashes.
const folder = mkdtempSync(join(tmpdir(), "edgewarden-import-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const script = join(folder, "users.sql");

const command = ["run", "--quiet", "--locked", "--bin", "edgewarden", "--", "import", resolve(root, file), "--output", script];
const { status: written, error } = spawnSync("cargo", command, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
if (error) fail('cargo is not installed (see README, "What you need")');
// 1 is what it says when it refused some lines and wrote the others.
if (written !== 0 && written !== 1) process.exit(2);

const rows = readFileSync(script).length > 0 ? put() : [];
const count = (...kinds) => rows.filter(({ found }) => kinds.includes(found)).length;
for (const { line, username, found } of rows) {
  if (TOLD[found]) console.error(`line ${line}: ${username} ${TOLD[found]}`);
}
const left = count("username taken", "email taken", "no such role");
say(`${count("new")} users are new, ${count("same", "differs")} were there before, ${left} could not be imported`);
if (written !== 0 || left > 0) process.exit(1);

/** Runs the script in one transaction; gives what each line met. */
function put() {
  const [node, args] = wrangler([
    ...["d1", "execute", "DB", "--local", "--persist-to", stateFolder()],
    ...["--json", "--file", script],
  ]);
  const options = { cwd: root, env: wranglerEnv, encoding: "utf8", maxBuffer: 1 << 30 };
  const { status, stdout, stderr } = spawnSync(node, args, options);
  if (/no such table/.test(stdout)) fail("the database is empty; `make dev` sets it up");
  if (status !== 0) fail(`the database could not be written: ${stdout}${stderr}`.trim());
  const results = JSON.parse(stdout.slice(stdout.indexOf("[")));
  return results.flatMap(({ results }) => results).filter((row) => row.found !== undefined);
}
