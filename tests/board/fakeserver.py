"""A tiny server with one board and its stream, steered by the test that started it."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.board import samples

HELLO = {
    "epoch": "e1", "floor": 0, "client_id": "c", "server_time": samples.AT, "heartbeat_s": 15,
    "version": "1",
}  # fmt: skip


class FakeServer:
    """url; publish sends an event to every stream and logs it; stop cuts everything."""

    def __init__(self, body: dict[str, Any] | None = None) -> None:
        self.board = body or samples.board()
        self.log: list[tuple[int, bytes]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.refuse_moves: dict[str, Any] | None = None
        self.answers = threading.Event()  # changes are answered while it is set
        self.answers.set()
        self.projects = [self.board["project"]]
        self.overview: dict[str, Any] = {"projects": []}
        self.comments: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.streams: dict[queue.SimpleQueue[bytes | None], str] = {}
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, again on the same port the second time."""
        fake = self

        class Bound(_Handler):
            server_state = fake

        ThreadingHTTPServer.daemon_threads = True
        ThreadingHTTPServer.allow_reuse_address = True
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Bound)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        for waiting in list(self.streams):
            waiting.put(None)
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def publish(self, kind: str, payload: dict[str, Any]) -> None:
        self.board["head"] += 1
        self.board["seq"] += 1
        position = self.board["head"]
        data = {
            "id": f"e1.{position}", "type": kind, "project": "CTX", "seq": self.board["seq"],
            "ticket": payload.get("ticket") or payload.get("key"), "at": samples.AT,
            "actor": samples.ACTOR, "payload": payload,
        }  # fmt: skip
        sent = frame(kind, data, f"e1.{position}")
        self.log.append((position, sent))
        self._send(sent, "board")

    def delta(self, payload: dict[str, Any]) -> None:
        data = {"type": "message.delta", "project": "CTX", "ticket": "CTX-1", "at": samples.AT,
                "payload": payload}  # fmt: skip
        self._send(frame("message.delta", data), "deltas")

    def end(self, reason: str) -> None:
        self._send(frame("end", {"reason": reason, "reconnect": False, "reconnect_in_ms": 0}), "")

    def move(self, number: int, status: str) -> None:
        """Move a ticket as somebody else would."""
        for found in self.board["tickets"]:
            if found["number"] == number:
                before = found["status"]
                found.update(status=status, revision=found["revision"] + 1)
                changed = {"status": {"from": before, "to": status}}
                self.publish("ticket.moved", found | {"changed": changed})

    def _send(self, sent: bytes, kind: str) -> None:
        for waiting, of in list(self.streams.items()):
            if not kind or of == kind:
                waiting.put(sent)


def frame(kind: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"event: {kind}\n{head}data: {json.dumps(data)}\n\n".encode()


class _Handler(BaseHTTPRequestHandler):
    server_state: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        state = self.server_state
        if path == "/events":
            self._stream()
        elif path == "/api/projects/CTX/board":
            self._answer(state.board)
        elif path == "/api/dashboard":
            self._answer(state.overview)
        elif path == "/api/projects":
            self._answer({"items": state.projects, "next_cursor": None})
        elif path.endswith("/comments"):
            self._answer({"items": state.comments, "next_cursor": None})
        elif path.endswith("/messages"):
            self._answer({"items": state.messages, "next_cursor": None})
        elif path.endswith("/reviews"):
            self._answer({"items": state.board["reviews"], "next_cursor": None})
        elif path.endswith("/sessions"):
            self._answer({"items": state.board["sessions"], "next_cursor": None})
        elif path.endswith("/attempts"):
            self._answer({"items": state.board["attempts"], "next_cursor": None})
        elif path == "/api/instances":
            self._answer({"items": [], "next_cursor": None})
        elif "/messages/" in path:
            self._answer_one(m for m in state.messages if path.endswith(m["id"]))
        else:
            wanted = path.rsplit("/", 1)[1]
            self._answer_one(t for t in state.board["tickets"] if wanted in (t["id"], t["key"]))

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        state.requests.append(("POST", self.path, body))
        state.answers.wait(20)
        if self.path.endswith("/move"):
            if state.refuse_moves:
                self._answer(state.refuse_moves, 409, "application/problem+json")
                return
            found = next(t for t in state.board["tickets"] if f"/{t['id']}/" in self.path)
            state.move(found["number"], body["status"])
            self._answer(found | {"position": 0})
        elif self.path.endswith("/comments"):
            made = samples.comment(len(state.comments) + 1, "CTX-1", body["body"])
            state.comments.append(made)
            state.publish("comment.added", made)
            self._answer(made, 201)
        else:
            made = samples.ticket(90 + len(state.requests), body["status"], title=body["title"])
            state.board["tickets"].append(made)
            state.publish("ticket.created", made)
            self._answer(made, 201)

    def _answer_one(self, found: Iterator[Any]) -> None:
        problem = {"status": 404, "code": "not_found", "title": "Not found", "detail": "Not here."}
        one = next(found, None)
        if one is None:
            self._answer(problem, 404, "application/problem+json")
        else:
            self._answer(one)

    def _answer(self, body: Any, status: int = 200, kind: str = "application/json") -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _stream(self) -> None:
        state, waiting = self.server_state, queue.SimpleQueue()
        deltas = "deltas=" in self.path
        last = self.headers.get("Last-Event-ID")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        state.streams[waiting] = "deltas" if deltas else "board"
        try:
            hello = HELLO | {"head": state.board["head"], "resumed": bool(last)}
            self.wfile.write(b"retry: 50\n\n" + frame("hello", hello))
            if last:
                cursor = int(last.rpartition(".")[2])
                self.wfile.write(b"".join(sent for at, sent in state.log if at > cursor))
            elif not deltas:
                self.wfile.write(frame("state", state.board, f"e1.{state.board['head']}"))
            while (sent := waiting.get()) is not None:
                self.wfile.write(sent)
        except OSError:
            pass
        finally:
            state.streams.pop(waiting, None)
            self.close_connection = True
