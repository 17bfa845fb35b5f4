// What it costs a fresh isolate to know what roles come to, and how large what it reads of them is: for few, and for as many as
// there can be. Beside it, V8 reads the same text as JSON and works nothing out.

import { startProbe } from "../scripts/probe-worker.mjs";
import { inRounds } from "./rounds.mjs";

/** As many as there can be, and as many as are above one another. */
const [ROLES, PERMISSIONS, DEPTH] = [1000, 2000, 16];
const SIZES = [
  { roles: ROLES / 100, permissions: PERMISSIONS / 100, count: 5000 },
  { roles: ROLES, permissions: PERMISSIONS, count: 50 },
];

/** Per size: bytes, and microseconds per way, one number for each round. */
export async function measureRoles(rounds) {
  const probe = await startProbe();
  try {
    const results = [];
    for (const { roles, permissions, count } of SIZES) {
      const written = await probe.ask("rolesWritten", graph(roles, permissions));
      const way = (what) => (times) => probe.ask(what, { written, count: times });
      const ways = { worked: way("rolesRead"), parsed: way("rolesParsed") };
      results.push({ roles, permissions, bytes: Buffer.byteLength(written), ...(await inRounds(ways, rounds, () => count)) });
    }
    return results;
  } finally {
    await probe.stop();
  }
}

/** Towers of roles: each has its share of permissions, and inherits the one below and, as in a diamond, the one below that. */
function graph(roles, permissions) {
  const name = (number) => `role-number-${String(number).padStart(4, "0")}`;
  const each = permissions / roles;
  return Object.fromEntries(
    Array.from({ length: roles }, (_, number) => [
      name(number),
      {
        inherits: [1, 2].filter((below) => number % DEPTH >= below).map((below) => name(number - below)),
        permissions: Array.from({ length: each }, (_, which) => `resource-${number}:action-${which}`),
      },
    ]),
  );
}
