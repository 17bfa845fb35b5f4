// Edgewarden behind a platform that ends TLS: what a test says of the client's certificate is what the platform would say.

import edgewarden from "../../src/edge.js";

export * from "../../src/edge.js";

/** The header in which a test says it; it goes no further. */
const SAID = "x-test-certificate";

export default {
  fetch(request, env, ctx) {
    const said = request.headers.get(SAID);
    if (said === null) return edgewarden.fetch(request, env, ctx);
    const shown = new Request(request, { cf: { tlsClientAuth: JSON.parse(said) } });
    shown.headers.delete(SAID);
    return edgewarden.fetch(shown, env, ctx);
  },
};
