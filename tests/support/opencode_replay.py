"""Plays a scenario of a recording as `opencode serve` does, over real sockets: a program.

    opencode_replay.py --recording FILE --scenario MARK[:N] [fault …] serve --port N --hostname H

It plays what the Nth session of that mark said, and waits wherever the recording was told
something (a prompt, an answer, an abort) until it is told the same. The state that requests get
is made of the events played so far; as with the real program, text of an open part is not in it.
Any later prompt gets a short answer.
"""

import argparse
import base64
import contextlib
import json
import os
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

OPTIONS = argparse.Namespace()
_DELTA = "message.part.delta"
_GATES = ("prompt_async", "abort", "reply", "reject", "permissions/")


def steps(recording: str, mark: str, number: int) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return the root session, and what happens: ("event", payload) and ("told", id)."""
    lines: list[dict[str, Any]] = []
    root: dict[str, Any] = {}
    current, seen = "", -1
    for line in recording.rstrip("\n").split("\n"):
        item = json.loads(line)
        current = item.get("mark", current)
        if item.get("http") == "POST /session" and current == mark:
            seen += 1
            root = root or (item["response"] if seen == number else {})
        elif root and ("http" in item or item.get("event")):
            lines.append(item)  # later sessions are told from ours by their ids
    ours = {root["id"]}
    found: list[tuple[float, str, Any]] = []
    for item in lines:
        if "http" in item:
            path = item["http"].split()[1]
            if any(gate in path for gate in _GATES) and not item["http"].startswith("GET"):
                found.append((item["dt"] - item["ms"] / 1000, "told", path))
            continue
        payload = item["event"]["payload"]
        properties = payload.get("properties") or {}
        info = properties.get("info") or {}
        if payload["type"] == "session.created" and info.get("parentID") in ours:
            ours.add(info["id"])
        key = properties.get("sessionID") or (payload.get("syncEvent") or {}).get("aggregateID")
        if key in ours:
            found.append((item["dt"], "event", payload))
    found.sort(key=lambda step: step[0])
    requests = {
        payload["properties"]["id"]
        for _, kind, payload in found
        if kind == "event" and payload["type"] in ("permission.asked", "question.asked")
    }
    return root, [
        (kind, value)
        for _, kind, value in found
        if kind == "event" or any(known in value for known in ours | requests)
    ]


def burst(played: list[tuple[str, Any]], count: int) -> list[tuple[str, Any]]:
    """Let the last text be longer by that many deltas."""
    last = max(
        number
        for number, (kind, value) in enumerate(played)
        if kind == "event" and value["type"] == _DELTA
    )
    model = played[last][1]
    more = [f" w{number}" for number in range(count)]
    out = []
    for number, (kind, value) in enumerate(played):
        properties = value["properties"] if kind == "event" and "properties" in value else {}
        part = properties.get("part") or {}
        if part.get("id") == model["properties"]["partID"] and part.get("text"):
            part["text"] += "".join(more)
        out.append((kind, value))
        if number == last:
            for text in more:
                new = {**model, "properties": {**model["properties"], "delta": text}}
                out.append(("event", new))
    return out


class State:
    """What requests are answered with."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root["id"]
        self.sessions = {root["id"]: root}
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        self.todos: dict[str, Any] = {}
        self.busy: dict[str, Any] = {}
        self.asked: dict[str, dict[str, Any]] = {"permission": {}, "question": {}}

    def take(self, payload: dict[str, Any]) -> None:
        kind, given = payload["type"], payload.get("properties") or {}
        key = given.get("sessionID")
        if kind in ("session.created", "session.updated"):
            self.sessions[key] = given["info"]
        elif kind == "message.updated":
            message = self._message(key, given["info"]["id"])
            message["info"] = given["info"]
        elif kind == "message.part.updated":
            part = given["part"]
            self._message(key, part["messageID"])["parts"][part["id"]] = part
        elif kind == "todo.updated":
            self.todos[key] = given["todos"]
        elif kind == "session.status":
            self.busy[key] = given["status"]
            if given["status"]["type"] == "idle":
                del self.busy[key]
        elif kind.endswith(".asked"):
            self.asked[kind.split(".")[0]][given["id"]] = given
        elif kind.endswith((".replied", ".rejected")):
            self.asked[kind.split(".")[0]].pop(given["requestID"], None)

    def _message(self, session: str, message: str) -> dict[str, Any]:
        messages = self.messages.setdefault(session, {})
        return messages.setdefault(message, {"info": {"id": message}, "parts": {}})

    def answer(self, path: str) -> Any:
        words = path.strip("/").split("/")
        if words == ["session", "status"]:
            return self.busy
        if words[0] in self.asked:
            return list(self.asked[words[0]].values())
        if words[0] == "session" and words[1:] and words[1] in self.sessions:
            key, what = words[1], words[2] if words[2:] else ""
            children = [one for one in self.sessions.values() if one.get("parentID") == key]
            messages = [
                {"info": one["info"], "parts": list(one["parts"].values())}
                for one in self.messages.get(key, {}).values()
            ]
            return {
                "": self.sessions[key],
                "children": children,
                "message": messages,
                "todo": self.todos.get(key, []),
            }[what]
        return None


