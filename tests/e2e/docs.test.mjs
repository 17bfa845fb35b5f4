// The page that shows the API's description, as a browser without a window runs it: every operation is there, and can be found.

import assert from "node:assert/strict";
import { test } from "node:test";

import { JSDOM } from "jsdom";

const url = process.env.E2E_URL;
const get = (path) => fetch(`${url}${path}`);
const METHODS = ["get", "post", "put", "patch", "delete"];

/** The page once its script has run. */
async function shown() {
  const page = new JSDOM(await (await get("/docs")).text(), { url: `${url}/docs`, runScripts: "outside-only" });
  const { window } = page;
  window.fetch = (path) => get(path);
  window.eval(await (await get("/docs/page.js")).text());
  for (let tries = 0; tries < 200 && !window.document.querySelector(".operation"); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  return window;
}

test("every operation and every schema is shown", async () => {
  const api = await (await get("/openapi.json")).json();
  const { document } = await shown();
  let count = 0;
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const told = document.getElementById(item[method].operationId)?.textContent ?? "";
      const parts = [method.toUpperCase(), path, item[method].summary, ...Object.keys(item[method].responses)];
      for (const parameter of item[method].parameters ?? []) parts.push(parameter.name);
      for (const part of parts) assert.ok(told.includes(part), `${method} ${path}: ${part}`);
      count += 1;
    }
  }
  assert.equal(document.querySelectorAll(".operation").length, count);
  for (const name of Object.keys(api.components.schemas)) assert.ok(document.getElementById(`schema-${name}`), name);
  for (const link of document.querySelectorAll('a[href^="#"]')) assert.ok(document.getElementById(link.getAttribute("href").slice(1)), link.outerHTML);
});

test("operations are found by words", async () => {
  const window = await shown();
  const words = window.document.getElementById("words");
  words.value = "post admin rotate";
  words.dispatchEvent(new window.Event("input"));
  const found = [...window.document.querySelectorAll(".operation:not([hidden])")].map((one) => one.id);
  assert.deepEqual(found, ["rotateKeys"]);
  assert.equal(window.document.getElementById("found").textContent, "1 found");
});

test("the page asks for nothing that its policy forbids", async () => {
  const page = await get("/docs");
  assert.match(page.headers.get("content-security-policy"), /^default-src 'self';/);
  const { document } = new JSDOM(await page.text()).window;
  assert.equal(document.querySelectorAll("style, [style], script:not([src])").length, 0);
  for (const one of document.querySelectorAll("[src], link[href]")) assert.match(one.getAttribute("src") ?? one.getAttribute("href"), /^\/docs\//);
});
