// Shows the API's description. Whatever it holds is set as text, never as markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

/** An element with text or further elements in it. */
function make(name, attributes = {}, ...inner) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inner.filter((one) => one !== undefined && one !== ""));
  return element;
}

const place = (id) => document.getElementById(id);
const follow = (api, value) => (value?.$ref ? value.$ref.slice(2).split("/").reduce((at, name) => at?.[name], api) : value);
const nameOf = (schema) => schema.$ref?.split("/").at(-1);

/** Paragraphs, with what stands between backquotes as code. */
function prose(text = "") {
  const inline = (part) => part.split("`").map((piece, at) => (at % 2 ? make("code", {}, piece) : piece));
  return text.split("\n\n").map((part) => make("p", {}, ...inline(part)));
}

/** What a schema is, in a word. */
function kindOf(schema = {}) {
  if (schema === true) return ["anything"];
  if (schema.$ref) return [make("a", { href: `#schema-${nameOf(schema)}` }, nameOf(schema))];
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice) return choice.flatMap((one, at) => (at ? [" or ", ...kindOf(one)] : kindOf(one)));
  if (schema.const !== undefined) return [make("code", {}, JSON.stringify(schema.const))];
  if (schema.type === "array") return ["list of ", ...kindOf(schema.items)];
  const limits = ["format", "pattern", "minLength", "maxLength", "minimum", "maximum", "maxItems", "default"];
  const told = limits.filter((name) => schema[name] !== undefined).map((name) => `${name} ${schema[name]}`);
  if (schema.enum) told.unshift(schema.enum.map((value) => JSON.stringify(value)).join(" | "));
  const kind = [].concat(schema.type ?? "anything").join(" or ");
  return [told.length ? `${kind}: ${told.join(", ")}` : kind];
}

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, ...[].concat(cell)))));
  return make("table", {}, make("caption", { class: "quiet" }, caption), make("thead", {}, head), make("tbody", {}, ...body));
}

/** A schema: a table of its fields, if it has any. */
function shape(caption, schema) {
  const choice = schema.anyOf ?? schema.oneOf;
  if (choice) return choice.flatMap((one) => shape(caption, one));
  if (!schema.properties) return [make("p", {}, `${caption}: `, ...kindOf(schema))];
  const need = (name) => (schema.required?.includes(name) ? "required" : "optional");
  const rows = Object.entries(schema.properties).map(([name, field]) => [
    make("code", {}, name), need(name), [...kindOf(field), field.description ? make("div", { class: "quiet" }, field.description) : ""],
  ]);
  const only = schema.additionalProperties === false ? `${caption}; nothing else` : caption;
  return [table(only, ["Field", "", "What it holds"], rows)];
}

function operation(api, path, method, about) {
  const inner = [...prose(about.description)];
  const known = about.security.map((one) => Object.keys(one)[0] ?? "nobody");
  inner.push(make("p", {}, `Known by: ${known.join(", ") || "nobody, it is open to all"}`));
  const parameters = (about.parameters ?? []).map((one) => [make("code", {}, one.name), one.in, [...kindOf(one.schema), ` ${one.description ?? ""}`]]);
  if (parameters.length) inner.push(table("Parameters", ["Name", "In", "What it holds"], parameters));
  for (const [kind, { schema }] of Object.entries(about.requestBody?.content ?? {})) inner.push(...shape(`Body, ${kind}`, schema));
  const answers = Object.entries(about.responses).map(([status, answer]) => {
    const { description, content = {}, headers = {} } = follow(api, answer);
    const bodies = Object.entries(content).flatMap(([kind, { schema }]) => [make("div", {}, `${kind}: `, ...kindOf(schema))]);
    return [make("code", {}, status), description, [...bodies, make("div", { class: "quiet" }, Object.keys(headers).join(", "))]];
  });
  inner.push(table("Answers", ["Status", "When", "What"], answers));
  const summary = make("summary", {}, make("code", {}, make("span", { class: "method" }, method.toUpperCase()), path), " ", make("span", { class: "says" }, about.summary));
  const whole = make("details", { id: about.operationId, class: "operation" }, summary, ...inner);
  whole.words = [method, path, about.summary, about.operationId, about.description ?? ""].join(" ").toLowerCase();
  return whole;
}

function find() {
  const words = place("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const one of document.querySelectorAll(".operation")) {
    one.hidden = !words.every((word) => one.words.includes(word));
    if (!one.hidden) count += 1;
  }
  for (const area of document.querySelectorAll(".area")) area.hidden = !area.querySelector(".operation:not([hidden])");
  place("found").textContent = words.length ? `${count} found` : "";
}

/** What an address names is opened. */
function open() {
  const named = place(location.hash.slice(1));
  if (named?.tagName === "DETAILS") named.open = true;
}

async function show() {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  const api = await response.json();
  place("title").textContent = `${api.info.title} ${api.info.version}`;
  place("about").replaceWith(...prose(api.info.description));
  place("version").textContent = api.openapi;
  for (const { name, description } of api.tags) {
    const all = Object.entries(api.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]?.tags[0] === name).map((method) => operation(api, path, method, item[method])),
    );
    place("operations").append(make("section", { class: "area" }, make("h2", {}, name), ...prose(description), ...all));
  }
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    place("schemas").append(make("details", { id: `schema-${name}` }, make("summary", {}, make("code", {}, name)), ...prose(schema.description), ...shape("Fields", schema)));
  }
  place("words").addEventListener("input", find);
  place("search").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  open();
}

show().catch((error) => place("operations").append(make("p", { role: "alert" }, `The description could not be read: ${error.message}.`)));
