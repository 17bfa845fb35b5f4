// The way to an origin and back: the request as it was decided, with its body as it comes, and the answer without what is not
// an origin's to say. Bodies stream both ways. Nobody looks into one, and one is counted only where somebody waits for it to go on.

/** Cookies that an origin may not set: they are ours. */
const OUR_COOKIES = /^\s*=?\s*(__Host-edgewarden|edgewarden(-device)?\s*(=|;|$))/i;
/** Headers by which an origin could reach beyond its own routes. */
const NOT_AN_ORIGINS = ["clear-site-data", "service-worker-allowed"];
/** A body of more bytes, or of nobody knows how many, may take longer than its origin has to begin its answer. */
const LARGE = 1 << 20;
/** So much of such a body is held at once. */
const BUFFER = 256 * 1024;

/**
 * Sends a request on to its origin, rewritten, and its answer back. `failed` makes the answer where there is none,
 * and `leftOut` are headers that an answer gets which does not have them.
 */
export async function pass(request, env, forward, { leftOut, failed }) {
  const began = Date.now();
  const answer = await passed(request, env, forward, { leftOut, failed });
  const { log, request_id } = forward;
  if (log) console.log(JSON.stringify({ kind: "request", reason: "forwarded", request_id, ...log, status: answer.status, ms: Date.now() - began }));
  return answer;
}

async function passed(request, env, forward, { leftOut, failed }) {
  const { url, service, timeout_ms, idle_timeout_ms, no_store, remove, set } = forward;
  const headers = new Headers(request.headers);
  for (const name of remove) headers.delete(name);
  for (const [name, value] of set) headers.set(name, value);
  // What is watched comes as it is: what is encoded would be decoded on the way, and held back.
  if (idle_timeout_ms) headers.set("accept-encoding", "identity");
  // The origin has so long to begin its answer, counted from when it last took some of the request.
  const patience = new Patience(timeout_ms);
  let response;
  try {
    const init = { method: request.method, headers, body: body(request, patience), redirect: "manual", signal: patience.signal };
    if (no_store) {
      init.cache = "no-store";
      // Without this the platform would say `no-cache`, which makes origins send whole answers
      // where the client's own copy would do.
      if (!headers.has("cache-control")) headers.set("cache-control", "max-age=0");
    }
    response = await answerOf(service === undefined ? globalThis : env[service], url, init, forward.once);
  } catch (error) {
    return failed(forward, error, patience.isOver);
  } finally {
    patience.end();
  }
  const { status, webSocket } = response;
  if (!webSocket && (status < 200 || status > 599)) return failed(forward, `status ${status}`, false);
  return finish(response, forward, leftOut);
}

/**
 * What an origin answers. Whether it was reached cannot be told from whether it broke off, so only what may be asked twice (RFC
 * 9110, §9.2.2) and has no body is asked once more, and nothing that is vouched for once.
 */
async function answerOf(origin, url, init, once) {
  const isSafe = init.body === null && (init.method === "GET" || init.method === "HEAD") && !init.headers.has("upgrade");
  try {
    return await origin.fetch(url, init);
  } catch (error) {
    if (!isSafe || once || init.signal.aborted) throw error;
    return origin.fetch(url, init);
  }
}

/** The body of a request. Of a large one it is told whether the origin takes it; whether the client sends it is the client's affair. */
function body(request, patience) {
  const length = request.headers.get("content-length");
  if (request.body === null || (length !== null && Number(length) <= LARGE)) return request.body;
  const { readable, writable } = through(length);
  pump(request.body, writable, patience, { onRead: "hold", onWrite: "renew" });
  return readable;
}

/** A stream that is passed through as it is, with the length that was said of it. */
const through = (length) => (length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length)));

/**
 * Hands on what comes, through one buffer, and tells `patience` what it waits for. Where one side breaks off, or that takes too
 * long, both are told.
 */
async function pump(from, to, patience, { onRead, onWrite }) {
  const [reader, writer] = [from.getReader({ mode: "byob" }), to.getWriter()];
  const breakOff = (why) => Promise.allSettled([reader.cancel(why), writer.abort(why)]);
  patience.signal.addEventListener("abort", () => breakOff(patience.signal.reason));
  try {
    let buffer = new ArrayBuffer(BUFFER);
    for (;;) {
      patience[onRead]();
      const { value, done } = await reader.read(new Uint8Array(buffer));
      patience[onWrite]();
      if (done) break;
      await writer.write(value);
      buffer = value.buffer;
    }
    await writer.close();
  } catch (error) {
    await breakOff(error);
  }
}

/** An origin's answer with our headers on it and without what is not an origin's to say. */
function finish(response, { answer, cors, service, idle_timeout_ms }, leftOut) {
  const { status, webSocket } = response;
  const isWatched = idle_timeout_ms && response.body && !response.headers.has("content-encoding");
  const body = isWatched ? unlessIdle(response, idle_timeout_ms, service) : response.body;
  const finished = webSocket ? undefined : new Response(body, response);
  const headers = webSocket ? new Headers(response.headers) : finished.headers;
  for (const name of NOT_AN_ORIGINS) headers.delete(name);
  const cookies = headers.getSetCookie();
  if (cookies.some((cookie) => OUR_COOKIES.test(cookie))) {
    headers.delete("set-cookie");
    for (const cookie of cookies) if (!OUR_COOKIES.test(cookie)) headers.append("set-cookie", cookie);
  }
  if (cors) {
    for (const name of [...headers.keys()]) if (name.startsWith("access-control-")) headers.delete(name);
    for (const [name, value] of cors) name === "vary" ? headers.append(name, value) : headers.set(name, value);
  }
  for (const [name, value] of leftOut) if (!headers.has(name)) headers.set(name, value);
  for (const [name, value] of answer) headers.set(name, value);
  return finished ?? new Response(null, { status, webSocket, headers });
}

/** The body of an answer, which breaks off if the origin pauses for so long; not if whoever reads it does. */
function unlessIdle({ body, headers }, ms, service) {
  const patience = new Patience(ms);
  // What a bound Worker says of a length is no more than that.
  const length = headers.get("content-length");
  const { readable, writable } = through(service === undefined && /^\d+$/.test(length) ? length : null);
  pump(body, writable, patience, { onRead: "renew", onWrite: "hold" }).finally(() => patience.end());
  return readable;
}

/** How long it is waited for something to go on. */
class Patience {
  #abort = new AbortController();
  #ms;
  #since = Date.now();
  #isHeld = false;
  #timer;

  constructor(ms) {
    this.#ms = ms;
    this.#wait(ms);
  }

  #wait(ms) {
    this.#timer = setTimeout(() => {
      const left = this.#isHeld ? this.#ms : this.#since + this.#ms - Date.now();
      if (left > 0) this.#wait(left);
      else this.#abort.abort(new Error(`nothing came for ${this.#ms} ms`));
    }, ms);
  }

  /** Ends what is waited for. */
  get signal() {
    return this.#abort.signal;
  }

  /** Whether it has run out. */
  get isOver() {
    return this.#abort.signal.aborted;
  }

  /** From now on something is waited for. */
  renew() {
    this.#isHeld = false;
    this.#since = Date.now();
  }

  /** Nothing is waited for just now. */
  hold() {
    this.#isHeld = true;
  }

  /** Nothing is waited for any more. */
  end() {
    clearTimeout(this.#timer);
  }
}
