// The test-only build of the Worker, asked about signatures, tokens, roles and routes; and, for comparison, jose and
// bare Web Crypto in the same isolate.

import { importJWK, jwtVerify } from "jose";

import Probe from "../../build-probe/index.js";

/** What answers which question. Each gives something that JSON can say. */
const ANSWERS = {
  signatures: async (cases, worker) => JSON.parse(await worker.probe_signatures(JSON.stringify(cases))),
  edgewarden: (run, worker) => worker.probe_tokens(JSON.stringify(run)),
  rolesWritten: (roles, worker) => worker.probe_roles_written(JSON.stringify(roles)),
  rolesRead: ({ written, count }, worker) => worker.probe_roles_read(written, count),
  rolesParsed: repeat(({ written }) => () => JSON.parse(written).roles.length > 0),
  routes: (run, worker) => worker.probe_routes(JSON.stringify(run)),
  jose: repeat(async ({ jwk, token, issuer, audience, key: { algorithm } }) => {
    const key = await importJWK(jwk, algorithm);
    const options = { issuer, audience, typ: "at+jwt", algorithms: [algorithm], clockTolerance: 5, maxTokenAge: "1 day" };
    return async () => (await jwtVerify(token, key, options)).payload.sub !== undefined;
  }),
  bare: repeat(async ({ jwk, token, bare: { importing, checking } }) => {
    const key = await crypto.subtle.importKey("jwk", jwk, importing, false, ["verify"]);
    const [header, payload, signature] = token.split(".");
    const [message, bytes] = [new TextEncoder().encode(`${header}.${payload}`), fromBase64Url(signature)];
    return () => crypto.subtle.verify(checking, key, bytes, message);
  }),
};

/** Does one thing `count` times and tells how many times it gave yes. */
function repeat(prepare) {
  return async (run) => {
    const once = await prepare(run);
    let yes = 0;
    for (let left = run.count; left > 0; left -= 1) yes += (await once()) ? 1 : 0;
    return yes;
  };
}

const fromBase64Url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

export default {
  async fetch(request, env, ctx) {
    const answer = ANSWERS[new URL(request.url).pathname.slice(1)];
    return Response.json(await answer(await request.json(), new Probe(ctx, env)));
  },
};
