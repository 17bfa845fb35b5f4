// The demo origin: an HTTP server that answers every request with what it received, as JSON:
// {method, path, query, headers, body}. Behind the gateway that shows what an origin gets to see.
//
// usage: node demo/origin.mjs [port], default 8788; port 0 takes a free one. Prints the port.

import { createServer } from "node:http";

/** A body beyond this many bytes is counted, not echoed. */
const MAX_ECHO = 64 * 1024;

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://origin.internal");
  const chunks = [];
  let size = 0;
  request.on("data", (chunk) => {
    size += chunk.length;
    if (size <= MAX_ECHO) chunks.push(chunk);
  });
  request.on("end", () => {
    const body = size <= MAX_ECHO ? Buffer.concat(chunks).toString("utf8") : `${size} bytes`;
    const { method, headers } = request;
    const echo = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), headers, body };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(`${JSON.stringify(echo, null, 2)}\n`);
  });
});

server.listen(Number(process.argv[2] ?? 8788), "127.0.0.1", () => {
  console.log(`demo origin: ${server.address().port}`);
});
