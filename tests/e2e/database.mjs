// The Worker's local database, read and written beside it, and what it keeps sealed: for tests that put
// keys into its ring, or need one out of it.

import { hkdfSync, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const { E2E_STATE: state, E2E_KEY_ENCRYPTION_KEY: masters } = process.env;
const PURPOSE = "edgewarden signing key seal v1";

/** The database that has the keys. */
export function database() {
  const folder = join(state, "v3", "d1", "miniflare-D1DatabaseObject");
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".sqlite"))) {
    const found = new DatabaseSync(join(folder, name));
    found.exec("PRAGMA busy_timeout = 5000");
    if (found.prepare("SELECT 1 FROM sqlite_master WHERE name = 'token_keys'").get()) return found;
    found.close();
  }
  throw new Error("no database with keys");
}

/** `v1.<master id>.<nonce>.<ciphertext and tag>`: AES-256-GCM, the key's id as associated data. */
export async function seal(kid, secret) {
  const [id, value] = masters.split(",")[0].split(/:(.*)/s);
  const nonce = randomBytes(12);
  const sealed = await crypto.subtle.encrypt(parameters(nonce, kid), await master(value, "encrypt"), secret);
  return ["v1", id, nonce.toString("base64url"), Buffer.from(sealed).toString("base64url")].join(".");
}

/** What was sealed like that. */
export async function open(kid, sealed) {
  const [, id, nonce, text] = sealed.split(".");
  const value = masters.split(",").find((one) => one.startsWith(`${id}:`)).slice(id.length + 1);
  const bytes = Buffer.from(text, "base64url");
  const secret = await crypto.subtle.decrypt(parameters(Buffer.from(nonce, "base64url"), kid), await master(value, "decrypt"), bytes);
  return Buffer.from(secret);
}

const parameters = (iv, kid) => ({ name: "AES-GCM", iv, additionalData: Buffer.from(kid) });

/** HKDF-SHA256 of a master secret for this one purpose (RFC 5869). */
const master = (value, usage) =>
  crypto.subtle.importKey("raw", hkdfSync("sha256", value, "", PURPOSE, 32), "AES-GCM", false, [usage]);
