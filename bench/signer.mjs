// Tokens like those of the Edgewarden that is measured, as many different ones as are wanted: made with its own key, which is
// opened as the Worker opens it (domain/sealed.rs). Each is of another user and session, so that nothing that is known of one
// helps with the next.

import { createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { SignJWT, decodeJwt, decodeProtectedHeader, importPKCS8 } from "jose";

const PURPOSE = "edgewarden signing key seal v1";

/** Makes such tokens out of one that was issued; `secret` is `KEY_ENCRYPTION_KEY`. */
export async function signerLike(token, database, secret) {
  const { kid, alg, typ } = decodeProtectedHeader(token);
  const claims = decodeJwt(token);
  const { sealed } = await database.prepare("SELECT sealed FROM token_keys WHERE kid = ?").bind(kid).first();
  const key = await importPKCS8(pem(open(sealed, kid, secret)), alg);
  return () => new SignJWT({ ...claims, jti: uuid(), sid: uuid(), sub: uuid() }).setProtectedHeader({ alg, kid, typ }).sign(key);
}

/** AES-256-GCM; the tag is the last sixteen bytes. */
function open(sealed, kid, secret) {
  const [, , nonce, ciphertext] = sealed.split(".").map((part) => Buffer.from(part, "base64url"));
  const key = Buffer.from(hkdfSync("sha256", secret.slice(secret.indexOf(":") + 1), "", PURPOSE, 32));
  const opening = createDecipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(kid)).setAuthTag(ciphertext.subarray(-16));
  return Buffer.concat([opening.update(ciphertext.subarray(0, -16)), opening.final()]);
}

const pem = (der) => `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----`;

/** A UUIDv7 (RFC 9562, §5.7), as ids of ours are. */
function uuid() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
