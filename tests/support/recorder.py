"""A report that remembers what an adapter told."""

import threading
from collections.abc import Callable
from typing import Any

from tests.support.server import wait_for


class Recorder:
    """The `Report` of an adapter under test. told: (name of the call, its arguments), in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()

    def _note(self, call: str, **arguments: Any) -> None:
        with self._lock:
            self.told.append((call, arguments))

    def all(self, call: str) -> list[dict[str, Any]]:
        """Return the arguments of each such call so far."""
        with self._lock:
            return [arguments for name, arguments in self.told if name == call]

    def wait(self, call: str, fits: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Wait for such a call; return its arguments."""
        return wait_for(
            lambda: next((one for one in self.all(call) if fits is None or fits(one)), None),
            f"{call} among {self.told[-20:]}",
        )

    def logged(self, kind: str) -> str:
        """Return the text of all entries of that kind, a line end after each."""
        return "".join(entry["text"] + "\n" for entry in self.all("log") if entry["kind"] == kind)

    def log(self, kind: str, text: str, tool: str | None = None) -> None:
        self._note("log", kind=kind, text=text, tool=tool)

    def status(self, waiting: bool) -> None:
        self._note("status", waiting=waiting)

    def progress(self, text: str) -> None:
        self._note("progress", text=text)

    def todos(self, items: Any) -> None:
        self._note("todos", items=list(items))

    def session(self, key: str, **fields: Any) -> None:
        self._note("session", key=key, **fields)

    def doing(
        self, key: str, status: str, tool: str | None = None, work: str | None = None
    ) -> None:
        self._note("doing", key=key, status=status, tool=tool, work=work)

    def session_ended(self, key: str, outcome: str) -> None:
        self._note("session_ended", key=key, outcome=outcome)

    def message(self, key: str, message: str, role: str, parts: Any, complete: bool) -> None:
        self._note(
            "message", key=key, message=message, role=role, parts=list(parts), complete=complete
        )

    def delta(self, key: str, message: str, part: int, offset: int, text: str) -> None:
        self._note("delta", key=key, message=message, part=part, offset=offset, text=text)

    def ask(self, key: str, question: str, **fields: Any) -> None:
        self._note("ask", key=key, question=question, **fields)

    def withdrawn(self, question: str) -> None:
        self._note("withdrawn", question=question)

    def instance(
        self,
        status: str,
        url: str | None = None,
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        self._note("instance", status=status, url=url, error=error, link=link)
