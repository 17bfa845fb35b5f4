// What it costs to believe one token, for each algorithm: here as if it were seen for the first time,
// and remembered; with jose; and the signature alone with bare Web Crypto. All in one isolate of one
// workerd process, in rounds, each in rotated order.

import { SignJWT, exportJWK, generateKeyPair, generateSecret } from "jose";

import { startProbe } from "../scripts/probe-worker.mjs";
import { inRounds } from "./rounds.mjs";

const ISSUER = "https://auth.example.com";
const AUDIENCE = "edgewarden";
/** One request to the process asks for so many verifications: of slow algorithms a tenth. */
const COUNTS = { first: 2000, remembered: 20_000, jose: 2000, bare: 2000 };
const SLOW = ["ES384", "ES512"];
const EC = { 256: "P-256", 384: "P-384", 512: "P-521" };
const ALGORITHMS = ["HS256", "HS384", "HS512", "EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/** Microseconds for one token: per algorithm, per way, one number for each round. */
export async function measureVerification(rounds) {
  const probe = await startProbe();
  try {
    const results = {};
    for (const algorithm of ALGORITHMS) {
      const run = await prepare(algorithm);
      const ways = {
        first: (count) => probe.ask("edgewarden", { ...run, count, remembered: false }),
        remembered: (count) => probe.ask("edgewarden", { ...run, count, remembered: true }),
        jose: (count) => probe.ask("jose", { ...run, count }),
        bare: (count) => probe.ask("bare", { ...run, count }),
      };
      const share = SLOW.includes(algorithm) ? 0.1 : 1;
      results[algorithm] = await inRounds(ways, rounds, (way) => COUNTS[way] * share);
    }
    return results;
  } finally {
    await probe.stop();
  }
}

/** A key, a token like ours that it signed, and what each way needs to believe it. */
async function prepare(algorithm) {
  const [family, bits] = [algorithm.slice(0, 2), Number(algorithm.slice(2))];
  const options = { extractable: true, crv: family === "Ed" ? "Ed25519" : undefined };
  const secret = family === "HS" ? await generateSecret(algorithm, options) : undefined;
  const pair = secret ? undefined : await generateKeyPair(algorithm, options);
  const jwk = await exportJWK(secret ?? pair.publicKey);
  const names = { RSA: ["e", "kty", "n"], EC: ["crv", "kty", "x", "y"], OKP: ["crv", "kty", "x"], oct: [] }[jwk.kty];
  const members = JSON.stringify(jwk, names);
  const kid = Buffer.from(
    await crypto.subtle.digest("SHA-256", Buffer.from(secret ? `{"k":"${jwk.k}","kty":"oct"}` : members)),
  ).toString("base64url");
  const token = await new SignJWT(claims()).setProtectedHeader({ alg: algorithm, kid, typ: "at+jwt" }).sign(secret ?? pair.privateKey);
  return {
    jwk,
    key: { algorithm },
    algorithm,
    ...(secret ? { secret: jwk.k } : { members }),
    token,
    issuer: ISSUER,
    audience: AUDIENCE,
    bare: bare(family, bits),
  };
}

/** How Web Crypto is asked. */
function bare(family, bits) {
  const hash = `SHA-${bits}`;
  const alike = (parameters) => ({ importing: parameters, checking: parameters });
  return {
    HS: alike({ name: "HMAC", hash }),
    Ed: alike({ name: "Ed25519" }),
    ES: { importing: { name: "ECDSA", namedCurve: EC[bits] }, checking: { name: "ECDSA", hash } },
    RS: alike({ name: "RSASSA-PKCS1-v1_5", hash }),
    PS: { importing: { name: "RSA-PSS", hash }, checking: { name: "RSA-PSS", saltLength: bits / 8 } },
  }[family];
}

/** As an access token of ours says it. */
function claims() {
  const now = Math.floor(Date.now() / 1000);
  const id = () => "01a21381-82ba-7033-be0c-9600337ba739";
  return {
    iss: ISSUER,
    sub: id(),
    aud: AUDIENCE,
    exp: now + 3600,
    nbf: now,
    iat: now,
    jti: id(),
    client_id: "edgewarden",
    sid: id(),
    ver: 1,
    auth_time: now,
    amr: ["pwd"],
    roles: ["user"],
    username: "ada",
    email: "ada@example.org",
    email_verified: false,
  };
}
