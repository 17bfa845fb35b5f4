// The load: a closed loop over keep-alive connections. Each connection sends one request, waits
// for the whole answer, and sends the next, until a fixed number has been answered.
//
// The generator also says how busy it was itself: near 1, it would be what is measured.

import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";

/** A request that is not answered for this long ends the run. */
const ANSWER_TIMEOUT_MS = 20_000;

/** Sends one request and gives its answer, whole. */
export function send({ port, method = "GET", path, headers = {}, body, agent }) {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers, agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk) => (text += chunk));
      answer.once("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
      answer.once("error", reject);
    });
    outgoing.setTimeout(ANSWER_TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer to ${method} ${path} in time`)));
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** The same, where another status than `expected` is a failure. */
export async function sendExpecting(expected, message) {
  const answer = await send(message);
  if (answer.status === expected) return answer;
  const { method = "GET", path, port } = message;
  throw new Error(`${method} ${path} on port ${port} answered ${answer.status} instead of ${expected}: ${answer.text}`);
}

/** Connections that are kept between requests. Whoever makes it destroys it. */
export const keptConnections = (connections) => new Agent({ keepAlive: true, maxSockets: connections });

/**
 * Sends `message` `count` times, each time with the next of `tokens` if there are such, and gives how many were answered per second, and `busy`: the share
 * of the time in which this process was not waiting. Any answer that does not have the status
 * `expected` ends the run, because a benchmark of errors is worth nothing.
 */
export async function load(message, { expected, connections, count, tokens }) {
  const agent = keptConnections(connections);
  const each = { ...message, agent };
  const bearing = (token) => ({ ...each, headers: { ...each.headers, authorization: `Bearer ${token}` } });
  let left = count;
  const loop = async () => {
    while (left > 0) {
      left -= 1;
      await sendExpecting(expected, tokens ? bearing(tokens[left]) : each);
    }
  };
  try {
    const before = performance.eventLoopUtilization();
    const start = performance.now();
    await Promise.all(Array.from({ length: connections }, loop));
    const seconds = (performance.now() - start) / 1000;
    return { perSecond: count / seconds, busy: performance.eventLoopUtilization(before).utilization };
  } finally {
    agent.destroy();
  }
}
