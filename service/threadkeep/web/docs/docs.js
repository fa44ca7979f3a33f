// Renders /openapi.json. No dependency, no markup from text: every node is made and filled.

const make = (tag, text = "", className = "") => {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
};

const add = (parent, ...nodes) => {
  parent.append(...nodes);
  return parent;
};

const nameOf = (reference) => reference.split("/").pop();

function typeOf(schema = {}) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  const bounds = ["minimum", "maximum", "minLength", "maxLength", "pattern", "format"]
    .filter((key) => key in schema)
    .map((key) => `${key} ${schema[key]}`);
  return [schema.type ?? "any", ...bounds].join(", ");
}

function tableOf(heads, rows) {
  const table = make("table");
  const head = add(make("tr"), ...heads.map((text) => make("th", text)));
  add(table, head);
  for (const row of rows) {
    add(table, add(make("tr"), ...row.map((text, n) => {
      const cell = make("td");
      return add(cell, n === 0 ? make("code", text) : document.createTextNode(text));
    })));
  }
  return table;
}

function shape(schema, schemas, seen = new Set()) {
  const box = make("div");
  const name = schema.$ref && nameOf(schema.$ref);
  const target = name ? schemas[name] : schema;
  if (name) add(box, make("h3", name));
  if (!target || (name && seen.has(name))) return box;
  const inside = name ? new Set([...seen, name]) : seen;
  if (!target.properties) return add(box, make("code", typeOf(target)));
  const required = new Set(target.required ?? []);
  add(box, tableOf(["field", "type", ""], Object.entries(target.properties).map(
    ([field, each]) => [field, typeOf(each), required.has(field) ? "required" : ""])));
  for (const each of Object.values(target.properties)) {
    for (const nested of [each, each.items, ...(each.anyOf ?? [])]) {
      if (nested?.$ref && !inside.has(nameOf(nested.$ref))) add(box, shape(nested, schemas, inside));
    }
  }
  return box;
}

function content(box, title, media, schemas) {
  for (const [type, value] of Object.entries(media ?? {})) {
    add(box, make("h3", `${title} (${type})`), shape(value.schema, schemas));
    if (value.example) add(box, make("pre", JSON.stringify(value.example, null, 2)));
  }
}

function details(operation, schemas) {
  const box = make("div", "", "body");
  const access = operation.security.flatMap(Object.keys).join(" or ") || "no credential";
  add(box, make("p", `${operation.description ?? ""} Access: ${access}.`, "quiet"));
  if (operation.parameters.length) {
    add(box, make("h3", "Parameters"), tableOf(["name", "in", "type", ""], operation.parameters.map(
      (each) => [each.name, each.in, typeOf(each.schema),
        [each.required ? "required." : "", each.description ?? ""].join(" ")])));
  }
  content(box, "Request body", operation.requestBody?.content, schemas);
  const answers = Object.entries(operation.responses);
  add(box, make("h3", "Answers"),
    tableOf(["status", ""], answers.map(([status, each]) => [status, each.description])));
  for (const [status, each] of answers) {
    if (Number(status) < 300) content(box, `Answer ${status}`, each.content, schemas);
  }
  return box;
}

function route(path, method, operation, schemas) {
  const node = make("details", "", "route");
  node.id = operation.operationId;
  node.dataset.words = `${method} ${path} ${operation.summary} ${operation.tags.join(" ")}`.toLowerCase();
  const summary = add(make("summary"), make("span", method.toUpperCase(), `method ${method}`),
    make("code", path), make("span", ` ${operation.summary}`, "quiet"));
  // Filled when it is opened, so that the page is there at once.
  node.addEventListener("toggle", () => add(node, details(operation, schemas)), { once: true });
  return add(node, summary);
}

function show(description) {
  const main = document.getElementById("routes");
  const schemas = description.components.schemas;
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, add(make("section"), make("h2", tag)));
      add(groups.get(tag), route(path, method, operation, schemas));
    }
  }
  add(main, ...groups.values());
  document.getElementById("about").textContent =
    `${description.info.description} Version ${description.info.version}.`;
}

function filter(words) {
  for (const node of document.querySelectorAll("details.route")) {
    node.hidden = !words.toLowerCase().split(/\s+/).every((word) => node.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details.route:not([hidden])");
  }
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  show(await answer.json());
  document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
} catch (error) {
  const about = document.getElementById("about");
  about.textContent = `The description could not be shown: ${error.message}`;
  about.className = "error";
}
