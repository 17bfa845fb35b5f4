// What one thing takes in another process that does it many times, in rounds: each way of doing it once in every round, in
// an order that rotates.

import { performance } from "node:perf_hooks";

const WARM_UPS = 2;

/** Microseconds for one, per way one number for each round. `ways` do something so many times; `counts` say how many. */
export async function inRounds(ways, rounds, counts) {
  const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let round = -WARM_UPS; round < rounds; round += 1) {
    const names = Object.keys(ways);
    const turn = ((round % names.length) + names.length) % names.length;
    for (const way of [...names.slice(turn), ...names.slice(0, turn)]) {
      const time = await timed(ways[way], counts(way));
      if (round >= 0) times[way].push(time);
    }
  }
  return times;
}

/** The time for one, without what a request to the process takes in itself. */
async function timed(ask, count) {
  const empty = await elapsed(ask, 0);
  const full = await elapsed(ask, count);
  return ((full - empty) / count) * 1000;
}

async function elapsed(ask, count) {
  const start = performance.now();
  const yes = await ask(count);
  if (yes !== count) throw new Error(`${yes} of ${count} went well`);
  return performance.now() - start;
}
