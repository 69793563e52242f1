"""nginx and Caddy, with the files of docs/deploy, between HTTP/2 clients and a real server."""

import subprocess
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import psutil
import pytest
import requests

from tests.support import needs
from tests.support.proxies import Proxy
from tests.support.server import Server, free_port, wait_for
from tests.support.wire import Stream, Wire

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

AT_ONCE_S = 2.0  # far below a heartbeat, with room for a machine that is busy
TABS = 20
PUBLISHED = 40  # of 300 KB each: more than the buffers on the way hold
SMALL_BUFFER = 4096


class Curl:
    """Streams that curl reads over HTTP/2."""

    def __init__(self, proxy: Proxy, *targets: str) -> None:
        argv = [needs.program("curl"), "--no-progress-meter", "--no-buffer", "--http2", "--include"]
        argv += ["--parallel", "--parallel-max", "100", "--cacert", proxy.ca_file]
        argv += ["--header", f"Authorization: Bearer {proxy.token}"]
        argv += ["--header", "Accept-Encoding: gzip"]  # a browser's; a stream must not be
        argv += [f"{proxy.url}{target}" for target in targets]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE)

    def __enter__(self) -> "Curl":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, mark: str, times: int = 1) -> str:
        """What comes up to the line that holds `mark`; with `times` up to so many of them."""
        assert self.process.stdout
        found = ""
        for line in iter(self.process.stdout.readline, b""):
            found += line.decode()
            times -= mark in line.decode()
            if not times:
                return found
        raise AssertionError(f"closed before {mark!r}: {found[-2000:]}")

    def connections(self) -> int:
        found = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED for one in found)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """A proxy in front of one server with the project CTX, for all tests of this module."""
    directory, port = tmp_path_factory.mktemp(request.param), free_port()
    server = Server(directory, allowed_hosts=f"localhost,localhost:{port}")
    proxy = Proxy(request.param, directory / "proxy", [server], port)
    try:
        server.start().make("/projects", key="CTX", name="Cortex")
        yield proxy.start()
    finally:
        proxy.stop()
        server.kill()


@pytest.fixture
def server(proxy: Proxy) -> Server:
    """The server behind it, without a stream."""
    wait_for(lambda: proxy.servers[0].streams() == 0, "the last test's streams are gone")
    return proxy.servers[0]


def through(proxy: Proxy, method: str, path: str, **options: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {proxy.token}", **options.pop("headers", {})}
    return requests.request(
        method, proxy.url + path, headers=headers, verify=proxy.ca_file, timeout=30,
        allow_redirects=False, **options,
    )  # fmt: skip


def test_a_board_arrives_at_once_over_http_2_and_so_does_a_change(proxy: Proxy, server: Server):
    began = time.monotonic()
    with Curl(proxy, "/events?project=CTX") as curl:
        head = curl.until("event: state").lower()
        assert "http/2 200" in head
        assert "content-type: text/event-stream" in head
        assert "cache-control: no-store" in head
        assert "content-encoding" not in head
        assert head.index("event: hello") < head.index("event: state")
        assert time.monotonic() - began < AT_ONCE_S
        for number in range(5):
            began = time.monotonic()
            server.make("/projects/CTX/tickets", title=f"Seen {number}")
            curl.until(f"Seen {number}")
            assert time.monotonic() - began < AT_ONCE_S


def test_many_tabs_share_one_connection_and_leave_at_once(proxy: Proxy, server: Server):
    with Curl(proxy, *["/events?project=CTX"] * TABS) as curl:
        curl.until("event: state", TABS)
        assert server.streams() == TABS
        assert curl.connections() == 1
        server.make("/projects/CTX/tickets", title="To every tab")
        curl.until("To every tab", TABS)
    wait_for(lambda: server.streams() == 0, "the server knows that they left", AT_ONCE_S)


def test_a_reader_over_http_1_that_leaves_is_known_at_once(proxy: Proxy, server: Server):
    with Stream(proxy, project="CTX") as stream:
        stream.next("state")
        assert server.streams() == 1
    wait_for(lambda: server.streams() == 0, "the server knows that it left", AT_ONCE_S)


def test_a_stream_resumes_after_its_last_event_id(proxy: Proxy, server: Server):
    with Stream(proxy, project="CTX") as stream:
        cursor = stream.next("state").id
    made = server.make("/projects/CTX/tickets", title="While away")
    with Stream(proxy, project="CTX", headers={"Last_Event_ID": cursor}) as stream:
        assert stream.next("hello").data["resumed"] is True
        assert stream.logged(1)[0].data["ticket"] == made["key"]


def test_a_slow_reader_holds_up_nobody_and_gets_everything(proxy: Proxy, server: Server):
    body = "x" * 300_000
    with (
        Stream(proxy, project="CTX", snapshot=0, rcvbuf=SMALL_BUFFER) as slow,
        Stream(proxy, project="CTX", snapshot=0) as quick,
    ):
        slow.next("hello"), quick.next("hello")
        made = []
        for number in range(PUBLISHED):
            began = time.monotonic()
            made.append(server.make("/projects/CTX/tickets", title=f"{number}", body=body)["key"])
            assert quick.logged(1)[0].data["ticket"] == made[-1]
            assert time.monotonic() - began < AT_ONCE_S
        assert [frame.data["ticket"] for frame in slow.logged(PUBLISHED)] == made


def test_a_head_request_takes_no_place(proxy: Proxy, server: Server):
    answer = through(proxy, "HEAD", "/events?project=CTX")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert server.streams() == 0


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (413, {"data": b'"' + b"x" * 9_000_000 + b'"'}),
        (431, {"headers": {"X-Long": "x" * 20_000}}),
        (400, {"data": b"{"}),
    ],
)
def test_refusals_are_the_servers_own(proxy: Proxy, status: int, options: dict[str, Any]):
    json_type = {"Content-Type": "application/json"}
    options["headers"] = json_type | options.get("headers", {})

    def answers() -> list[requests.Response]:
        try:
            return [through(proxy, "POST", "/api/teams", **options)]
        except requests.ConnectionError:
            return []  # the proxy had answered, and left while this client was still writing

    (answer,) = wait_for(answers, "an answer")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_body_of_the_allowed_size_passes(proxy: Proxy):
    body = {"title": "Long", "body": "x" * 900_000}
    assert through(proxy, "POST", "/api/projects/CTX/tickets", json=body).ok


