// What it takes to find the route of a request among few, and among as many as a policy of a mebibyte can hold: each by a path of
// its own, or all by one path, each on a host of its own.

import { startProbe } from "../scripts/probe-worker.mjs";
import { inRounds } from "./rounds.mjs";

export const [FEW, MANY] = [10, 10_000];
const REQUESTS = 10;
const COUNT = 200_000;

const ORIGIN = 'version = 1\n[[origin]]\nid = "a"\nurl = "https://a.internal"\n';

/** How a route, and a request for it, is told from the others. */
const KINDS = {
  paths: (number) => ({ lines: `path = "/service-${number}/{id}/{*rest}"`, host: "app.example", path: `/service-${number}/7/a/b` }),
  hosts: (number) => ({
    lines: `host = "tenant-${number}.example"\npath = "/service/{id}/{*rest}"`,
    host: `tenant-${number}.example`,
    path: "/service/7/a/b",
  }),
};

/** Per kind: microseconds per number of routes, one number for each round. */
export async function measureRoutes(rounds) {
  const probe = await startProbe();
  try {
    const results = {};
    for (const [kind, one] of Object.entries(KINDS)) {
      const way = (routes) => {
        const run = runOf(one, routes);
        return (count) => probe.ask("routes", { ...run, count });
      };
      results[kind] = await inRounds({ few: way(FEW), many: way(MANY) }, rounds, () => COUNT);
    }
    return results;
  } finally {
    await probe.stop();
  }
}

/** A policy of so many routes, and requests for some of them, from the first to the last. */
function runOf(one, routes) {
  const all = Array.from({ length: routes }, (_, number) => one(number));
  const route = ({ lines }, number) => `[[route]]\nid = "r${number}"\n${lines}\norigin = "a"\naccess = "public"\n`;
  const asked = Array.from({ length: REQUESTS }, (_, index) => all[Math.floor((index * (routes - 1)) / (REQUESTS - 1))]);
  return { policy: ORIGIN + all.map(route).join(""), requests: asked.map(({ host, path }) => [host, path]) };
}