class Player:
    """Plays the steps, and keeps the state and the streams."""

    def __init__(self, root: dict[str, Any], played: list[tuple[str, Any]]) -> None:
        self.lock = threading.Condition()
        self.state = State(root)
        self.streams: list[queue.Queue[dict[str, Any] | None]] = []
        self.told: list[str] = []  # paths of requests that no step waited for yet
        self._awaited = ""  # the path of the one that is waited for now
        self._steps = played
        self._prompts = 0
        self._aborted = False
        self._sent = 0
        self._lose = 0
        threading.Thread(target=self._play, daemon=True).start()

    def hear(self, path: str, body: Any) -> None:
        if OPTIONS.deaf:
            return
        with self.lock:
            self.told.append(path)
            to_come = [("told", self._awaited), *self._steps]
            if path.endswith("abort") and not any("/abort" in str(step[1]) for step in to_come):
                self._steps[:] = [("event", payload) for payload in aborted(self.state.root)]
                self._aborted = True
            if path.endswith("prompt_async"):
                self._prompts += 1
                if self._prompts > 1:
                    for payload in another_turn(self.state.root, self._prompts, body):
                        self._steps.append(("event", payload))
            self.lock.notify_all()

    def listen(self) -> queue.Queue[dict[str, Any] | None]:
        with self.lock:
            mine: queue.Queue[dict[str, Any] | None] = queue.Queue()
            mine.put({"id": "evt_0", "type": "server.connected", "properties": {}})
            self.streams.append(mine)
            self.lock.notify_all()
            return mine

    def _play(self) -> None:
        deltas = 0
        while True:
            with self.lock:
                self.lock.wait_for(lambda: self._steps)
                kind, value = self._steps.pop(0)
                if OPTIONS.delta_ms and kind == "event" and value["type"] == _DELTA:
                    self.lock.wait_for(lambda: self._aborted, OPTIONS.delta_ms / 1000)
                if kind == "told":
                    self._await(value)
                    continue
                self._sent += 1
                if self._sent == OPTIONS.cut:
                    self._lose = OPTIONS.lose
                    self._cut()
                self.state.take(value)
                deltas += value["type"] == _DELTA
                if value["type"] == _DELTA and OPTIONS.drop and deltas % OPTIONS.drop == 0:
                    continue
                if self._lose:
                    self._lose -= 1
                    if not self._lose:
                        self.lock.wait_for(lambda: self.streams)
                    continue
                self._tell(value)
                if OPTIONS.twice and value["type"] in ("session.idle", "session.status"):
                    self._tell(value)

    def _await(self, path: str) -> None:
        """Wait until we are told so; what came from others in the recording just happens."""
        if path.endswith("/reject"):
            return
        wanted = path.rsplit("/", 1)[-1] if "/permissions/" in path else path
        self._awaited = wanted
        self.lock.wait_for(lambda: self._aborted or any(wanted in one for one in self.told))
        self._awaited = ""
        self.told = [one for one in self.told if wanted not in one]

    def _tell(self, payload: dict[str, Any]) -> None:
        for stream in self.streams:
            stream.put(payload)

    def _cut(self) -> None:
        for stream in self.streams:
            stream.put(None)
        self.streams.clear()


def aborted(session: str) -> list[dict[str, Any]]:
    """What the real one says of a turn that is ended: nothing about what it asked."""
    error = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
    events = (
        ("session.error", {"error": error}),
        ("session.status", {"status": {"type": "idle"}}),
        ("session.idle", {}),
    )
    return [
        {"id": "evt_zz", "type": kind, "properties": {"sessionID": session, **given}}
        for kind, given in events
    ]


