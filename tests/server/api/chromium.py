"""A headless Chromium, driven through its DevTools protocol."""

import json
import subprocess
from pathlib import Path
from typing import Any

import websocket

from tests.support.server import wait_for

DEADLINE_S = 20.0


class Page:
    """One tab. `faults`: what the page's scripts threw and what its policy refused."""

    def __init__(self, program: str, profile: Path) -> None:
        self.process = subprocess.Popen(
            [
                program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--remote-debugging-port=0",
                "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.faults: list[Any] = []
        self._number = 0
        try:
            self._socket = self._connect(profile)
            for domain in ("Page", "Runtime", "Log"):
                self.command(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def go(self, url: str) -> None:
        self.command("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; None while there is none."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until the expression is true."""
        try:
            wait_for(lambda: self.value(f"Boolean({expression})"), expression, DEADLINE_S)
        except AssertionError as error:
            shown = self.value("document.body.innerText")
            raise AssertionError(f"{error}; the page shows: {shown}; {self.faults}") from None

    def hide(self, hidden: bool) -> None:
        """Let the page believe that its tab went to the background, or came back."""
        shown = json.dumps(hidden)
        self.value(
            f"Object.defineProperty(document, 'hidden', {{value: {shown}, configurable: true}}),"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    def command(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                return answer.get("result", {})
            self._note(answer)

    def close(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
        self.process.terminate()
        self.process.wait(DEADLINE_S)

    def _connect(self, profile: Path) -> websocket.WebSocket:
        told = profile / "DevToolsActivePort"
        wait_for(lambda: told.exists() and len(told.read_text().split()) == 2, "Chromium runs")
        port, browser = told.read_text().split()
        first = websocket.create_connection(f"ws://127.0.0.1:{port}{browser}", timeout=DEADLINE_S)
        first.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        targets = json.loads(first.recv())["result"]["targetInfos"]
        first.close()
        tab = next(target["targetId"] for target in targets if target["type"] == "page")
        address = f"ws://127.0.0.1:{port}/devtools/page/{tab}"
        return websocket.create_connection(address, timeout=DEADLINE_S)

    def _note(self, message: Any) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(message["params"]["exceptionDetails"])
        entry = message.get("params", {}).get("entry", {})
        if entry.get("source") in ("security", "javascript", "violation"):
            self.faults.append(entry)
