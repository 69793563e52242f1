"""Stopping and reloading with 200 open streams, and what must never serve one file twice."""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.crowd import Crowd, Place, assert_received_exactly_the_log, read_log
from tests.support.server import GUNICORN, ROOT, Server, free_port, wait_for
from tests.support.wire import Stream, Wire
from tests.support.writers import Writer, assert_ledger_holds, writing

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(120)]

STREAMS = 200
GRACE_S = 10  # the default of CORTEX_GRACEFUL_S


@pytest.fixture
def board(server: Server) -> Server:
    server.make("/projects", key="CTX", name="Cortex")
    return server


@pytest.fixture
def crowd(board: Server):
    """200 streams: boards, and the firehose."""
    state = board.api("GET", "/projects/CTX/board").json()
    cursor = f"{state['epoch']}.{state['head']}"
    with Crowd(board, [Place(("CTX", None)[n % 2], cursor) for n in range(STREAMS)]) as crowd:
        crowd.wait_until_live()
        yield crowd


def closed_by_drain(server: Server) -> int:
    return sum(line["cause"] == "drain" for line in server.logged("stream_closed"))


def test_sigterm_tells_every_stream_and_runs_every_finally(board: Server, crowd: Crowd):
    crowd.ask("hold")
    began = time.monotonic()
    board.stop()
    assert time.monotonic() - began < GRACE_S / 2
    assert board.process.returncode == 0
    assert crowd.ask("status")["ends"] == {"drain true": STREAMS}
    assert closed_by_drain(board) == STREAMS
    assert "graceful timeout" not in board.whole_log()
    assert "Traceback" not in board.whole_log()


def test_a_dashboard_is_told_too(board: Server):
    with Stream(board, "/events/dashboard") as stream:
        stream.next("dashboard_overview")
        board.signal(signal.SIGTERM)
        assert stream.next("end").data["reason"] == "drain"
    board.process.wait(GRACE_S)


def test_an_interrupt_from_the_keyboard_tells_the_streams_too(board: Server):
    with Stream(board, "/events?project=CTX") as stream:
        stream.next("state")
        board.signal(signal.SIGINT)
        assert stream.next("end").data["reason"] == "drain"
    board.process.wait(GRACE_S)


def test_sighup_tells_all_and_they_come_back_without_a_gap(
    board: Server, crowd: Crowd, tmp_path: Path
):
    old = board.worker
    connects = crowd.ask("status")["connects"]
    with writing([Writer(board, "CTX", pause_s=0.005) for _ in range(4)]) as writers:
        wait_for(lambda: all(writer.tickets for writer in writers), "all write")
        board.signal(signal.SIGHUP)
        wait_for(lambda: board.worker_pids() != [old] and len(board.worker_pids()) == 1, "reload")
        crowd.wait_until_live()
        written = [len(writer.tickets) for writer in writers]
        wait_for(
            lambda: all(len(w.tickets) > n for w, n in zip(writers, written, strict=True)),
            "all write again",
        )

    assert board.worker != old
    status = crowd.ask("status")
    assert status["told"] == STREAMS
    # Who comes back while the old worker still accepts is told once more.
    assert status["ends"] == {"drain true": closed_by_drain(board)}
    assert status["connects"] >= connects + STREAMS
    assert status["resets"] == 0
    board.make("/teams", key="last", name="The end, for everyone")
    log = read_log(board.database)
    crowd.wait_until_at(log[-1].position)
    assert_received_exactly_the_log(crowd.report(tmp_path), log)
    assert_ledger_holds(board, writers)
    assert "Traceback" not in board.whole_log()


def test_idle_connections_hold_up_neither_a_reload_nor_a_stop(board: Server):
    old = board.worker
    with requests.Session() as idle, Wire(board):
        assert idle.get(board.url + "/healthz", timeout=5).ok
        board.signal(signal.SIGHUP)
        wait_for(lambda: board.worker_pids() not in ([old], []), "the new worker")
        wait_for(lambda: not Path(f"/proc/{old}").exists(), "the old one ends", 4)
        assert idle.get(board.url + "/healthz", timeout=5).ok
        began = time.monotonic()
        board.stop()
        assert time.monotonic() - began < 4


def stalled_stream(server: Server) -> socket.socket:
    """A reader that takes nothing of its board, which its kernel has no room for."""
    for title in "abc":
        server.make("/projects/CTX/tickets", title=title, body="x" * 500_000)
    sock = server.connect(rcvbuf=2048)
    sock.sendall(request_head(server, "GET /events?project=CTX"))
    wait_for(server.streams, "the stream is open")
    return sock


def stalled_upload(server: Server) -> socket.socket:
    """A request of which only the beginning comes."""
    sock = server.connect()
    sock.sendall(request_head(server, "POST /api/projects", '{"key": "NEW", "name"', more=99))
    return sock


def request_head(server: Server, line: str, begun: str = "", more: int = 0) -> bytes:
    """A request whose body has begun; so many bytes of it are to follow."""
    fields = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    fields += [f"Authorization: Bearer {server.token}", "Content-Type: application/json"]
    fields += [f"Content-Length: {len(begun) + more}"] if begun else []
    return ("\r\n".join(fields) + "\r\n\r\n" + begun).encode()


