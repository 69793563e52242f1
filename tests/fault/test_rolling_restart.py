"""Restarts behind a proxy while many write and follow: nobody misses anything, or has it twice."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.crowd import Crowd, LogLine, Place, assert_received_exactly_the_log, read_log
from tests.support.databases import empty_postgres
from tests.support.follower import Follower
from tests.support.postgres import read_log as read_postgres_log
from tests.support.postgres import server_on
from tests.support.proxies import Proxy
from tests.support.server import Server, free_port, wait_for
from tests.support.wire import Stream, Wire
from tests.support.writers import Writer, assert_ledger_holds, writing

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(180)]

STREAMS = 45  # raw ones, and beside them
FOLLOWERS = 5  # of the SDK
WRITERS = 4
KINDS = pytest.mark.parametrize("kind", ["nginx", "caddy"])


@pytest.fixture
def started(tmp_path: Path) -> Iterator[ExitStack]:
    """What a test started; ended in the opposite order."""
    with ExitStack() as stack:
        yield stack


def behind(kind: str, directory: Path, started: ExitStack, on_a_socket: bool = False) -> Proxy:
    """A proxy in front of a new server, both running, and the project CTX."""
    port = free_port()
    server = Server(directory, allowed_hosts=f"localhost,localhost:{port}")
    if on_a_socket:
        listener = started.enter_context(socket.create_server(("127.0.0.1", server.port)))
        server.listen_on(listener)
    proxy = Proxy(kind, directory / "proxy", [server], port)
    started.callback(server.kill)
    server.start().make("/projects", key="CTX", name="Cortex")
    started.callback(proxy.stop)
    return proxy.start()


@contextmanager
def everyone_following(
    proxy: Proxy, directory: Path, read: Callable[[], list[LogLine]] | None = None
) -> Iterator[list[Writer]]:
    """Writers that write and subscribers that follow through the proxy, checked at the end.

    read: gives the log; from the SQLite file of the server when absent.
    """
    server = proxy.servers[0]
    state = server.api("GET", "/projects/CTX/board").json()
    cursor = f"{state['epoch']}.{state['head']}"
    with ExitStack() as stack:
        places = [Place(("CTX", None)[n % 2], cursor) for n in range(STREAMS)]
        crowd = stack.enter_context(Crowd(proxy, places))
        followers = [stack.enter_context(Follower(proxy, since=cursor)) for _ in range(FOLLOWERS)]
        crowd.wait_until_live()
        with writing([Writer(proxy, "CTX", pause_s=0.01) for _ in range(WRITERS)]) as writers:
            all_write(writers)
            yield writers
            crowd.wait_until_live()
            all_write(writers)
        server.make("/teams", key="last", name="The end, for everyone")
        log = read() if read else read_log(server.database)
        crowd.wait_until_at(log[-1].position)
        assert crowd.ask("status")["resets"] == 0
        assert_received_exactly_the_log(crowd.report(directory), log)
        wanted = [line.position for line in log if line.position > state["head"]]
        for follower in followers:
            wait_for(lambda f=follower: wanted[-1] in positions(f), "a follower is at the end")
            assert positions(follower) == wanted
        assert_ledger_holds(server, writers)
        assert "Traceback" not in server.whole_log()


def positions(follower: Follower) -> list[int]:
    return [int(event.id.rpartition(".")[2]) for event in follower.events if event.id]


def all_write(writers: list[Writer]) -> None:
    """Wait until each of them has had one more change acknowledged."""
    before = [len(writer.tickets) for writer in writers]
    wait_for(
        lambda: all(len(w.tickets) > n for w, n in zip(writers, before, strict=True)), "all write"
    )


def reload(server: Server) -> None:
    old = server.worker
    server.signal(signal.SIGHUP)
    wait_for(lambda: server.worker_pids() not in ([old], []), "the new worker")
    wait_for(lambda: not Path(f"/proc/{old}").exists(), "the old one ends")
    server.wait_until_ready()


@KINDS
def test_a_reload_behind_a_proxy_refuses_nobody(kind: str, tmp_path: Path, started: ExitStack):
    proxy = behind(kind, tmp_path, started)
    with everyone_following(proxy, tmp_path) as writers:
        reload(proxy.servers[0])
    assert sum(writer.retries for writer in writers) == 0


@KINDS
def test_a_restart_on_a_socket_that_stays_open_refuses_nobody(
    kind: str, tmp_path: Path, started: ExitStack
):
    proxy = behind(kind, tmp_path, started, on_a_socket=True)
    with everyone_following(proxy, tmp_path) as writers:
        proxy.servers[0].restart()
    assert sum(writer.retries for writer in writers) == 0


@KINDS
def test_a_restart_behind_a_proxy_loses_nothing(kind: str, tmp_path: Path, started: ExitStack):
    """Without a socket of systemd's nginx refuses meanwhile, and Caddy waits for the server."""
    proxy = behind(kind, tmp_path, started)
    with everyone_following(proxy, tmp_path) as writers:
        proxy.servers[0].restart()
    if kind == "caddy":  # what was on its way when the listener closed is cut, once or twice each
        assert sum(writer.retries for writer in writers) <= 4 * WRITERS


@pytest.mark.postgres
@KINDS
def test_two_servers_restarted_one_after_the_other_refuse_nobody(
    kind: str, tmp_path: Path, started: ExitStack
):
    url, port = started.enter_context(empty_postgres()), free_port()
    hosts = f"localhost,localhost:{port}"
    servers = [server_on(url, tmp_path / name, 1, allowed_hosts=hosts) for name in "ab"]
    for server in servers:
        listener = socket.create_server(("127.0.0.1", server.port))
        server.listen_on(started.enter_context(listener))
        started.callback(server.kill)
        server.start()
    servers[0].make("/projects", key="CTX", name="Cortex")
    proxy = Proxy(kind, tmp_path / "proxy", servers, port)
    started.callback(proxy.stop)
    proxy.start()
    with everyone_following(proxy, tmp_path, lambda: read_postgres_log(url)) as writers:
        for server in servers:
            server.restart()
            all_write(writers)
    assert sum(writer.retries for writer in writers) == 0


def test_a_socket_of_systemd_beyond_this_machine_needs_the_setting_too(tmp_path: Path):
    server = Server(tmp_path)
    with socket.create_server(("0.0.0.0", server.port)) as listener:
        server.listen_on(listener)
        server.start(wait=False)
        assert server.process
        assert server.process.wait(20) != 0
        assert "CORTEX_ALLOW_REMOTE=1" in server.whole_log()
        assert "Traceback" not in server.whole_log()


def test_a_stream_that_meets_no_server_behind_nginx_is_told_to_come_back(
    tmp_path: Path, started: ExitStack
):
    """A browser's EventSource would give up for good at a 502."""
    proxy = behind("nginx", tmp_path, started)
    proxy.servers[0].stop()
    with Stream(proxy, project="CTX") as stream:
        assert stream.head.headers["content-type"] == "text/event-stream"
        assert stream.read_all() == b"retry: 1500\n\n"
    with Wire(proxy) as wire:
        assert wire.request("/api/teams").answer().status == 502
    proxy.servers[0].start()
    with Stream(proxy, project="CTX") as stream:
        assert stream.next("state").data["project"]["key"] == "CTX"
