// The entry of the Worker: a thin hand around the decision.
//
// Every request's head crosses once into `decide`, which answers synchronously from what this
// isolate knows. Only where something must be asked first does a Rust future exist (`resolve`).
// Bodies are never touched: an origin's answer streams through.
//
// A trap in `decide` falls through to `resolve` on a fresh instance. A trap in a Rust future leaves
// its promise unsettled, so those are waited for no longer than SETTLE_MS. What is left then is a
// bland answer; never the origin.

import Worker from "../build/index.js";
import { pass } from "./origin.js";

export * from "../build/index.js";

const {
  decide,
  origin_failed: originFailed,
  refresh_is_due: refreshIsDue,
  chores_are_due: choresAreDue,
  takes_certificates: takesCertificates,
} = Worker.prototype;

/** What `decide` and `resolve` say of a request for our own endpoints. */
const OWN = "own";
/** Longer than the bounded store calls of one request take together, but where many of them fail. */
const SETTLE_MS = 30_000;
/** Nobody waits for the crons; the self-probe takes as long as REVOCATION_BOUND. */
const CRON_SETTLE_MS = 10 * 60_000;
/** What is done beside an answer begins so many milliseconds after it. */
const AFTER_ANSWER_MS = 100;
/** The headers of every answer of ours, for the one answer that Rust does not make, and for origins' answers. */
const ALWAYS = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "strict-origin-when-cross-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};
/** Says that clients are to come by https only, on what is said over https in production. */
const STRICT_TRANSPORT = ["strict-transport-security", "max-age=31536000; includeSubDomains"];
/** What an origin's answer gets where the origin said nothing. What its pages may load is its own business. */
const WHERE_LEFT_OUT = Object.entries(ALWAYS).filter(([name]) => name !== "content-security-policy");
const TO_ORIGINS_ANSWERS = { lax: WHERE_LEFT_OUT, strict: [...WHERE_LEFT_OUT, STRICT_TRANSPORT] };

export default {
  async fetch(request, env, ctx) {
    try {
      const head = headOf(request, env);
      const verdict = decided(head) ?? (await settled(kept(ctx, new Worker(ctx, env).resolve(head, env))));
      if (verdict === OWN) {
        const answer = await settled(kept(ctx, new Worker(ctx, env).fetch(request)));
        refreshIfDue(env, ctx);
        choresIfDue(env, ctx);
        return answer;
      }
      refreshIfDue(env, ctx);
      choresIfDue(env, ctx);
      const { forward, answer } = JSON.parse(verdict);
      if (!forward) return refuse(request, answer);
      const leftOut = forward.strict ? TO_ORIGINS_ANSWERS.strict : TO_ORIGINS_ANSWERS.lax;
      return await pass(request, env, forward, { leftOut, failed });
    } catch (error) {
      return bland(error, request, env);
    }
  },

  async scheduled(event, env, ctx) {
    await settled(new Worker(ctx, env).scheduled(event), CRON_SETTLE_MS);
  },
};

/** Has revocations, keys and roles asked for again beside the answer, if what is known here has aged. */
function refreshIfDue(env, ctx) {
  if (!synchronously("refresh_is_due", refreshIsDue)) return;
  beside(ctx, "refresh", () => new Worker(ctx, env).refresh());
}

/** Has done what a request left to be done beside its answer, such as sending a mail, or noting that a session is used. */
function choresIfDue(env, ctx) {
  if (!synchronously("chores_are_due", choresAreDue)) return;
  // Not before the answer has left: it would be later for whom there is a mail than for whom there is none.
  beside(ctx, "chores", async () => {
    await scheduler.wait(AFTER_ANSWER_MS);
    await new Worker(ctx, env).do_chores();
  });
}

/** Has work done that nobody waits for. */
function beside(ctx, what, work) {
  const report = (error) => console.error(JSON.stringify({ kind: "fault", what, error: String(error) }));
  const done = async () => settled(work());
  ctx.waitUntil(done().catch(report));
}

/** Whether anybody wants to know of certificates; undefined until that was asked. */
let certificates;

/**
 * Method, URL, then name and value of each header, a line each. What the platform says of the client's certificate comes
 * first, under a name that no header can have.
 */
function headOf(request, env) {
  let head = `${request.method}\n${request.url}`;
  certificates ??= synchronously("takes_certificates", () => takesCertificates(env));
  if (certificates) head += certificateOf(request.cf?.tlsClientAuth);
  request.headers.forEach((value, name) => (head += `\n${name}\n${value}`));
  // The platform keeps to itself how a body without a length comes; that there is one matters.
  if (request.body && !request.headers.has("content-length")) head += "\ntransfer-encoding\nchunked";
  return head;
}

/** The line of a certificate that was shown. */
function certificateOf(shown) {
  if (shown?.certPresented !== "1") return "";
  const { certVerified, certRevoked, certFingerprintSHA256, certSubjectDNRFC2253, certIssuerDNRFC2253 } = shown;
  const said = [certVerified, certRevoked, certFingerprintSHA256, certSubjectDNRFC2253, certIssuerDNRFC2253];
  return `\n:certificate\n${JSON.stringify(said)}`;
}

/** The verdict of a warm isolate, or undefined. */
const decided = (head) => synchronously("decide", () => decide(head));

/** What a synchronous call gives, or undefined. A broken instance is not asked; it resets first. */
function synchronously(what, call) {
  const state = globalThis.__worker_init_state ?? {};
  if (state.criticalError) return undefined;
  try {
    return call();
  } catch (trap) {
    state.criticalError = true;
    console.error(JSON.stringify({ kind: "fault", what, error: String(trap) }));
    return undefined;
  }
}

/**
 * The same promise, which goes on if the client goes away: others may wait for what this request asks, and what it began
 * to write is to be told to those who must know.
 */
function kept(ctx, promise) {
  ctx.waitUntil(promise.then(() => {}, () => {}));
  return promise;
}

/** What a promise gives, if it gives anything in time. */
async function settled(promise, patience = SETTLE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("did not settle")), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The answer where the origin gave none. */
function failed({ request_id, strict, cors = [] }, error, timedOut) {
  console.error(JSON.stringify({ kind: "fault", what: "origin", error: String(error), request_id }));
  const { status, headers, body } = JSON.parse(originFailed(request_id, timedOut, strict)).answer;
  return respond({ status, headers: [...headers, ...cors], body });
}

/** An answer of ours to a request that goes no further. Nobody reads its body: the answer does not wait until that has come. */
function refuse(request, answer) {
  request.body?.cancel().catch(() => {});
  return respond(answer);
}

/** An answer of ours. */
function respond({ status, headers, body }) {
  // Some answers have no body, which is not an empty one.
  return new Response(body || null, { status, headers });
}

/** What is left to say when nothing else could be. */
function bland(error, request, env) {
  const request_id = crypto.randomUUID();
  console.error(JSON.stringify({ kind: "fault", what: "request", error: String(error), request_id }));
  const problem = {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    detail: "Something went wrong on our side.",
    request_id,
  };
  const headers = {
    ...ALWAYS,
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-request-id": request_id,
  };
  const strict = request.url.startsWith("https:") && env.ENVIRONMENT !== "development";
  if (strict) headers[STRICT_TRANSPORT[0]] = STRICT_TRANSPORT[1];
  return new Response(JSON.stringify(problem), { status: 500, headers });
}
