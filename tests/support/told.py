"""A report that remembers what an adapter told, and checks that texts are told without a hole."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Call(NamedTuple):
    name: str
    key: str  # of the session, message or question that it is about; "" where there is none
    given: Any


class Told:
    """Implements `Report`. texts: of every part, by session, message and index, as a reader of
    whole messages and deltas would have it. wrong: what such a reader would stumble over."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.texts: dict[tuple[str, str, int], str] = {}
        self.kinds: dict[tuple[str, str, int], str] = {}
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        self.wrong: list[str] = []
        self._changed = threading.Condition()

    def until(self, true: Callable[["Told"], Any], within_s: float = 10.0) -> Any:
        """Wait until `true(self)` is, and return it."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while not (found := true(self)):
                left = deadline - time.monotonic()
                assert left > 0, f"not told in time: {self.calls[-12:]}"
                self._changed.wait(left)
            return found

    def of(self, name: str, key: str | None = None) -> list[Any]:
        """What was told by the method of that name, in order."""
        return [call.given for call in self.calls if call.name == name and key in (None, call.key)]

    def said(self, session: str, kind: str = "text", role: str = "assistant") -> list[str]:
        """The texts of a session's parts of that kind, in order."""
        return [
            text
            for place, text in self.texts.items()
            if place[0] == session
            and self.kinds[place] == kind
            and self.messages[place[:2]]["role"] == role
        ]

    @property
    def root(self) -> str:
        return next((call.key for call in self.calls if call.name == "session"), "")

    def log(self, kind: str, text: str, tool: str | None = None) -> None:
        self._note("log", "", (kind, text, tool))

    def status(self, waiting: bool) -> None:
        self._note("status", "", waiting)

    def progress(self, text: str) -> None:
        self._note("progress", "", text)

    def todos(self, items: Sequence[Mapping[str, str]]) -> None:
        self._note("todos", "", list(items))

    def session(self, key: str, **about: Any) -> None:
        self._note("session", key, about)

    def doing(
        self, key: str, status: str, tool: str | None = None, work: str | None = None
    ) -> None:
        self._note("doing", key, (status, tool, work))

    def session_ended(self, key: str, outcome: str) -> None:
        self._note("session_ended", key, outcome)

    def message(
        self,
        key: str,
        message: str,
        role: str,
        parts: Sequence[Mapping[str, Any]],
        complete: bool,
    ) -> None:
        before = self.messages.get((key, message))
        if before is not None and len(before["parts"]) > len(parts):
            self.wrong.append(f"{message} lost parts")
        if before is not None and before["complete"] and not complete:
            self.wrong.append(f"{message} streams again")
        self.messages[key, message] = {"role": role, "parts": list(parts), "complete": complete}
        for number, part in enumerate(parts):
            place = (key, message, number)
            if self.kinds.setdefault(place, part["type"]) != part["type"]:
                self.wrong.append(f"part {number} of {message} became another")
            self.texts[place] = part["text"]
        self._note("message", key, (message, role, complete))

    def delta(self, key: str, message: str, part: int, offset: int, text: str) -> None:
        stored = self.texts.get((key, message, part))
        if stored is None or len(stored) != offset:
            self.wrong.append(
                f"delta at {offset} of part {part} of {message}, which has {stored!r}"
            )
        self.texts[key, message, part] = (stored or "")[:offset] + text
        self._note("delta", key, (message, part, offset, text))

    def ask(self, key: str, question: str, **about: Any) -> None:
        self._note("ask", question, {"session": key, **about})

    def withdrawn(self, question: str) -> None:
        self._note("withdrawn", question, None)

    def instance(
        self,
        status: str,
        url: str | None = None,
        error: str | None = None,
        link: str | None = None,
    ) -> None:
        self._note("instance", "", (status, error))
        self._note("link", "", link)

    def _note(self, name: str, key: str, given: Any) -> None:
        with self._changed:
            self.calls.append(Call(name, key, given))
            self._changed.notify_all()
