// The peer: what one would write with hono and jose to guard `/demo/private/*` as Edgewarden does.
// It believes the same tokens, removes the same headers, sets the same identity, signed as well, makes the same
// refusals and logs the same lines about those and about what it forwards.
//
// Three things that Edgewarden does are not here, because neither library does them: to ask whether
// a token was revoked, to bring paths into one spelling, and to keep a session cookie of its own
// from origins. One thing is here that Edgewarden does once per token: the signature is verified at
// every request.

import { Hono } from "hono";
import { SignJWT, createLocalJWKSet, errors, generateKeyPair, jwtVerify } from "jose";

/** Names that are ours or that origins trust, with all but letters and digits read as `-`; as in headers.rs. */
const RESERVED = new Set([
  "x-request-id", "x-organization-id", "x-real-ip", "x-client-ip", "true-client-ip", "forwarded",
  "remote-user", "remote-groups", "remote-name", "remote-email", "x-remote-user", "x-remote-group",
  "x-remote-groups", "x-user", "x-user-id", "x-username", "x-email", "x-roles", "x-groups",
  "x-auth", "x-user-email", "x-user-roles", "x-userinfo", "x-id-token", "x-jwt-assertion", "client-cert",
  "client-cert-chain", "proxy", "x-credential-identifier", "x-anonymous-consumer", "x-forward-auth-secret", "x-original-url", "x-original-uri", "x-original-method", "x-original-host",
  "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override",
  // Credentials, and headers of one connection.
  "authorization", "x-api-key", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
  "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
]);
/** Beginnings of such names. */
const RESERVED_PREFIXES = [
  "x-auth-", "x-authenticated-", "x-webauth-", "x-ssl-client-", "ssl-client-", "x-client-cert", "cf-client-cert-", "cf-cert-", "x-amzn-mtls-", "x-arr-clientcert", "tailscale-user-", "x-forwarded-", "x-consumer-", "x-goog-authenticated-", "x-goog-iap-", "x-amzn-oidc-",
  "x-ms-client-principal", "x-ms-token-", "cf-access-", "x-pomerium-", "x-authentik-", "x-vouch-",
];
/** The headers of every refusal, as in security_headers.rs and error.rs. */
const REFUSAL_HEADERS = {
  "content-type": "application/problem+json",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "strict-origin-when-cross-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
};
/** What each role gives, with what it inherits. */
const PERMISSIONS = `
  WITH RECURSIVE reach (role, inherits) AS (
    SELECT name, name FROM roles
    UNION SELECT reach.role, more.inherits FROM reach JOIN role_inherits more ON more.role = reach.inherits)
  SELECT reach.role, given.permission FROM reach JOIN role_permissions given ON given.role = reach.inherits`;
const ORIGIN_TIMEOUT_MS = 30_000;

/** Key set and roles, read at the first request. */
let known;

async function know({ DB, JWKS_URL }) {
  const keySet = await fetch(JWKS_URL).then((answer) => answer.json());
  const { results } = await DB.prepare(PERMISSIONS).all();
  const permissions = new Map();
  for (const { role, permission } of results) permissions.set(role, [...(permissions.get(role) ?? []), permission]);
  return { key: createLocalJWKSet(keySet), permissions };
}

/** An assertion is remembered for so long, as in token/assertion.rs. */
const HANDED_ON_MS = 45_000;
const assertions = new Map();
let signing;

/** What the origin is handed of a caller, signed. */
async function assertion(token, claims, scope, { ISSUER, ORIGIN }) {
  const known = assertions.get(token);
  if (known && Date.now() - known.at < HANDED_ON_MS) return known.made;
  signing ??= await generateKeyPair("EdDSA");
  const { sub, iss, username, roles, sid } = claims;
  const said = { sub_iss: iss, username, roles, scope, sid, auth_method: "bearer" };
  const jwt = new SignJWT(said).setProtectedHeader({ alg: "EdDSA", typ: "assertion+jwt", kid: "peer" });
  jwt.setIssuer(ISSUER).setAudience(ORIGIN).setSubject(sub).setIssuedAt().setExpirationTime("60s").setJti(crypto.randomUUID());
  const made = await jwt.sign(signing.privateKey);
  assertions.set(token, { at: Date.now(), made });
  return made;
}

const app = new Hono();

/** What an origin's answer gets where the origin said nothing. */
const WHERE_LEFT_OUT = ["x-content-type-options", "x-frame-options", "referrer-policy", "permissions-policy"].map((name) => [
  name,
  REFUSAL_HEADERS[name],
]);

