"""Every route of the application, walked: a new one without the checks fails here by itself."""

import re

import pytest

from cortex_server import api as rest
from cortex_server.app import create_app
from cortex_server.config import Config

from .conftest import URL, is_problem

PUBLIC = {"/", "/healthz", "/readyz", "/login"}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """(method, address with arguments filled in, rule) of every route."""
    directory = tmp_path_factory.mktemp("routes")
    app = create_app(Config(data_dir=directory, database_url=f"sqlite:///{directory}/c.db"))
    found = [
        (method, re.sub(r"<[^>]+>", "CTX", rule.rule), rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods)
    ]
    app.extensions["cortex"].store.engine.dispose()
    return found


def is_public(rule):
    return rule in PUBLIC or rule.startswith("/static/")


def body_of(method):
    return (
        {"data": b"{}", "content_type": "application/json"}
        if method in ("POST", "PUT", "PATCH")
        else {}
    )


def ask(api, method, path, headers=None, base_url=URL, **options):
    return api.client.open(path, method=method, base_url=base_url, headers=headers or {}, **options)


def test_every_route_is_walked(routes, shared):
    assert len({rule for _, _, rule in routes}) > 40
    declared = {(e.method, f"/api{e.path}") for noun in rest.ALL for e in noun.endpoints}
    assert declared <= {(method, rule) for method, _, rule in routes}
    beside = {rule for _, _, rule in routes} - {path for _, path in declared}
    assert {rule for rule in beside if not is_public(rule)} == {
        "/events",
        "/events/dashboard",
        "/metrics",
    }


def test_no_route_takes_options(routes):
    assert "OPTIONS" not in {method for method, _, _ in routes}


def test_every_route_but_the_public_ones_wants_a_token(routes, shared):
    for method, path, rule in routes:
        if not is_public(rule):
            answer = ask(shared, method, path, **body_of(method))
            assert answer.status_code == 401, (method, rule)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer"), rule
            if method != "HEAD":
                assert is_problem(answer, 401, "unauthenticated"), rule


def test_every_route_refuses_a_wrong_token(routes, shared):
    for method, path, rule in routes:
        if not is_public(rule):
            answer = ask(shared, method, path, {"Authorization": "Bearer wrong"}, **body_of(method))
            assert answer.status_code == 401, (method, rule)


@pytest.mark.parametrize(
    "header", ["Bearer", "Basic YTpi", "Bearer a b", "wrong", "", "Bearer \xff"]
)
@pytest.mark.parametrize("path", ["/api/tickets", "/events", "/metrics"])
def test_what_is_no_bearer_token_is_refused(shared, path, header):
    assert is_problem(ask(shared, "GET", path, {"Authorization": header}), 401)


def test_every_route_refuses_a_foreign_host(routes, shared):
    for method, path, rule in routes:
        answer = shared(method, f".{path}", environ_overrides={"HTTP_HOST": "evil.example:4747"})
        assert answer.status_code == 400, (method, rule)
        if method != "HEAD":
            assert is_problem(answer, 400, "host_refused"), rule


def test_every_route_refuses_a_missing_host(routes, shared):
    for method, path, rule in routes:
        answer = ask(shared, method, path, environ_overrides={"HTTP_HOST": ""})
        assert answer.status_code == 400, (method, rule)


def test_every_route_refuses_pages_of_other_sites(routes, shared):
    for method, path, rule in routes:
        for headers in ({"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:3000"}):
            answer = shared(method, f".{path}", headers=headers)
            assert answer.status_code == 403, (method, rule, headers)


def test_every_route_that_takes_a_body_takes_only_json(routes, shared):
    for method, path, rule in routes:
        if method in ("POST", "PUT", "PATCH"):
            answer = shared(method, f".{path}", data=b"a=b", content_type="text/plain")
            assert is_problem(answer, 415), (method, rule)


def test_every_route_that_takes_a_body_is_strict_about_it(routes, shared):
    for method, path, rule in routes:
        if method in ("POST", "PUT", "PATCH"):
            answer = shared.raw(method, f".{path}", b'{"a":1,"a":2}')
            assert is_problem(answer, 400, "malformed"), (method, rule)
            answer = shared.raw(method, f".{path}", b'{"unheard of":1}')
            assert is_problem(answer, 422, "invalid"), (method, rule)


def test_every_route_is_strict_about_its_query(routes, shared):
    for method, path, rule in routes:
        if rule.startswith("/static/") or rule == "/":
            continue
        body = {} if method == "DELETE" else body_of(method)
        answer = shared(method, f".{path}?unheard=1", **body)
        # a body or a role may be refused first, never an unknown thing looked up
        assert answer.status_code in (400, 422, 401), (method, rule, answer.text)


def test_every_route_names_what_is_not_there_in_a_problem(routes, shared):
    for method, path, rule in routes:
        if "<" in rule and method in ("GET", "DELETE"):
            answer = shared(method, f".{path.replace('CTX', 'NOPE')}")
            assert is_problem(answer, 404, "not_found"), (method, rule)


def test_every_answer_carries_the_protecting_headers(routes, shared):
    for method, path, rule in routes:
        for answer in (ask(shared, method, path), shared(method, f".{path}?unheard=1")):
            headers = answer.headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'"), rule
            assert headers["X-Content-Type-Options"] == "nosniff", rule
            assert headers["Referrer-Policy"] == "no-referrer", rule
            assert "Cache-Control" in headers, rule
            assert not [name for name, _ in headers if name.startswith("Access-Control-")], rule
            if rule.startswith("/api"):
                assert headers["Cache-Control"] == "no-store", rule


@pytest.mark.parametrize("method, path, status", [
    ("GET", "./nothing", 404), ("GET", "/nothing", 404), ("GET", "/tickets/", 404),
    ("GET", ".//api/tickets", 404), ("PUT", "/tickets", 405), ("OPTIONS", "/tickets", 405),
    ("TRACE", "/tickets", 405), ("BREW", "./healthz", 405), ("GET", "./static/../app.py", 404),
    ("GET", "./static/nothing.js", 404),
])  # fmt: skip
def test_what_the_router_refuses_is_a_problem_too(shared, method, path, status):
    answer = shared(method, path)

    assert is_problem(answer, status)
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_fault_of_ours_is_a_problem_that_tells_nothing(api, monkeypatch):
    monkeypatch.setattr(api.app.extensions["cortex"].snapshots, "dashboard", lambda _grant: 1 / 0)

    answer = api("GET", "/dashboard")

    assert is_problem(answer, 500, "internal")
    assert "ZeroDivision" not in answer.text
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.json["request_id"])
