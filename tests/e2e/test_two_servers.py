"""Two servers of two workers on one PostgreSQL database, as on two machines."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from cortex_server.db import postgres
from cortex_server.domains import shared_text
from tests.support.databases import empty_postgres
from tests.support.postgres import execute, server_on
from tests.support.server import Server, wait_for
from tests.support.wire import Stream

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def url():
    with empty_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def pair(url: str, tmp_path_factory: pytest.TempPathFactory):
    """Both are started at once on an empty database."""
    base: Path = tmp_path_factory.mktemp("pair")
    servers = [server_on(url, base / name, 2, heartbeat_s=1) for name in "ab"]
    for server in servers:
        server.start(wait=False)
    for server in servers:
        server.wait_until_ready()
        wait_for(lambda s=server: len(workers_that_serve(s)) == 2, "both workers serve")
    servers[0].make("/projects", key="CTX", name="Cortex")
    yield servers
    for server in servers:
        server.kill()


def workers_that_serve(server: Server) -> set[int]:
    return {line["worker"] for line in server.logged("serving")}


@pytest.fixture
def message(pair):
    """A message that streams, with one empty part; its address."""
    ticket = pair[0].make("/projects/CTX/tickets", title="Talk")["key"]
    session = pair[0].make(f"/tickets/{ticket}/sessions")["id"]
    path = f"/sessions/{session}/messages/m1"
    body = {"role": "assistant", "parts": [{"type": "text", "text": "", "status": "streaming"}]}
    assert pair[0].api("PUT", path, json=body).status_code == 201
    return path


def last_lead(server: Server) -> str:
    """When one of its workers took the lead for the last time; "" for never."""
    return max((line["at"] for line in server.logged("leadership_taken")), default="")


def append(server: Server, message: str, offset: int, text: str) -> None:
    body = {"part": 0, "offset": offset, "text": text}
    answer = server.api("POST", f"{message}/delta", json=body)
    assert (answer.status_code, answer.json()) == (202, {"length": offset + len(text)})


def text_of(server: Server, message: str) -> str:
    return server.api("GET", message).json()["parts"][0]["text"]


def test_one_of_all_workers_migrates_and_each_server_has_a_token_of_its_own(pair, url):
    assert sum(len(server.logged("database_migrated")) for server in pair) == 1
    assert sum(len(server.logged("leadership_taken")) for server in pair) == 1
    assert pair[0].token != pair[1].token
    assert execute(url, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL") == [(2,)]


def test_what_one_commits_reaches_the_streams_of_the_other(pair):
    a, b = pair
    with Stream(a, project="CTX") as of_a, Stream(b, project="CTX") as of_b:
        for stream in (of_a, of_b):
            stream.next("state")
        keys = [pair[n % 2].make("/projects/CTX/tickets", title="New")["key"] for n in range(20)]
        for stream in (of_a, of_b):
            frames = stream.logged(20)
            assert [frame.data["ticket"] for frame in frames] == keys
            positions = [int(frame.id.rpartition(".")[2]) for frame in frames]
            assert positions == list(range(positions[0], positions[0] + 20))


def test_who_changed_something_here_reads_it_there(pair):
    for n in range(10):
        key = pair[n % 2].make("/projects/CTX/tickets", title="Mine")["key"]
        board = pair[1 - n % 2].api("GET", "/projects/CTX/board").json()
        assert key in [ticket["key"] for ticket in board["tickets"]]


def test_a_token_revoked_on_one_ends_the_streams_on_the_other(pair):
    a, b = pair
    token = a.make("/tokens", name="guest", role="read")
    headers = {"Authorization": f"Bearer {token['secret']}"}
    with Stream(b, headers=headers, project="CTX") as stream:
        stream.next("state")
        began = time.monotonic()
        assert a.api("DELETE", f"/tokens/{token['id']}").ok
        end = stream.next("end").data
        assert (end["reason"], end["reconnect"]) == ("revoked", False)
        assert time.monotonic() - began < 1
        assert stream.read_all() == b""


def test_a_revocation_that_nobody_told_of_is_found(pair, url):
    token = pair[0].make("/tokens", name="guest", role="read")
    headers = {"Authorization": f"Bearer {token['secret']}"}
    with Stream(pair[1], headers=headers, project="CTX") as stream:
        stream.next("state")
        execute(url, "UPDATE tokens SET revoked_at = created_at WHERE id = %s", token["id"])
        assert stream.next("end").data["reason"] == "revoked"


def test_deltas_to_either_reach_the_streams_of_both_in_order(pair, message):
    pieces = ["Héllo ", "🌍", "\u2028x" * 3000, "", " end", "!" * 2000]
    whole = "".join(pieces)
    streams = [Stream(server, project="CTX", deltas="*", snapshot=0) for server in pair]
    for stream in streams:
        stream.next("hello")
    offset = 0
    for n, piece in enumerate(pieces):
        append(pair[n % 2], message, offset, piece)
        offset += len(piece)
        assert text_of(pair[1 - n % 2], message) == whole[:offset]
    for stream in streams:
        text = ""
        while text != whole:
            delta = stream.next("message.delta").data["payload"]
            assert delta["offset"] == len(text)
            text += delta["text"]
        stream.close()


def test_of_several_deltas_for_one_offset_one_wins(pair, message):
    def post(n: int) -> requests.Response:
        body = {"part": 0, "offset": 0, "text": f"{n} was here"}
        return pair[n % 2].api("POST", f"{message}/delta", json=body)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(post, range(8)))
    won = [n for n, answer in enumerate(answers) if answer.status_code == 202]
    assert len(won) == 1
    lost = [answer.json() for answer in answers if answer.status_code != 202]
    assert {(p["status"], p["code"], p["length"]) for p in lost} == {(409, "offset_mismatch", 10)}
    assert text_of(pair[0], message) == f"{won[0]} was here"


def test_writers_of_one_message_on_both_leave_its_text_whole(pair, message):
    """Each appends what follows what it was told; whole messages are stored meanwhile."""
    session = message.partition("/messages")[0]
    written: list[str] = []

    def write(server: Server) -> None:
        offset = 0
        for n in range(60):
            word = f"{server.port}.{n} "
            while True:
                body = {"part": 0, "offset": offset, "text": word}
                answer = server.api("POST", f"{message}/delta", json=body)
                offset = answer.json()["length"]
                if answer.status_code == 202:
                    written.append(word)
                    break
                assert answer.json()["code"] == "offset_mismatch"

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, [*pair, *pair]))
    text = text_of(pair[0], message)
    assert sorted(text.split()) == sorted(word.strip() for word in written)
    assert pair[1].api("POST", f"{session}/end").ok
    done = pair[0].api("GET", message).json()
    assert (done["status"], done["parts"][0]["text"]) == ("complete", text)


def test_connections_that_the_database_ends_are_made_again(pair, url):
    with Stream(pair[1], project="CTX") as stream:
        stream.next("state")
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'cortex' AND datname = current_database()"
            " AND pid <> pg_backend_pid()",
        )

        def made() -> bool:
            answer = pair[0].api(
                "POST", "/projects/CTX/tickets", json={"title": "After"},
                headers={"Idempotency-Key": "after"},
            )  # fmt: skip
            assert answer.status_code in (201, 503)
            return answer.ok

        wait_for(made, "it is taken", 5)
        assert stream.next("ticket.created").data["payload"]["title"] == "After"
        assert stream.next("heartbeat")


def test_a_process_that_stands_still_with_a_message_stops_nobody_else(pair, url, message):
    session = message.removeprefix("/sessions/").partition("/")[0]
    body = {"part": 0, "offset": 0, "text": "x"}
    with ThreadPoolExecutor(12) as threads, closing(postgres.connect(url)) as other:
        with other.transaction():
            name = f"{session} m1"
            lock = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
            other.execute(lock, (shared_text._TURNS, name))
            began = time.monotonic()
            posts = [
                threads.submit(pair[n % 2].api, "POST", f"{message}/delta", json=body)
                for n in range(12)
            ]
            assert {post.result().status_code for post in posts} == {503}
            assert pair[0].api("GET", "/projects/CTX/board").ok
            assert time.monotonic() - began < 9
    append(pair[0], message, 0, "x")


def test_nothing_is_taken_while_a_program_has_the_database_for_itself(pair, url):
    """The servers have lost the connection that keeps it out, and nothing else."""
    sharing = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks"
        " WHERE locktype = 'advisory' AND mode = 'ShareLock'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    def post() -> int:
        return pair[0].api("POST", "/projects/CTX/tickets", json={"title": "x"}).status_code

    with closing(postgres.connect(url)) as program:

        def has_it() -> bool:
            execute(url, sharing)
            return postgres.take_alone(program)

        wait_for(has_it, "it is alone")
        ((before,),) = execute(url, "SELECT head FROM log_state")
        assert {post() for _ in range(6)} == {503}
        assert execute(url, "SELECT head FROM log_state") == [(before,)]
    wait_for(lambda: post() == 201, "they serve again", 10)


def test_counts_of_all_workers_of_a_server_are_added_up(pair):
    server = pair[0]
    streams = [Stream(server, project="CTX") for _ in range(6)]
    for stream in streams:
        stream.next("state")
    wait_for(lambda: server.streams() == 6, "six streams")
    assert {server.streams() for _ in range(10)} == {6}
    for stream in streams:
        stream.close()
    wait_for(lambda: server.streams() == 0, "none")


def test_a_worker_that_dies_is_no_longer_counted(pair):
    server = pair[0]
    with Stream(server, project="CTX") as stream:
        stream.next("state")
        wait_for(lambda: server.streams() == 1, "it is counted")
        answered = server.total("cortex_requests_total")
        for worker in server.worker_pids():
            os.kill(worker, signal.SIGKILL)
        stream.read_all()  # until the connection is gone
    server.wait_until_ready()
    wait_for(lambda: server.streams() == 0, "its stream is not")
    assert server.total("cortex_requests_total") > answered, "what it counted stays"


def test_a_worker_can_be_added_and_taken_away(pair):
    server = pair[1]
    server.signal(signal.SIGTTIN)
    wait_for(lambda: len(workers_that_serve(server) & set(server.worker_pids())) == 3, "a third")
    server.signal(signal.SIGTTOU)
    wait_for(lambda: len(server.worker_pids()) == 2, "two again")
    assert server.api("GET", "/projects").ok


def test_another_process_takes_the_lead_and_goes_on(pair, url, message):
    """The last test: it kills the server that leads."""
    leader = max(pair, key=last_lead)
    other = pair[1 - pair.index(leader)]
    append(other, message, 0, "kept")
    taken = len(other.logged("leadership_taken"))
    leader.kill()
    append(other, message, 4, " too")
    wait_for(lambda: len(other.logged("leadership_taken")) > taken, "it leads", 5)
    wait_for(lambda: execute(url, "SELECT count(*) FROM live_deltas") == [(0,)], "it is stored", 5)
    assert text_of(other, message) == "kept too"
