// An issuer whose tokens the demo policy takes: it vouches for whoever you like, so it is for trying things out on this machine
// alone. Its keys are made anew each time.

import { SignJWT, exportJWK, generateKeyPair } from "jose";

/** What it calls itself, as policy.toml has it. */
const ISSUER = "https://issuer.example";
const ALG = "ES256";
const kid = "demo-1";

let made;
const keys = () => (made ??= generateKeyPair(ALG, { extractable: true }));

function answer(response, type, body) {
  response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
  response.end(`${body}\n`);
}

/** Its keys (RFC 7517, §5). */
export async function jwks(_request, response) {
  const jwk = await exportJWK((await keys()).publicKey);
  answer(response, "application/jwk-set+json", JSON.stringify({ keys: [{ ...jwk, kid, alg: ALG, use: "sig" }] }));
}

/** A token of somebody in some groups. */
export async function token(_request, response, url) {
  const groups = (url.searchParams.get("groups") ?? "staff").split(",");
  const jwt = new SignJWT({ groups })
    .setProtectedHeader({ alg: ALG, kid, typ: "JWT" })
    .setIssuer(ISSUER)
    .setAudience("edgewarden")
    .setSubject(url.searchParams.get("sub") ?? "ada")
    .setIssuedAt()
    .setExpirationTime("10m");
  answer(response, "text/plain", await jwt.sign((await keys()).privateKey));
}