app.all("/demo/private/*", async (c, next) => {
  c.set("requestId", crypto.randomUUID());
  const [, token] = c.req.header("authorization")?.match(/^bearer +(.+)$/i) ?? [];
  if (!token) return refuse(c, "unauthenticated", "", "Authentication is needed.");
  known ??= await know(c.env);
  try {
    const { payload } = await jwtVerify(token, known.key, {
      issuer: c.env.ISSUER,
      audience: c.env.AUDIENCE,
      typ: "at+jwt",
      algorithms: ["EdDSA"],
      requiredClaims: ["sub", "exp", "nbf", "iat", "jti", "sid"],
      clockTolerance: 5,
      maxTokenAge: "1 day",
    });
    c.set("claims", payload);
    c.set("token", token);
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return refuse(c, "invalid_token", error.code, "The access token is not valid.", "invalid_token");
  }
  await next();
});

app.all("/demo/private/*", async (c) => {
  const began = Date.now();
  const { pathname, search } = new URL(c.req.url);
  const { method, body } = c.req.raw;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ORIGIN_TIMEOUT_MS);
  const init = { method, body, headers: await outward(c), redirect: "manual", signal: abort.signal, cache: "no-store" };
  const answer = await fetch(`${c.env.ORIGIN}${pathname}${search}`, init).finally(() => clearTimeout(timer));
  const finished = new Response(answer.body, answer);
  finished.headers.delete("clear-site-data");
  finished.headers.delete("service-worker-allowed");
  for (const [name, value] of WHERE_LEFT_OUT) if (!finished.headers.has(name)) finished.headers.set(name, value);
  const request_id = c.get("requestId");
  finished.headers.set("x-request-id", request_id);
  const said = { route: "demo.private", method, subject: c.get("claims").sub, credential: "bearer" };
  if (c.env.ACCESS_LOG !== "refusals") {
    console.log(JSON.stringify({ kind: "request", reason: "forwarded", request_id, ...said, status: answer.status, ms: Date.now() - began }));
  }
  return finished;
});

/** The headers that the origin gets: the client's without forgeries, and ours. */
async function outward(c) {
  const headers = new Headers(c.req.raw.headers);
  const named = (headers.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
  for (const name of [...headers.keys()]) {
    const folded = name.replace(/[^a-z0-9]/g, "-");
    const reserved = RESERVED.has(folded) || RESERVED_PREFIXES.some((prefix) => folded.startsWith(prefix));
    if (reserved || named.includes(name)) headers.delete(name);
  }
  const url = new URL(c.req.url);
  const address = headers.get("cf-connecting-ip");
  headers.set("x-request-id", c.get("requestId"));
  if (!headers.has("cache-control")) headers.set("cache-control", "max-age=0");
  if (address) headers.set("x-forwarded-for", address);
  headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  headers.set("x-forwarded-host", url.host);
  const scope = identity(headers, c.get("claims"));
  headers.set("x-auth-assertion", await assertion(c.get("token"), c.get("claims"), scope, c.env));
  return headers;
}

function identity(headers, claims) {
  const roles = claims.roles ?? [];
  const granted = claims.scope?.split(" ");
  const all = new Set(roles.flatMap((role) => known.permissions.get(role) ?? []));
  const scopes = [...all].filter((permission) => granted?.includes(permission) ?? true).sort();
  headers.set("x-auth-subject", safe(claims.sub));
  headers.set("x-auth-issuer", safe(claims.iss));
  if (claims.username) headers.set("x-auth-username", safe(claims.username));
  if (claims.email && claims.email_verified) headers.set("x-auth-email", safe(claims.email));
  headers.set("x-auth-roles", safe(roles.join(" ")));
  headers.set("x-auth-scopes", safe(scopes.join(" ")));
  headers.set("x-auth-session", claims.sid);
  headers.set("x-auth-method", "bearer");
  return scopes.join(" ");
}

/** A value that cannot break out of its header. */
const safe = (value) => (/^[ -$&-~]*$/.test(value) ? value : value.replace(/[^ -$&-~]/gu, encodeURIComponent));

function refuse(c, reason, what, detail, code) {
  const request_id = c.get("requestId");
  console.log(JSON.stringify({ kind: "refusal", reason, what, request_id, route: "demo.private" }));
  const problem = { type: "about:blank", title: "Unauthorized", status: 401, detail, request_id, error: code };
  const challenge = `Bearer realm="edgewarden"${code ? `, error="${code}"` : ""}`;
  const headers = { ...REFUSAL_HEADERS, "www-authenticate": challenge, "x-request-id": request_id };
  return c.body(JSON.stringify(problem), 401, headers);
}

export default app;
