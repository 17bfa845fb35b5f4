// The Worker with every call to a store counted: GET /counted tells how many there were. GET /slowed?ms=… makes the feed
// answer so much later.

import edgewarden from "../../src/edge.js";

export * from "../../src/edge.js";

const counts = { database: 0, kv: 0, feed: 0, limiter: 0 };
let counted;
let delay = 0;

/** The same object, with calls of some of its methods counted. */
function counting(target, name, methods) {
  return new Proxy(target, {
    get(_, key) {
      const value = target[key];
      if (typeof value !== "function" || key === "constructor") return value;
      return (...args) => {
        if (methods.includes(key)) counts[name] += 1;
        return value.apply(target, args);
      };
    },
  });
}

/** The objects of a namespace, which answer late. */
function slowed(namespace) {
  const late = (stub) =>
    new Proxy(stub, {
      get: (_, key) =>
        key === "fetch" ? (...args) => new Promise((go) => setTimeout(go, delay)).then(() => stub.fetch(...args)) : stub[key],
    });
  return new Proxy(namespace, {
    get(_, key) {
      if (typeof namespace[key] !== "function" || key === "constructor") return namespace[key];
      return (...args) => (key === "getByName" ? late(namespace.getByName(...args)) : namespace[key](...args));
    },
  });
}

export default {
  ...edgewarden,
  fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/counted") return Response.json(counts);
    if (pathname === "/slowed") return Response.json((delay = Number(searchParams.get("ms"))));
    counted ??= {
      ...env,
      DB: counting(env.DB, "database", ["batch"]),
      BLACKLIST: counting(env.BLACKLIST, "kv", ["get", "put"]),
      SESSIONS: counting(env.SESSIONS, "kv", ["get", "put", "delete"]),
      REVOCATIONS: counting(slowed(env.REVOCATIONS), "feed", ["getByName", "get"]),
      RATE_LIMITER: counting(env.RATE_LIMITER, "limiter", ["getByName", "get"]),
    };
    return edgewarden.fetch(request, counted, ctx);
  },
};
