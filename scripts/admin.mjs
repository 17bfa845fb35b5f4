// Grants a role straight in the local database: the only way to a super_admin. Works while the
// Worker runs on the same state.
//
// usage: USERNAME=… [ROLE=super_admin] [STATE=…] node scripts/admin.mjs

import { randomUUID } from "node:crypto";
import { spawnSync } from "node:child_process";

import { fail, root, say, stateFolder, wrangler, wranglerEnv } from "./lib.mjs";

/** No access token lives longer, with the leeway and what is under way: revocations are kept for as long. */
const KEPT_MS = (60 * 60 + 5 + 60) * 1000;

const username = (process.env.USERNAME ?? "").toLowerCase();
const role = process.env.ROLE || "super_admin";
// What passes these cannot end a string in SQL.
if (!/^[a-z0-9_-]{3,50}$/.test(username)) fail("usage: make admin USERNAME=… [ROLE=super_admin]");
if (!/^[a-z][a-z0-9_-]{1,49}$/.test(role)) fail("ROLE must be the name of a role");

const now = Date.now();
const user = `(SELECT id FROM users WHERE username = '${username}')`;
// A role that is over at some time is granted for good.
const fresh = `NOT EXISTS (
  SELECT 1 FROM user_roles WHERE user_id = ${user} AND role = '${role}' AND expires_at IS NULL)`;
// The audit row and the end of tokens that know nothing of the role go with the grant itself.
const statements = [
  `INSERT INTO revocations (kind, value, user_id, created_at, until)
   SELECT 'user', u.id || ':' || (u.token_version + 1), u.id, ${now}, ${now + KEPT_MS} FROM users u, roles r
   WHERE u.username = '${username}' AND r.name = '${role}' AND ${fresh} ON CONFLICT DO NOTHING`,
  `INSERT INTO audit_events (id, at, event, severity, subject, request_id, detail)
   SELECT '${randomUUID()}', ${now}, 'role_changed', 'info', u.id, '${randomUUID()}', '+${role}'
   FROM users u, roles r WHERE u.username = '${username}' AND r.name = '${role}' AND ${fresh}`,
  `UPDATE users SET token_version = token_version + 1, updated_at = ${now}
   WHERE username = '${username}' AND EXISTS (SELECT 1 FROM roles WHERE name = '${role}') AND ${fresh}`,
  `INSERT INTO user_roles (user_id, role, granted_at)
   SELECT u.id, r.name, ${now} FROM users u, roles r WHERE u.username = '${username}' AND r.name = '${role}'
   ON CONFLICT (user_id, role) DO UPDATE SET granted_at = excluded.granted_at, granted_by = NULL, expires_at = NULL
   WHERE expires_at IS NOT NULL`,
  `SELECT (SELECT COUNT(*) FROM users WHERE username = '${username}') AS user_found,
          (SELECT COUNT(*) FROM roles WHERE name = '${role}') AS role_found`,
];
const [command, args] = wrangler([
  ...["d1", "execute", "DB", "--local", "--persist-to", stateFolder()],
  ...["--json", "--command", statements.join(";\n")],
]);
const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, env: wranglerEnv, encoding: "utf8" });
if (/no such table/.test(stdout)) fail("the database is empty; `make dev` sets it up");
if (status !== 0) fail(`the database could not be written: ${stdout}${stderr}`.trim());
const found = JSON.parse(stdout.slice(stdout.indexOf("["))).at(-1).results[0];
if (!found.user_found) fail(`there is no user ${username}`);
if (!found.role_found) fail(`there is no role ${role}`);
say(`${username} has the role ${role}; a new token will say so, and older ones end within half a minute`);
