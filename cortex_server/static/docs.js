// Shows the OpenAPI document: every route, searchable, text only.

const $ = (id) => document.getElementById(id);
let schemas = {};

fetch("/api/openapi.json")
  .then(async (answer) => {
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    return body;
  })
  .then(show)
  .catch((error) => { $("about").textContent = error.message; });

function show(openapi) {
  schemas = openapi.components.schemas;
  $("about").textContent = `Version ${openapi.info.version}. ${openapi.info.description}`;
  for (const tag of openapi.tags) {
    const section = element("section");
    section.append(element("h2", tag.name));
    for (const [path, methods] of Object.entries(openapi.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) section.append(route(method, path, operation));
      }
    }
    $("routes").append(section);
  }
  $("search").addEventListener("input", search);
}

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of $("routes").children) {
    let any = false;
    for (const details of section.querySelectorAll("details")) {
      const found = words.every((word) => details.dataset.text.includes(word));
      details.hidden = !found;
      any ||= found;
    }
    section.hidden = !any;
  }
}

function route(method, path, operation) {
  const details = element("details");
  const summary = element("summary");
  summary.append(element("code", `${method.toUpperCase()} ${path}`), ` ${operation.summary}`);
  details.dataset.text = `${method} ${path} ${operation.summary} ${operation.tags}`.toLowerCase();
  details.append(summary);
  // filled when it is opened first: most never are
  details.addEventListener("toggle", () => {
    if (details.children.length === 1) details.append(content(operation));
  });
  return details;
}

function content(operation) {
  const box = element("div");
  box.append(element("p", operation.description));
  const parameters = operation.parameters.map((parameter) => [
    parameter.name, `${parameter.in}${parameter.required ? ", required" : ""}`,
    kind(parameter.schema), parameter.description ?? "",
  ]);
  if (parameters.length) box.append(element("h3", "Parameters"), table(parameters));
  const body = operation.requestBody?.content["application/json"].schema;
  if (body) box.append(...schema("Body", body));
  const answers = Object.entries(operation.responses).map(([status, answer]) => [
    status, answer.description, kind(Object.values(answer.content ?? {})[0]?.schema),
  ]);
  box.append(element("h3", "Answers"), table(answers));
  const ok = Object.entries(operation.responses).find(([status]) => status < "300")[1];
  const answer = ok.content?.["application/json"]?.schema;
  if (answer) box.append(...schema("Answer", answer));
  return box;
}

function schema(title, given) {
  const found = resolve(given.properties?.items?.items ?? given);
  const head = element("h3", `${title}: ${kind(given)}`);
  if (!found?.properties) return [head];
  const rows = Object.entries(found.properties).map(([name, field]) => [
    name, found.required?.includes(name) ? "required" : "", kind(field), field.description ?? "",
  ]);
  const about = found.description ? [element("p", found.description)] : [];
  return rows.length ? [head, ...about, table(rows)] : [head, ...about];
}

function resolve(given) {
  return given?.$ref ? schemas[given.$ref.split("/").pop()] : given;
}

function kind(given) {
  if (!given) return "";
  if (given.$ref) return given.$ref.split("/").pop();
  if (given.anyOf) return given.anyOf.map(kind).join(" or ");
  if (given.enum) return given.enum.join(" | ");
  if (given.properties?.items) return `page of ${kind(given.properties.items.items)}`;
  if (given.type === "array") return `list of ${kind(given.items) || "any JSON"}`;
  const limits = ["minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "format"];
  const known = limits.filter((name) => name in given).map((name) => `${name} ${given[name]}`);
  return [[given.type ?? "any JSON"].flat().join(" or "), ...known].join(", ");
}

function table(rows) {
  const made = element("table");
  for (const cells of rows) {
    const row = element("tr");
    row.append(...cells.map((cell) => element("td", cell)));
    made.append(row);
  }
  return made;
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}
