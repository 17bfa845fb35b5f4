// The demo origin: an HTTP server that answers every request with what it received, as JSON:
// {method, path, query, headers, body}. Behind the gateway that shows what an origin gets to see.
//
// Some paths answer otherwise, by how they end:
//   …/sse            server-sent events: one a second; with ?room=NAME, one for each body that is posted there
//   …/ws             a WebSocket that says back what it is told, and closes as it is closed
//   …/slow           no answer at all; with ?begin=TEXT it begins with that, and then stalls
//   …/big?bytes=N    so many bytes, a gibibyte if nothing is said
//   …/status/CODE    an answer with this status
//
// It also plays an issuer whose tokens the demo policy takes, for trying that out:
//   /issuer/jwks.json                      its keys
//   /issuer/token?sub=NAME&groups=A,B      a token of whoever you like, good for ten minutes
//
// usage: node demo/origin.mjs [port], default 8788; port 0 takes a free one. Prints the port.

import { createServer } from "node:http";
import { Readable } from "node:stream";

import { WebSocketServer } from "ws";

import { jwks, token } from "./issuer.mjs";

/** A body beyond this many bytes is counted, not echoed. */
const MAX_ECHO = 64 * 1024;
const CHUNK = Buffer.alloc(64 * 1024);
const GIBIBYTE = 2 ** 30;

/** What is read of a body. */
async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= MAX_ECHO) chunks.push(chunk);
  }
  return size <= MAX_ECHO ? Buffer.concat(chunks).toString("utf8") : `${size} bytes`;
}

async function echo(request, response, url) {
  const body = await read(request);
  const { method, headers } = request;
  const seen = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), headers, body };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(`${JSON.stringify(seen, null, 2)}\n`);
}

/** Who listens in which room. */
const rooms = new Map();

async function events(request, response, url) {
  const room = url.searchParams.get("room");
  const listeners = rooms.get(room) ?? new Set();
  if (request.method === "POST") {
    const text = await read(request);
    for (const listener of listeners) listener.write(`data: ${text}\n\n`);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ listeners: listeners.size }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(": hello\n\n");
  if (room === null) {
    let count = 0;
    const timer = setInterval(() => response.write(`data: ${(count += 1)}\n\n`), 1000);
    response.once("close", () => clearInterval(timer));
    return;
  }
  rooms.set(room, listeners.add(response));
  response.once("close", () => listeners.delete(response));
}

function slow(_request, response, url) {
  const begin = url.searchParams.get("begin");
  if (begin === null) return;
  response.writeHead(200, { "content-type": "text/plain" });
  response.write(begin);
}

function big(_request, response, url) {
  let left = Number(url.searchParams.get("bytes") ?? GIBIBYTE);
  const some = () => {
    const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
    left -= chunk.length;
    return chunk;
  };
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": left });
  const chunks = (function* () {
    while (left > 0) yield some();
  })();
  Readable.from(chunks).pipe(response);
}

function status(_request, response, url) {
  const code = Number(url.pathname.slice(-3));
  response.writeHead(code, { "content-type": "text/plain" });
  response.end([204, 304].includes(code) ? undefined : `${code}\n`);
}

/** What answers where, by the end of the path. */
const PATHS = [
  [/^\/issuer\/jwks\.json$/, jwks],
  [/^\/issuer\/token$/, token],
  [/\/sse$/, events],
  [/\/slow$/, slow],
  [/\/big$/, big],
  [/\/status\/[2-5]\d\d$/, status],
];

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://origin.internal");
  const [, answer] = PATHS.find(([path]) => path.test(url.pathname)) ?? [undefined, echo];
  // A client that goes away in the middle of a body is no fault of ours.
  Promise.resolve(answer(request, response, url)).catch(() => response.destroy());
});

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  const { pathname } = new URL(request.url, "http://origin.internal");
  if (!pathname.endsWith("/ws")) return socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("error", () => {});
    client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
    client.on("close", (code, reason) => console.error(`demo origin: closed ${code} ${reason}`));
  });
});

server.listen(Number(process.argv[2] ?? 8788), "127.0.0.1", () => {
  console.log(`demo origin: ${server.address().port}`);
});
