// The Worker with every call to a store counted: GET /counted tells how many there were.

import edgewarden from "../../src/edge.js";

export * from "../../src/edge.js";

const counts = { database: 0, kv: 0, feed: 0, limiter: 0 };
let counted;

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

export default {
  ...edgewarden,
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/counted") return Response.json(counts);
    counted ??= {
      ...env,
      DB: counting(env.DB, "database", ["batch"]),
      BLACKLIST: counting(env.BLACKLIST, "kv", ["get", "put"]),
      REVOCATIONS: counting(env.REVOCATIONS, "feed", ["getByName", "get"]),
      RATE_LIMITER: counting(env.RATE_LIMITER, "limiter", ["getByName", "get"]),
    };
    return edgewarden.fetch(request, counted, ctx);
  },
};
