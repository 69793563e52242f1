"""A model that follows a script, for agents that speak OpenAI's chat completions: a program.

    scripted_model.py [--delta-ms N]        prints its address; port 0

The last `[[name key=value …]]` of the last prompt picks what it does, and the answers since then
say how far it is: so it keeps no state, and attempts do not mix. Scenarios: hello, stream (n, ms),
bash (cmd, with ~ for blanks), task, question, httperror (code).
"""

import argparse
import contextlib
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MARK = re.compile(r"\[\[([a-z]+)((?:\s+[a-z]+=[^\s\]]+)*)\s*\]\]")
_TODOS = ("Create hello.txt", "Write notes")
OPTIONS = argparse.Namespace()


def script(name: str, given: dict[str, str]) -> list[dict[str, Any]]:
    """Return the steps of a scenario: text, thoughts and calls of tools."""
    if name == "hello":
        return [
            {
                "thoughts": "The user wants a file. I will plan, then write it.",
                "text": "I will plan the work first.",
                "call": _todo("in_progress", "pending"),
            },
            {"text": "Creating the file.", "call": _bash("echo hi > hello.txt && cat hello.txt")},
            {"call": _todo("completed", "completed")},
            {"text": f"Done. {_words(int(given.get('n', 60)))}"},
        ]
    if name == "stream":
        return [{"text": _words(int(given["n"]))}]
    if name == "bash":
        command = given["cmd"].replace("~", " ")
        return [{"text": "Running a command.", "call": _bash(command)}, {"text": "Finished."}]
    if name == "task":
        prompt = "Please do the sub job. [[bash cmd=echo~sub]]"
        call = {"description": "Count words", "prompt": prompt, "subagent_type": "general"}
        return [{"text": "Delegating.", "call": ("task", call)}, {"text": "It is done."}]
    if name == "question":
        options = [{"label": colour, "description": colour} for colour in ("Red", "Blue")]
        question = {"question": "Which colour?", "header": "Colour", "options": options}
        call = ("question", {"questions": [question]})
        return [{"text": "I need to know something.", "call": call}, {"text": "Thank you."}]
    return [{"text": "ok"}]


def _words(count: int) -> str:
    return " ".join(f"w{number}" for number in range(count))


def _bash(command: str) -> tuple[str, Any]:
    return "bash", {"command": command, "description": f"Run: {command}"}


def _todo(*statuses: str) -> tuple[str, Any]:
    items = [
        {"content": text, "status": status, "priority": "medium", "id": text}
        for text, status in zip(_TODOS, statuses, strict=True)
    ]
    return "todowrite", {"todos": items}


def asked(messages: list[dict[str, Any]]) -> tuple[str, dict[str, str], int]:
    """Return the scenario, its values, and how many answers there were since it was asked for."""
    prompt, since = "", 0
    for message in messages:
        content = message.get("content") or ""
        if message["role"] == "user":
            texts = content if isinstance(content, list) else [{"text": content}]
            prompt, since = "\n".join(part.get("text") or "" for part in texts), 0
        since += message["role"] == "assistant"
    marks = _MARK.findall(prompt)
    if not marks:
        return "", {}, since
    return marks[-1][0], dict(pair.split("=", 1) for pair in marks[-1][1].split()), since


def chunks(step: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is streamed: a word at a time."""
    out = [{"reasoning_content": word} for word in _pieces(step.get("thoughts", ""))]
    out += [{"content": word} for word in _pieces(step.get("text", ""))]
    if "call" in step:
        name, values = step["call"]
        function = {"name": name, "arguments": json.dumps(values)}
        call = {"index": 0, "id": f"call_{time.monotonic_ns()}", "type": "function"}
        out.append({"tool_calls": [{**call, "function": function}]})
    return out


def _pieces(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        name, given, since = asked(body["messages"])
        if name == "httperror" and body.get("tools"):
            status = int(given["code"])
            self._whole(status, {"error": {"message": f"scripted failure {status}"}})
            return
        steps = script(name, given) if body.get("tools") else [{"text": "A title"}]
        step = steps[min(since, len(steps) - 1)]
        with contextlib.suppress(OSError):  # a turn was aborted
            self._stream(step, float(given.get("ms", OPTIONS.delta_ms)) / 1000)

    def _stream(self, step: dict[str, Any], pause_s: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for delta in chunks(step):
            self._event(delta, None)
            time.sleep(pause_s)
        self._event({}, "tool_calls" if "call" in step else "stop")
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, delta: dict[str, Any], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        self.wfile.write(f"data: {json.dumps({**event, 'choices': [choice]})}\n\n".encode())

    def _whole(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--delta-ms", type=float, default=15)
    parser.parse_args(namespace=OPTIONS)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
