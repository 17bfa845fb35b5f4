// The entry of the Worker: a thin hand around the decision.
//
// Every request's head crosses once into `decide`, which answers synchronously from what this
// isolate knows. Only where something must be asked first does a Rust future exist (`resolve`).
// Bodies are never touched: an origin's answer streams through.
//
// A trap inside wasm falls through to `resolve` on a fresh instance, and from there to a bland
// 500; never to the origin.

import Worker from "../build/index.js";

export * from "../build/index.js";

const { decide, origin_failed: originFailed } = Worker.prototype;

/** What `decide` and `resolve` say of a request for our own endpoints. */
const OWN = "own";
/** Names that an origin may not set as cookies: they are ours. */
const OUR_COOKIES = /^\s*__Host-edgewarden[^=]*=/i;
/** Headers by which an origin could reach beyond its own routes. */
const NOT_AN_ORIGINS = ["clear-site-data", "service-worker-allowed"];

export default {
  async fetch(request, env, ctx) {
    const head = headOf(request);
    let verdict;
    try {
      verdict = decide(head);
    } catch (trap) {
      console.error(JSON.stringify({ kind: "fault", what: "decide", error: String(trap) }));
    }
    try {
      verdict ??= await new Worker(ctx, env).resolve(head, env);
      if (verdict === OWN) return await new Worker(ctx, env).fetch(request);
      const { forward, answer } = JSON.parse(verdict);
      return forward ? await pass(request, env, forward) : respond(answer);
    } catch (trap) {
      console.error(JSON.stringify({ kind: "fault", what: "request", error: String(trap) }));
      return bland();
    }
  },
};

/** Method, URL, then name and value of each header, a line each. */
function headOf(request) {
  let head = `${request.method}\n${request.url}`;
  for (const [name, value] of request.headers) head += `\n${name}\n${value}`;
  return head;
}

/** Sends a request on to its origin, rewritten, and its answer back. */
async function pass(request, env, { url, service, timeout_ms, remove, set, answer, request_id }) {
  const outward = new Request(url, request);
  for (const name of remove) outward.headers.delete(name);
  for (const [name, value] of set) outward.headers.set(name, value);
  // The origin has this long to begin its answer; the body may then take its time.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout_ms);
  let response;
  try {
    const origin = service === undefined ? globalThis : env[service];
    response = await origin.fetch(outward, { redirect: "manual", signal: abort.signal });
  } catch (error) {
    console.error(JSON.stringify({ kind: "fault", what: "origin", error: String(error), request_id }));
    return respond(JSON.parse(originFailed(request_id, abort.signal.aborted)).answer);
  } finally {
    clearTimeout(timer);
  }
  // The answer to a WebSocket request must be returned as it came.
  if (response.webSocket) return response;
  return finish(response, answer);
}

/** An origin's answer with our headers on it and without what is not an origin's to say. */
function finish(response, answer) {
  const finished = new Response(response.body, response);
  const { headers } = finished;
  for (const name of NOT_AN_ORIGINS) headers.delete(name);
  if (headers.has("set-cookie")) {
    const cookies = headers.getSetCookie();
    if (cookies.some((cookie) => OUR_COOKIES.test(cookie))) {
      headers.delete("set-cookie");
      for (const cookie of cookies) if (!OUR_COOKIES.test(cookie)) headers.append("set-cookie", cookie);
    }
  }
  for (const [name, value] of answer) headers.set(name, value);
  return finished;
}

/** An answer of ours. */
function respond({ status, headers, body }) {
  return new Response(body, { status, headers });
}

/** What is left to say when nothing else could be. */
function bland() {
  const request_id = crypto.randomUUID();
  console.error(JSON.stringify({ kind: "fault", what: "bland", request_id }));
  const problem = {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    detail: "Something went wrong on our side.",
    request_id,
  };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": request_id };
  return new Response(JSON.stringify(problem), { status: 500, headers });
}
