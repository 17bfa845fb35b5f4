// Writes src/domain/password/common.txt, the list that a new password may not be on, from the two
// lists that it comes from. Run by hand, when one of them has changed.
//
// usage: node scripts/common-passwords.mjs DJANGO ZXCVBN
//   DJANGO  django/contrib/auth/common-passwords.txt.gz, from Django (BSD-3-Clause)
//   ZXCVBN  lib/frequency_lists.js, from the npm package zxcvbn (MIT)
//
// What is refused because of a shorter entry, by the rules of src/domain/password/common.rs, is left out.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

import { fail, root, say } from "./lib.mjs";

const [django, zxcvbn] = process.argv.slice(2);
if (!zxcvbn) fail("usage: node scripts/common-passwords.mjs common-passwords.txt.gz frequency_lists.js");
const { passwords } = createRequire(import.meta.url)(resolve(zxcvbn));
const commonest = gunzipSync(readFileSync(django)).toString().split("\n");
const words = new Set(commonest.map((one) => one.trim().toLowerCase()));
const all = new Set([...words, ...passwords.map((one) => one.trim().toLowerCase())]);

/** As in common.rs: what is added at the end of a word, and how short a word may be that it is added to. */
const [MAX_ADDED, MIN_WORD] = [6, 4];
const isWord = (text) => text.length >= MIN_WORD && /[a-z]/.test(text);
// What is shorter than any password is looked for only as the word in one; there, the commonest are enough.
const entries = [...all].filter((text) => /^[!-~]{4,40}$/.test(text) && (text.length >= 8 || (words.has(text) && isWord(text))));
const known = new Set(entries);
function follows(entry) {
  for (let end = entry.length - 1; end >= entry.length - MAX_ADDED && !/[a-z]/.test(entry[end] ?? "a"); end -= 1) {
    const word = entry.slice(0, end);
    if (isWord(word) && known.has(word)) return true;
  }
  return false;
}
const kept = entries.filter((entry) => !follows(entry)).sort();

// Each line: how many characters it shares with the line before, as one character from "0" on, and the rest.
let before = "";
const lines = kept.map((entry) => {
  let shared = 0;
  while (shared < before.length && before[shared] === entry[shared]) shared += 1;
  before = entry;
  return `${String.fromCharCode(48 + shared)}${entry.slice(shared)}\n`;
});
const text = lines.join("");
writeFileSync(join(root, "src", "domain", "password", "common.txt"), text);
const long = entries.filter((entry) => entry.length >= 8).length;
say(`${entries.length} passwords (${long} of 8 characters and more) in ${kept.length} lines: ${text.length} bytes, ${gzipSync(text, { level: 9 }).length} gzip`);