def another_turn(session: str, number: int, body: Any) -> list[dict[str, Any]]:
    """A person's prompt, and a short answer."""
    text, words = body["parts"][0]["text"], ["Under", "stood."]
    asked, answered = f"msg_zz{number}a", f"msg_zz{number}b"
    user = {"id": asked, "role": "user", "sessionID": session, "time": {"created": 1}}
    agent = {"id": answered, "role": "assistant", "sessionID": session, "time": {"created": 1}}
    prompt = {"id": f"prt_zz{number}a", "messageID": asked, "type": "text", "text": text}
    answer = {"id": f"prt_zz{number}b", "messageID": answered, "type": "text", "text": ""}

    def event(kind: str, **properties: Any) -> dict[str, Any]:
        return {"id": "evt_zz", "type": kind, "properties": {"sessionID": session, **properties}}

    place = {"messageID": answered, "partID": answer["id"], "field": "text"}
    return [
        event("message.updated", info=user),
        event("message.part.updated", part=prompt),
        event("session.status", status={"type": "busy"}),
        event("message.updated", info=agent),
        event("message.part.updated", part={**answer, "time": {"start": 1}}),
        *[event("message.part.delta", delta=word, **place) for word in words],
        event(
            "message.part.updated",
            part={**answer, "text": "".join(words), "time": {"start": 1, "end": 2}},
        ),
        event(
            "message.updated",
            info={**agent, "time": {"created": 1, "completed": 2}, "finish": "stop"},
        ),
        event("session.status", status={"type": "idle"}),
        event("session.idle"),
    ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    player: Player

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/global/health":
            sick = OPTIONS.sick and os.path.exists(OPTIONS.sick)
            self._json({"healthy": not sick, "version": "0"}, 503 if sick else 200)
        elif self.path == "/global/event":
            self._stream()
        else:
            with self.player.lock:
                answer = self.player.state.answer(self.path)
            if answer is None:
                self._send(b"<html>", "text/html", 200)
            else:
                self._json(answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        if self._refused():
            return
        if OPTIONS.requests:
            with open(OPTIONS.requests, "a") as file:
                file.write(json.dumps([self.path, body]) + "\n")
        if self.path == "/session":
            self._json(self.player.state.sessions[self.player.state.root])
            return
        self.player.hear(self.path, body)
        if self.path.endswith("prompt_async"):
            self._send(b"", "text/plain", 204)
        else:
            self._json(True)

    def _refused(self) -> bool:
        words = f"opencode:{os.environ.get('OPENCODE_SERVER_PASSWORD')}"
        wanted = "Basic " + base64.b64encode(words.encode()).decode()
        if self.headers.get("Authorization") == wanted:
            return False
        self._send(b"", "text/plain", 401)
        return True

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send(self, content: bytes, kind: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        stream = self.player.listen()
        with contextlib.suppress(OSError):
            while (payload := stream.get()) is not None:
                event = {"directory": "/repo", "project": "p", "payload": payload}
                line = f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
                for start in range(0, len(line), OPTIONS.pieces or len(line)):
                    piece = line[start : start + (OPTIONS.pieces or len(line))]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.close_connection = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--replace", nargs=2, action="append", default=[])
    parser.add_argument("--burst", type=int, help="more deltas in the last text")
    parser.add_argument("--delta-ms", type=float, help="wait so long before each delta")
    parser.add_argument("--cut", type=int, default=0, help="end the streams before this event")
    parser.add_argument("--lose", type=int, default=1, help="events that nobody hears then")
    parser.add_argument("--drop", type=int, help="lose every Nth delta")
    parser.add_argument("--twice", action="store_true", help="say twice that a session is idle")
    parser.add_argument("--pieces", type=int, help="write so many bytes at a time")
    parser.add_argument("--requests", help="a file that gets every POST")
    parser.add_argument("--deaf", action="store_true", help="take prompts, and do nothing")
    parser.add_argument("--sick", help="not healthy while this file is there")
    parser.add_argument("--fail-once", type=Path, help="fail if this file is not there; make it")
    parser.add_argument("--stranger-once", type=Path, help="the same, with another's password")
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hostname", required=True)
    parser.parse_args(namespace=OPTIONS)
    if OPTIONS.fail_once and not OPTIONS.fail_once.exists():
        OPTIONS.fail_once.touch()
        sys.exit("ServeError: the port is taken")
    if OPTIONS.stranger_once and not OPTIONS.stranger_once.exists():
        OPTIONS.stranger_once.touch()
        os.environ["OPENCODE_SERVER_PASSWORD"] = "another"
    text = OPTIONS.recording.read_text()
    for old, new in OPTIONS.replace:
        text = text.replace(old, new)
    mark, _, number = OPTIONS.scenario.partition(":")
    root, played = steps(text, mark, int(number or 0))
    Handler.player = Player(root, burst(played, OPTIONS.burst) if OPTIONS.burst else played)
    with ThreadingHTTPServer((OPTIONS.hostname, OPTIONS.port), Handler) as server:
        server.daemon_threads = True
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
