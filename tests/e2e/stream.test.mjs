// Bodies stream both ways, and whoever keeps silent too long is given up on.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocket } from "ws";

const { E2E_URL: url, E2E_ACCESS_TOKEN: token } = process.env;
const bearer = { authorization: `Bearer ${token}` };
const MEBIBYTE = 2 ** 20;

test("an event arrives before the next one is sent", async () => {
  const path = `${url}/demo/private/sse?room=${crypto.randomUUID()}`;
  const abort = new AbortController();
  const answer = await fetch(path, { headers: bearer, signal: abort.signal });
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const arrived = async (wanted) => {
    while (!text.includes(wanted)) {
      const { value, done } = await reader.read();
      assert.ok(!done, `the stream ended before ${wanted}`);
      text += value;
    }
  };
  await arrived(": hello");
  for (const event of ["one", "two", "three"]) {
    assert.ok(!text.includes(event));
    const told = await fetch(path, { method: "POST", headers: bearer, body: event });
    assert.deepEqual(await told.json(), { listeners: 1 });
    await arrived(`data: ${event}\n\n`);
  }
  abort.abort();
});

test("a WebSocket says back texts and bytes, and how it was closed", async () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/demo/private/ws`, { headers: bearer });
  const next = (event) => new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once(event, (...what) => (socket.off("error", reject), resolve(what)));
  });
  await next("open");
  for (const message of ["text é", "x".repeat(100_000), Buffer.from([0, 255, 128, 7])]) {
    const answered = next("message");
    socket.send(message);
    const [data, isBinary] = await answered;
    assert.equal(isBinary, Buffer.isBuffer(message));
    assert.ok(Buffer.from(message).equals(data));
  }
  const closed = next("close");
  socket.close(4321, "bye");
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [4321, "bye"]);
});

test("a WebSocket that may not be opened is refused", async () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/demo/private/ws`);
  const [, answer] = await new Promise((resolve) => socket.once("unexpected-response", (...what) => resolve(what)));
  assert.equal(answer.statusCode, 401);
  answer.destroy();
});

test("large bodies pass both ways, and keep their length where it is known", async () => {
  const bytes = 64 * MEBIBYTE;
  const down = await fetch(`${url}/demo/public/big?bytes=${bytes}`);
  assert.equal(down.headers.get("content-length"), String(bytes));
  let count = 0;
  for await (const chunk of down.body) count += chunk.length;
  assert.equal(count, bytes);
  const known = await fetch(`${url}/demo/public/x`, { method: "POST", body: new Uint8Array(4 * MEBIBYTE) });
  const { headers, body } = await known.json();
  assert.deepEqual([headers["content-length"], body], [String(4 * MEBIBYTE), `${4 * MEBIBYTE} bytes`]);
  const chunks = async function* () {
    for (let sent = 0; sent < 64; sent += 1) yield new Uint8Array(MEBIBYTE);
  };
  const unknown = await fetch(`${url}/demo/public/x`, { method: "POST", body: chunks(), duplex: "half" });
  const echo = await unknown.json();
  assert.deepEqual([echo.headers["content-length"], echo.body], [undefined, `${bytes} bytes`]);
});

test("an origin that does not begin its answer is given up on", async () => {
  for (const options of [{}, { method: "POST", body: "x" }, { method: "PUT", body: new Uint8Array(2 * MEBIBYTE) }]) {
    const answer = await fetch(`${url}/demo/hasty/slow`, options);
    assert.equal(answer.status, 504);
    assert.equal((await answer.json()).request_id, answer.headers.get("x-request-id"));
  }
});

test("a body may take its time while it goes on", async () => {
  const pauses = async function* () {
    for (let sent = 0; sent < 3; sent += 1) {
      yield new Uint8Array(1000);
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  };
  const answer = await fetch(`${url}/demo/hasty/x`, { method: "POST", body: pauses(), duplex: "half" });
  assert.deepEqual([answer.status, (await answer.json()).body.length], [200, 3000]);
});

test("an answer that stalls is broken off where that is watched", async () => {
  // Compressed, it would be held back until there is more of it.
  const answer = await fetch(`${url}/demo/hasty/slow?begin=well`, { headers: { "accept-encoding": "identity" } });
  assert.equal(answer.status, 200);
  const reader = answer.body.getReader();
  assert.equal(String(Buffer.from((await reader.read()).value)), "well");
  await assert.rejects(reader.read());
});

test("what an origin answers is passed on as it is", async () => {
  for (const status of [201, 204, 304, 307, 404, 418, 500, 503]) {
    const answer = await fetch(`${url}/demo/public/status/${status}`, { redirect: "manual" });
    assert.equal(answer.status, status);
    assert.ok(answer.headers.get("x-request-id"));
    await answer.arrayBuffer();
  }
  const options = await fetch(`${url}/demo/public/x`, { method: "OPTIONS" });
  assert.equal((await options.json()).method, "OPTIONS");
});
