"""docs/events.md and docs/api.md, as Markdown made from the code."""

from typing import Any

from cortex_server import __version__, api
from cortex_server.api import asyncapi, openapi
from cortex_server.events import EVENTS, Audience
from cortex_server.events.emissions import EMISSIONS, Step

_EVENTS_HEAD = """\
# Events

Made from the code by `scripts/docs`: do not edit.

Every change is one transaction: it changes rows and appends its events to the log. A stream
(`GET /events`) carries them as server-sent events, in the order of the log, none missing and none
twice.

## On the wire

A logged event, its data on one line of JSON:

```
id: 8f3c21aa.1042
event: ticket.moved
data: {"id":"8f3c21aa.1042","type":"ticket.moved","project":"CTX","seq":211,"ticket":"CTX-12",\
"at":"2026-01-26T15:53:01.717454Z","actor":{"kind":"agent","name":"opencode"},"payload":{…}}
```

- `id` is `<epoch>.<position>`. Positions are contiguous over the whole log; the epoch changes when
  a backup is put back. Send the last id as `Last-Event-ID` (or `?since=`) to go on after it.
- `seq` is contiguous in its project: on an unfiltered board stream a hole means that something is
  missing. It is null for events of no project.
- `payload` is the object's new state, exactly what a GET of it returns. `ticket.updated` and
  `ticket.moved` also carry `changed`: `{field: {"from", "to"}}`; `ticket.labeled` and
  `ticket.unlabeled` the `label`.
- `actor` is who did it: `user`, `agent`, `runner` or `system`, and a name.

Frames of the stream itself: `hello` first, then, unless the stream resumes, `state` (the whole
board, whose id is where the events go on), `heartbeat` every 15 s, `reset` when a cursor cannot be
served, `end` before the server closes. An ephemeral event (`message.delta`) has no `id` line and no
`id`, `seq` and `actor`, and goes only to streams that ask for it with `deltas=SESSION` or
`deltas=*`.

A reader shows a type that it does not know as it is, and goes on.
"""


def events_page() -> str:
    """The page of the event catalogue."""
    lines = [_EVENTS_HEAD, "## Types", "", "| type | payload | meaning |", "|---|---|---|"]
    for event in EVENTS.values():
        payload = event.payload.__name__
        lines.append(f"| `{event.name}` | [{payload}](#{payload.lower()}) | {event.meaning} |")
    lines += ["", _audience(), "", "## What emits what", ""]
    lines += ["In this order; a change that changes nothing emits nothing.", ""]
    lines += ["| mutation | request | events |", "|---|---|---|"]
    for emission in EMISSIONS:
        steps = "<br>".join(_step(step) for step in emission.steps)
        request = f"`{emission.request}`" if emission.request else "by the server itself"
        lines.append(f"| {emission.mutation} | {request} | {steps} |")
    lines += ["", "## Payloads", ""]
    for name, schema in sorted(asyncapi.document(__version__)["components"]["schemas"].items()):
        lines += [f"### {name}", "", *_fields(schema)]
    return "\n".join(lines).rstrip("\n") + "\n"


def api_page() -> str:
    """The page of the REST API."""
    document = openapi.document(api.ALL, __version__)
    lines = ["# REST API", "", "Made from the code by `scripts/docs`: do not edit.", ""]
    lines += [
        document["info"]["description"],
        "",
        "Send `Authorization: Bearer TOKEN`; the token of the server's own account is in",
        "`$XDG_DATA_HOME/cortex/token`. Lists answer `{items, next_cursor}`; pass `next_cursor` as",
        "`?cursor=` for the following page.",
        "",
        "Outside of `/api`: `GET /events` and `GET /events/dashboard` (see [events](events.md)),",
        "`/healthz` and `/readyz` (no token), `/metrics` (an admin's token, or none with",
        "`CORTEX_METRICS_PUBLIC=1`), `/` (the live page), `/login?ticket=` (from `cortex open`).",
        "",
    ]
    for tag in document["tags"]:
        lines += [f"## {tag['name']}", ""]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if operation["tags"] == [tag["name"]]:
                    lines += _operation(method, path, operation)
    lines += ["## Objects", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"### {name}", "", *_fields(schema)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _audience() -> str:
    wide = [name for name, event in EVENTS.items() if event.audience is Audience.EVERYONE]
    return (
        "An event of a project reaches the tokens that may read the project. Of those without a "
        f"project, {', '.join(f'`{name}`' for name in wide)} reach everybody and the others reach "
        "administrators."
    )


def _step(step: Step) -> str:
    words = f"`{step.event}`"
    if step.each:
        words += f" for each {step.each}"
    return words + (f" ({step.when})" if step.when else "")


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = [
        f"### `{method.upper()} {path}`",
        "",
        f"{operation['summary']} {operation['description']}",
    ]
    asked = [p for p in operation["parameters"] if p["in"] == "query"]
    if asked:
        lines += ["", "Query: " + ", ".join(f"`{p['name']}` ({_type(p['schema'])})" for p in asked)]
    if body := operation.get("requestBody"):
        optional = "" if body["required"] else " (may be left out)"
        lines += ["", f"Body: {_link(body['content']['application/json']['schema'])}{optional}"]
    for status, answer in operation["responses"].items():
        if status < "300":
            content = answer.get("content", {}).get("application/json", {}).get("schema")
            lines += ["", f"Answer: {status}" + (f", {_link(content)}" if content else "")]
    refused = [status for status in operation["responses"] if status >= "400"]
    return [*lines, "", f"Refusals: {', '.join(refused)}", ""]


def _fields(schema: dict[str, Any]) -> list[str]:
    lines = [schema["description"], ""] if "description" in schema else []
    properties = schema.get("properties", {})
    if not properties:
        return lines or ["No fields.", ""]
    required = schema.get("required", [])
    lines += ["| field | type | |", "|---|---|---|"]
    for name, field in properties.items():
        need = "" if name in required else "optional"
        lines.append(f"| `{name}` | {_type(field)} | {need} |")
    return [*lines, ""]


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return _link(schema)
    if "anyOf" in schema:
        return " or ".join(_type(kind) for kind in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(kind, list):
        return " or ".join(kind)
    bounds = [
        f"{word} {schema[name]}"
        for name, word in (
            ("minimum", "from"), ("maximum", "to"), ("maxItems", "at most")
        )
        if name in schema
    ]  # fmt: skip
    extra = [schema["format"]] if "format" in schema else []
    return " ".join([str(kind), *extra, *bounds])


def _link(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "properties" in schema and "items" in schema["properties"]:
        return f"a page of {_type(schema['properties']['items']['items'])}"
    return _type(schema)