def test_a_login_through_tls_sets_a_cookie_for_tls_only(proxy: Proxy, server: Server):
    link = through(proxy, "POST", "/api/login-tickets").json()["path"]
    answer = requests.get(proxy.url + link, verify=proxy.ca_file, allow_redirects=False, timeout=9)
    assert answer.status_code == 303
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(
        answer.headers["Set-Cookie"].split("; ")
    )
    name, _, secret = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    page = {"Cookie": f"{name}={secret}", "Sec-Fetch-Site": "same-origin", "Origin": proxy.url}
    assert requests.get(f"{proxy.url}/api/whoami", headers=page, verify=proxy.ca_file, timeout=9).ok
    link = server.api("POST", "/login-tickets").json()["path"]
    plain = requests.get(server.url + link, allow_redirects=False, timeout=9)
    assert "Secure" not in plain.headers["Set-Cookie"], "a browser would drop it without TLS"


def test_no_ticket_or_token_stands_in_the_proxys_log(proxy: Proxy):
    link = through(proxy, "POST", "/api/login-tickets").json()["path"]
    requests.get(proxy.url + link, verify=proxy.ca_file, allow_redirects=False, timeout=9)
    written = "".join(path.read_text() for path in proxy.directory.glob("*.log"))
    assert link.partition("=")[2] not in written
    assert proxy.token not in written


def test_what_is_for_machines_beside_the_server_stays_inside(proxy: Proxy):
    assert through(proxy, "GET", "/metrics").status_code == 404
    assert through(proxy, "GET", "/readyz").status_code == 200


def test_a_foreign_host_and_a_foreign_page_are_refused(proxy: Proxy):
    with Wire(proxy) as wire:
        answer = wire.request("/api/teams", Host="evil.example").answer()
    assert b"items" not in answer.body
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert through(proxy, "GET", "/api/teams", headers=foreign).status_code == 403


def test_two_lengths_are_refused_and_never_two_requests(proxy: Proxy):
    with Wire(proxy) as wire:
        wire.send(
            f"POST /api/teams HTTP/1.1\r\nHost: {proxy.host}:{proxy.port}\r\n"
            f"Authorization: Bearer {proxy.token}\r\nContent-Type: application/json\r\n"
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            f"0\r\n\r\nGET /api/teams HTTP/1.1\r\nHost: {proxy.host}:{proxy.port}\r\n"
            f"Authorization: Bearer {proxy.token}\r\n\r\n".encode()
        )
        assert wire.answer().status == 400
