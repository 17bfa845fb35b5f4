// An nginx that runs the very configuration of docs/FORWARD_AUTH.md in front of the demo origin, and what it needs around it: a
// certificate, and an edge, which takes TLS and hands on to the Worker, as Cloudflare does in front of a deployed one.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as ask } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";

import { HOST, freePorts } from "../../scripts/miniflare.mjs";

const { E2E_URL: url, E2E_ORIGIN: origin, E2E_NGINX: nginx, E2E_OPENSSL: openssl } = process.env;
const START_TIMEOUT_MS = 10_000;
/** The names that the documented configuration is written for. */
const AUTH_HOST = "auth.example.com";

const blocks = [...readFileSync(join(import.meta.dirname, "..", "..", "docs", "FORWARD_AUTH.md"), "utf8").matchAll(/```nginx\n(.+?)```/gs)];
const [documented, documentedSignIn] = blocks.map(([, lines]) => lines);

const folder = mkdtempSync(join(tmpdir(), "edgewarden-nginx-"));

/** The edge, and as many nginx in front of it as are asked for; `end` ends all of them, and shows what they logged if that is wanted. */
export async function stage(usual) {
  const own = certificate("edge");
  const edge = await startEdge(own);
  const started = [];
  const start = async (unusual) => {
    const one = await startNginx({ edge, trusted: own, own, ...usual, ...unusual });
    started.push(one);
    return one;
  };
  const end = async (showLogs) => {
    if (showLogs) console.error(started.flatMap(({ log }) => log).join("").split("\n").slice(-40).join("\n"));
    await Promise.all(started.map((one) => one.end()));
    edge.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return { edge, start, end };
}

/** A key with a certificate that it signed itself, for the auth host: the files' names. */
export function certificate(name) {
  const [key, pem, config] = ["key", "pem", "cnf"].map((end) => join(folder, `${name}.${end}`));
  const extensions = `[v3]\nsubjectAltName = DNS:${AUTH_HOST}\nbasicConstraints = critical, CA:TRUE\n`;
  writeFileSync(config, `[req]\ndistinguished_name = dn\nx509_extensions = v3\nprompt = no\n[dn]\nCN = ${name}\n${extensions}`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  execFileSync(openssl, ["req", "-x509", "-config", config, ...curve, "-days", "2", "-keyout", key, "-out", pem], { stdio: "pipe" });
  return { key, pem };
}

/** The edge: takes what comes for the auth host, and notes method, URL, headers and the length of the body. */
async function startEdge({ key, pem }) {
  const seen = [];
  const context = createSecureContext({ key: readFileSync(key), cert: readFileSync(pem) });
  // Whoever does not say for which host they come finds no certificate.
  const SNICallback = (name, give) => give(null, name === AUTH_HOST ? context : undefined);
  const server = createServer({ SNICallback }, async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    const { method, url: target, headers } = request;
    seen.push({ method, target, headers, bytes });
    if (headers.host !== AUTH_HOST) return response.writeHead(530).end();
    const onward = ask(`${url}${target}`, { method, headers: { ...headers, host: new URL(url).host } }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.once("error", () => response.writeHead(502).end()).end();
  });
  await new Promise((resolve) => server.listen(0, HOST, resolve));
  const close = () => (server.close(), server.closeAllConnections());
  return { port: server.address().port, seen, close };
}

/** Everything that the documented text leaves to whoever puts it in place. Each is there, or the documentation has changed. */
function filledIn(text, values) {
  return Object.entries(values).reduce((filled, [from, to]) => {
    if (!filled.includes(from)) throw new Error(`docs/FORWARD_AUTH.md has no ${from}`);
    return filled.replaceAll(from, to);
  }, text);
}

/** Starts nginx; gives its port, and how to end it. `host` is what it is to the gateway. */
async function startNginx({ edge, trusted, own, secret, host, leadsToSignIn = false }) {
  const { port } = await freePorts(["port"]);
  const place = join(folder, `${port}`);
  mkdirSync(join(place, "temp"), { recursive: true });
  writeFileSync(join(place, "secret"), `proxy_set_header X-Forward-Auth-Secret "${secret}";\n`, { mode: 0o600 });
  const site = filledIn(leadsToSignIn ? documented.replace(/\}\n$/, `\n${documentedSignIn}}\n`) : documented, {
    "server auth.example.com:443;": `server ${HOST}:${edge.port};`,
    "server 127.0.0.1:3000;": `server ${new URL(origin).host};`,
    "listen 443 ssl;": `listen ${HOST}:${port};`,
    "/etc/nginx/tls/app.example.com.pem": own.pem,
    "/etc/nginx/tls/app.example.com.key": own.key,
    "/etc/nginx/edgewarden.secret": join(place, "secret"),
    "/etc/ssl/certs/ca-certificates.crt": trusted.pem,
    "app.example.com;": `${host};`,
  });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${place}/temp/${name};`);
  // One process, in the foreground, as who runs the tests.
  const main = `daemon off;\nmaster_process off;\npid ${place}/pid;\nerror_log stderr notice;\nevents {}\n`;
  writeFileSync(join(place, "nginx.conf"), `${main}http {\naccess_log off;\n${temporary.join("\n")}\n${site}}\n`);
  const args = ["-p", place, "-c", join(place, "nginx.conf")];
  execFileSync(nginx, [...args, "-t"], { stdio: "pipe" });
  // When its standard input closes, it ends: nothing outlives the tests, however they end.
  const child = spawn("sh", ["-c", '"$@" & cat; kill "$!"; wait', "sh", nginx, ...args], { stdio: ["pipe", "ignore", "pipe"] });
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => log.push(text));
  const until = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (Date.now() > until) throw new Error(`nginx did not start: ${log.join("")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const end = async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, "exit");
  };
  return { port, log, end, send: (...what) => send(port, ...what) };
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, HOST, () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });

/** Sends a request to the letter, with headers as often and as odd as they are given, and reads the answer. */
async function send(port, target, headers = [], { method = "GET", body = "" } = {}) {
  const lines = [`${method} ${target} HTTP/1.0`, "Host: app.example.com", ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (body) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const socket = connect(port, HOST);
  socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  const [head, ...rest] = Buffer.concat(chunks).toString("utf8").split("\r\n\r\n");
  const [first, ...fields] = head.split("\r\n");
  const text = rest.join("\r\n\r\n");
  const got = Object.fromEntries(fields.map((field) => field.split(/:\s*(.*)/s)).map(([name, value]) => [name.toLowerCase(), value]));
  const isEcho = got["content-type"] === "application/json";
  return { status: Number(first.split(" ")[1]), headers: got, text, seen: isEcho ? JSON.parse(text) : undefined };
}