@pytest.mark.parametrize("stalled", [stalled_stream, stalled_upload])
def test_whoever_stalls_does_not_keep_a_stop_from_storing_what_is_in_memory(make_server, stalled):
    board = make_server(graceful_s=4)
    board.make("/projects", key="CTX", name="Cortex")
    with stalled(board):
        token = board.make("/tokens", name="t", role="read")
        headers = {"Authorization": f"Bearer {token['secret']}"}
        assert requests.get(board.url + "/api/projects", headers=headers, timeout=5).ok
        began = time.monotonic()
        board.stop()
        took_s = time.monotonic() - began
    assert took_s > 1.9, "it waited for the stalled one"
    # noted in memory once a minute; else at the end
    query = f"SELECT last_used_at FROM tokens WHERE id = '{token['id']}'"
    assert query_one(board.database, query), "the worker had time for its last duties"


def test_text_that_comes_while_a_worker_stops_is_stored_at_once(make_server):
    board = make_server(graceful_s=60)
    board.make("/projects", key="CTX", name="Cortex")
    with stalled_stream(board):
        session = board.make("/tickets/CTX-1/sessions", title="s")["id"]
        part = {"type": "text", "text": "", "status": "streaming"}
        message = {"role": "assistant", "parts": [part]}
        path = f"/sessions/{session}/messages/m"
        assert board.api("PUT", path, message).status_code == 201
        body = '{"part": 0, "offset": 0, "text": "late"}'
        with board.connect() as sock:
            begun = request_head(board, f"POST /api{path}/delta", body[:-1], more=1)
            sock.sendall(begun)
            board.signal(signal.SIGTERM)
            wait_for(lambda: board.logged("draining"), "it stops")
            sock.sendall(b"}")
            assert sock.recv(100).startswith(b"HTTP/1.1 202 ")
        query = "SELECT parts FROM messages"
        wait_for(lambda: "late" in query_one(board.database, query), "it is stored", 5)
        assert board.process.poll() is None


def query_one(database: Path, query: str) -> Any:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchone()[0]


def run_second(server: Server, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    env = server.env | {"CORTEX_PORT": str(free_port())}
    return subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


SERVE = (sys.executable, "-m", "cortex_server", "serve")
GUNICORN_CONF = (*GUNICORN, "gunicorn.conf.py")


@pytest.mark.parametrize("command", [SERVE, GUNICORN_CONF], ids=["serve", "gunicorn"])
def test_a_second_server_on_the_same_file_is_refused_at_once(board: Server, command):
    began = time.monotonic()
    second = run_second(board, command)
    assert time.monotonic() - began < 5
    assert second.returncode != 0
    said = second.stdout + second.stderr
    assert f"{board.database} is in use by process {board.worker}" in said
    assert "Stop that server first" in said
    assert "Traceback" not in said
    assert board.make("/projects/CTX/tickets", title="The first goes on")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("-w", "3"), "SQLite can be served by one process only"),
        (("-k", "sync"), "gevent"),
        (("-b", "0.0.0.0:0"), "CORTEX_ALLOW_REMOTE=1"),
    ],
)
def test_options_of_gunicorn_that_cannot_work_are_refused_at_once(tmp_path: Path, option, reason):
    done = run_second(Server(tmp_path), (*GUNICORN_CONF, *option))
    assert done.returncode != 0
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_for_another_worker_is_refused_and_harms_nobody(board: Server):
    worker = board.worker
    board.signal(signal.SIGTTIN)
    wait_for(lambda: "SIGTTIN ignored" in board.whole_log(), "it says so")
    board.signal(signal.SIGTTOU)
    assert board.make("/projects/CTX/tickets", title="On")
    assert board.worker_pids() == [worker]


def test_after_kill_9_the_next_server_starts_at_once(board: Server, tmp_path: Path):
    key = board.make("/projects/CTX/tickets", title="Kept")["key"]
    board.kill()
    second = Server(board.directory)
    second.start()
    try:
        assert second.api("GET", f"/tickets/{key}").json()["title"] == "Kept"
        with Stream(second, project="CTX") as stream:
            assert stream.next("state").data["tickets"][0]["key"] == key
    finally:
        second.stop()


def test_only_the_master_killed_leaves_no_second_writer(board: Server):
    """Its worker notices, drains and goes; until then a new server is refused."""
    worker = board.worker
    with Stream(board, project="CTX") as stream:
        stream.next("state")
        board.process.kill()
        board.process.wait()
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), "the orphan ends", 10)
    board.start()
    assert board.make("/projects/CTX/tickets", title="On")


def test_gunicorn_with_the_conf_file_serves_the_same_and_its_own_options_win(tmp_path: Path):
    server, other = Server(tmp_path), free_port()
    server.command = (*GUNICORN_CONF, "-b", f"127.0.0.1:{other}")
    bound = server.port
    server.port, server.url = other, f"http://127.0.0.1:{other}"
    server.start()
    try:
        server.make("/projects", key="CTX", name="Cortex")
        with Stream(server, project="CTX") as stream:
            assert stream.next("state").data["project"]["key"] == "CTX"
            server.make("/projects/CTX/tickets", title="Seen")
            assert stream.next().event == "ticket.created"
            server.signal(signal.SIGTERM)
            assert stream.next("end").data["reason"] == "drain"
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{bound}/healthz", timeout=5)
    finally:
        server.stop()
