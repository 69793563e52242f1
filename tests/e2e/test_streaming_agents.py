"""Ten agents that stream text at once: all of it arrives, once and in order, and the log stays."""

import threading
from collections import defaultdict

import pytest

from cortex_cli import sdk
from tests.support.follower import Follower
from tests.support.server import Server, wait_for

AGENTS, BATCHES, EACH = 10, 12, 50
WORD = "wörd {:04d} "


def deltas(batch: int) -> list[dict[str, object]]:
    """The deltas of one request; every second one is only half a word."""
    found, at = [], batch * EACH * len(WORD.format(0))
    for number in range(batch * EACH, (batch + 1) * EACH):
        word = WORD.format(number)
        for text in (word[:3], word[3:]) if number % 2 else (word,):
            found.append({"message": "m", "part": 0, "offset": at, "text": text})
            at += len(text)
    return found


WHOLE = "".join(WORD.format(number) for number in range(BATCHES * EACH))


def stream(server: Server, session: str) -> None:
    with sdk.CortexClient(server.url, server.token) as client:
        for batch in range(BATCHES):
            client.post(f"/api/sessions/{session}/deltas", {"deltas": deltas(batch)})


def texts(follower: Follower) -> dict[str, str]:
    """What a reader has of each session; fails at a hole or a repetition."""
    found: dict[str, str] = defaultdict(str)
    for delta in follower.of(sdk.Delta):
        assert delta.payload["offset"] == len(found[delta.payload["session"]])
        found[delta.payload["session"]] += delta.payload["text"]
    return found


@pytest.mark.e2e
def test_the_text_of_ten_agents_is_whole_everywhere_and_makes_no_rows_of_the_log(server: Server):
    server.make("/projects", key="CTX", name="Cortex")
    server.make("/projects/CTX/tickets", title="One")
    sessions = [server.make("/tickets/CTX-1/sessions")["id"] for _ in range(AGENTS)]
    part = {"type": "text", "text": "", "status": "streaming"}
    message = {"role": "assistant", "parts": [part]}
    for session in sessions:
        assert server.api("PUT", f"/sessions/{session}/messages/m", json=message).status_code == 201
    before = server.api("GET", "/projects/CTX/board").json()["head"]
    with Follower(server, project="CTX", deltas="*") as follower:
        threads = [threading.Thread(target=stream, args=(server, s)) for s in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = dict.fromkeys(sessions, WHOLE)
        wait_for(lambda: texts(follower) == whole, "all of it, once and in order")
    assert server.api("GET", "/projects/CTX/board").json()["head"] == before

    server.restart()  # what a clean end has stored
    for session in sessions:
        server.make(f"/sessions/{session}/end")
        (stored,) = server.api("GET", f"/sessions/{session}/messages").json()["items"]
        assert (stored["parts"][0]["text"], stored["status"]) == (WHOLE, "complete")
    assert server.api("GET", "/projects/CTX/board").json()["head"] == before + 2 * AGENTS
