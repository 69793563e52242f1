"""SECURITY rows 1, 2 and 4: which requests are ours, and browser logins."""

import pytest

from .conftest import URL, dispose, is_problem, make_api


def hosts(api, host, **environ):
    return api("GET", "./healthz", environ_overrides={"HTTP_HOST": host, **environ}).status_code


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4747", "localhost:4747", "LocalHost:4747", "[::1]:4747"]
)
def test_the_loopback_names_are_ours(shared, host):
    assert hosts(shared, host) == 200


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "localhost", "127.0.0.1:4748", "127.0.0.1:80", "evil.example",
     "localhost.:4747", "evil.example:4747", "127.0.0.1:4747,evil.example", "127.0.0.1:4747@evil",
     "::1:4747",
     "0.0.0.0:4747", "127.1:4747", "localhost:04747", " 127.0.0.1:4747"],
)  # fmt: skip
def test_every_other_name_is_refused(shared, host):
    assert hosts(shared, host) == 400


def test_without_a_host_nothing_is_answered(shared):
    # HTTP/1.0: the environment has no such entry at all
    environ = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "4747", "REQUEST_METHOD": "GET",
               "PATH_INFO": "/healthz", "wsgi.url_scheme": "http"}  # fmt: skip
    started = []
    b"".join(shared.app(environ, lambda status, headers: started.append(status)))

    assert started == ["400 BAD REQUEST"]


def test_the_port_is_that_of_the_socket(shared):
    assert hosts(shared, "127.0.0.1:9000", SERVER_PORT="9000") == 200
    assert hosts(shared, "127.0.0.1:4747", SERVER_PORT="9000") == 400
    assert hosts(shared, "127.0.0.1", SERVER_PORT="80") == 200


def test_more_names_can_be_allowed(start):
    api = start(allowed_hosts=("Board.example", "proxy.example:8443"))

    assert hosts(api, "board.example") == 200
    assert hosts(api, "board.example:4747") == 200
    assert hosts(api, "proxy.example:8443") == 200
    assert hosts(api, "board.example:8443") == 400
    assert hosts(api, "proxy.example") == 400


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """An application that is also known as board.example."""
    made = make_api(tmp_path_factory.mktemp("known"), allowed_hosts=("board.example",))
    yield made
    dispose(made)


@pytest.mark.parametrize("origin, host, status", [
    (URL, "127.0.0.1:4747", 200), ("http://localhost:4747", "localhost:4747", 200),
    ("http://localhost:4747", "127.0.0.1:4747", 403), ("http://127.0.0.1", "127.0.0.1:4747", 403),
    ("http://[::1", "127.0.0.1:4747", 403), ("", "127.0.0.1:4747", 403),
    ("ftp://127.0.0.1:4747", "127.0.0.1:4747", 403), ("null", "127.0.0.1:4747", 403),
    ("https://board.example", "board.example", 200),
    ("https://board.example:443", "board.example", 200),
])  # fmt: skip
def test_an_origin_must_be_the_host_itself(known, origin, host, status):
    answer = known(
        "GET", "/whoami", headers={"Origin": origin}, environ_overrides={"HTTP_HOST": host}
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    "site, status", [("same-origin", 200), ("none", 200), ("cross-site", 403), ("", 403)]
)
def test_fetch_metadata_is_believed(shared, site, status):
    assert shared("GET", "/whoami", headers={"Sec-Fetch-Site": site}).status_code == status


# Browser logins


def log_in(api):
    """A browser that went through a login link."""
    browser = api.app.test_client()
    path = api.make("/login-tickets")["path"]
    answer = browser.get(path, base_url=URL)
    assert answer.status_code == 303, answer.text
    return browser, answer


def test_a_login_link_becomes_a_cookie_with_the_port_in_its_name(api):
    browser, answer = log_in(api)

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("cortex_4747=ctx_")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie
    assert answer.headers["Location"] == "/"
    assert browser.get("/api/whoami", base_url=URL).json["name"] == "local"


def test_a_login_link_works_once(api):
    path = api.make("/login-tickets")["path"]
    client = api.app.test_client()

    assert client.head(path, base_url=URL).status_code == 400
    assert client.get(path, base_url=URL).status_code == 303
    assert is_problem(client.get(path, base_url=URL), 401)
    assert is_problem(client.get("/login?ticket=ctx_guess", base_url=URL), 401)
    assert is_problem(client.get("/login", base_url=URL), 400)
    browser = {"Accept": "text/html,*/*;q=0.8"}
    shown = client.get("/login?ticket=ctx_guess", base_url=URL, headers=browser)
    assert (shown.status_code, shown.content_type) == (401, "text/html; charset=utf-8")
    assert b"cortex open" in shown.data
    assert "Set-Cookie" not in shown.headers


def test_the_cookie_of_another_port_is_not_ours(api):
    browser, _ = log_in(api)

    other = browser.get("/api/whoami", base_url="http://127.0.0.1:9000")

    assert is_problem(other, 401)


def test_a_browser_writes_only_from_our_own_page(api):
    browser, _ = log_in(api)
    new = {"base_url": URL, "json": {"title": "x"}}

    own = browser.post("/api/projects/CTX/tickets", headers={"Origin": URL}, **new)
    foreign = browser.post(
        "/api/projects/CTX/tickets", headers={"Origin": "http://evil.example"}, **new
    )

    assert own.status_code == 201
    assert is_problem(foreign, 403, "cross_site")


def test_logging_out_ends_the_cookie_and_not_the_token(api):
    browser, answer = log_in(api)
    secret = answer.headers["Set-Cookie"].split(";")[0].split("=")[1]

    left = browser.post("/api/logout", base_url=URL)

    assert left.status_code == 204
    assert "Max-Age=0" in left.headers["Set-Cookie"]
    assert is_problem(browser.get("/api/whoami", base_url=URL), 401)
    assert is_problem(api.as_token(secret)("GET", "/whoami"), 401, "token_revoked")
    assert api("POST", "/logout").status_code == 204
    assert api("GET", "/whoami").status_code == 200


def test_a_header_wins_over_the_cookie(api):
    browser, _ = log_in(api)

    answer = browser.get("/api/whoami", base_url=URL, headers={"Authorization": "Bearer wrong"})

    assert is_problem(answer, 401, "token_unknown")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_page_needs_no_token_and_holds_no_data(shared):
    for path in ("/", "/static/app.js", "/static/board.js", "/static/app.css", "/static/icon.svg"):
        answer = shared.client.get(path, base_url=URL)
        assert answer.status_code == 200
        assert "style=" not in answer.text
        assert "innerHTML" not in answer.text
        assert "CTX" not in answer.text
