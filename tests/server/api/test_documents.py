"""The documents that the server makes of itself, and the pages of the documentation."""

import re

import jsonschema_rs
import pytest

from cortex_server import api as rest
from cortex_server.api import reference
from cortex_server.events import EVENTS
from cortex_server.events.emissions import EMISSIONS

from .conftest import URL


@pytest.fixture(scope="module")
def openapi(shared):
    return shared.get("/openapi.json")


def references(value):
    """Every $ref inside a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolve(document, ref):
    found = document
    for step in ref.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/")]
    return found


def operations(openapi):
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_openapi_has_every_declared_route_and_no_other(openapi):
    declared = {
        (e.method.lower(), "/api" + re.sub(r"<(\w+)>", r"{\1}", e.path))
        for noun in rest.ALL
        for e in noun.endpoints
    }

    assert {(method, path) for method, path, _ in operations(openapi)} == declared


def test_openapi_is_complete(openapi):
    assert openapi["openapi"] == "3.1.0"
    ids = [operation["operationId"] for _, _, operation in operations(openapi)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(openapi):
        assert operation["summary"].endswith("."), path
        assert operation["description"], path
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), path
        assert all(p["required"] for p in operation["parameters"] if p["in"] == "path")
        assert {"400", "401", "403"} <= operation["responses"].keys(), path
        assert any(status < "300" for status in operation["responses"]), path
        assert ("requestBody" in operation) == (method in ("post", "put", "patch")), path
        for status, answer in operation["responses"].items():
            assert answer["description"]
            if status >= "400":
                assert list(answer["content"]) == ["application/problem+json"]


def test_every_reference_leads_somewhere(openapi, shared):
    for document in (openapi, shared.get("/asyncapi.json")):
        found = set(references(document))
        assert found
        for ref in found:
            assert resolve(document, ref), ref


def test_every_schema_is_a_json_schema(openapi, shared):
    for document in (openapi, shared.get("/asyncapi.json")):
        for schema in document["components"]["schemas"].values():
            jsonschema_rs.meta.validate(
                {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
            )


def test_answers_are_what_openapi_says(openapi, shared):
    asked = {
        "/projects/CTX": "/projects/{key}",
        "/tickets/CTX-1": "/tickets/{ref}",
        "/projects/CTX/board": "/projects/{key}/board",
        "/tickets": "/tickets",
        "/dashboard": "/dashboard",
        "/whoami": "/whoami",
    }
    for path, template in asked.items():
        declared = openapi["paths"][f"/api{template}"]["get"]
        schema = declared["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": openapi["components"]}
        jsonschema_rs.validate(whole, shared.get(path))


def test_a_problem_is_what_openapi_says(openapi, shared):
    schema = openapi["components"]["schemas"]["Problem"]

    jsonschema_rs.validate(schema, shared("GET", "/tickets/NONE-1").json)
    jsonschema_rs.validate(schema, shared("POST", "/projects/CTX/tickets", json={}).json)


def test_asyncapi_has_every_event_of_the_catalogue(shared):
    asyncapi = shared.get("/asyncapi.json")

    assert asyncapi["asyncapi"] == "3.0.0"
    assert asyncapi["components"]["messages"].keys() == EVENTS.keys()
    assert asyncapi["channels"]["events"]["messages"].keys() == EVENTS.keys()
    assert asyncapi["components"]["messages"]["message.delta"]["x-ephemeral"] is True
    assert "id" not in asyncapi["components"]["messages"]["message.delta"]["payload"]["properties"]


def test_the_table_of_emissions_names_every_event_and_only_real_requests():
    emitted = {step.event for emission in EMISSIONS for step in emission.steps}
    assert emitted == EVENTS.keys()

    real = {(e.method, re.sub(r"<\w+>", "X", e.path)) for noun in rest.ALL for e in noun.endpoints}
    requests = [emission.request for emission in EMISSIONS if emission.request]
    named = [part.split(" ") for request in requests for part in request.split(", ")]
    assert {(method, re.sub(r"\b[A-Z]{2,}\b", "X", path)) for method, path in named} <= real


def test_the_pages_of_the_documentation_name_everything():
    events, api = reference.events_page(), reference.api_page()

    assert all(f"`{name}`" in events for name in EVENTS)
    for endpoint in (endpoint for noun in rest.ALL for endpoint in noun.endpoints):
        path = re.sub(r"<(\w+)>", r"{\1}", endpoint.path)
        assert f"`{endpoint.method} /api{path}`" in api
    for page in (events, api):
        headings = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}
        assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings


def test_the_page_of_the_api_runs_under_its_policy(shared):
    page = shared("GET", "/docs")

    assert page.mimetype == "text/html"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert shared.client.get(asset, base_url=URL).status_code == 200
    assert not re.search(r"<script>|style=|\son\w+=", page.text)
