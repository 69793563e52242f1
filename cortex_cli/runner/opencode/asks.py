"""What OpenCode asks a person: permissions and questions, as the board shows and answers them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex_cli.runner.adapters import Report
from cortex_cli.runner.errors import AdapterError
from cortex_cli.runner.redaction import Redactor

_LONGEST_TITLE, _LONGEST_DETAIL = 200, 8_000
_SHOWN = ("command", "filepath", "filePath", "url", "diff", "pattern")  # of what is known of a call
# Without words OpenCode ends the turn in the middle of the work.
_REFUSED = "A person refused this. Go on without it, or say why the work cannot be done so."


@dataclass
class Ask:
    """One request, which the board sees as one question or as several.

    given: the answers so far, by the number of the question.
    """

    id: str
    kind: str
    session: str
    request: Mapping[str, Any]
    given: dict[int, list[str]] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The ids that the board knows its questions by."""
        count = len(self.questions)
        return [self.id] if count < 2 else [f"{self.id}.{number}" for number in range(count)]

    @property
    def questions(self) -> list[Mapping[str, Any]]:
        if self.kind == "permission":
            return [self.request]
        return [item for item in self.request.get("questions") or [] if isinstance(item, Mapping)]


class Asks:
    """What is open on one server."""

    def __init__(self, report: Report, redactor: Redactor) -> None:
        self._report = report
        self._redactor = redactor
        self._open: dict[str, Ask] = {}
        self._settled: set[str] = set()  # keys that a person answered
        self._gone: set[str] = set()  # requests: news of them may be old, and lists keep them
        self.withdrew = False  # since somebody looked

    def ask(self, kind: str, request: Mapping[str, Any]) -> None:
        """Ask the board, once."""
        ask = Ask(str(request["id"]), kind, str(request["sessionID"]), request)
        if ask.id in self._open or ask.id in self._gone or not ask.questions:
            return
        self._open[ask.id] = ask
        for key, question in zip(ask.keys, ask.questions, strict=True):
            words = _permission(question) if kind == "permission" else _question(question)
            told = self._redactor.value({**words, "title": _line(words["title"])})
            self._report.ask(ask.session, key, kind=kind, **told)  # type: ignore[arg-type]

    def gone(self, request: str) -> None:
        """Forget a request; the board hears of it unless a person answered there."""
        self._gone.add(request)
        ask = self._open.pop(request, None)
        if ask is None:
            return
        for key in ask.keys:
            if key not in self._settled:
                self._report.withdrawn(key)
                self.withdrew = True

    def of(self, session: str | None = None) -> Iterator[Ask]:
        """Yield what is open, of one session or of all."""
        yield from [ask for ask in self._open.values() if session in (None, ask.session)]

    def take(self, key: str, choices: Sequence[str], text: str | None) -> Answer | None:
        """Take a person's answer; return what to send, None while others are missing or when it
        was sent before. Raises AdapterError for a question that is not open."""
        if key in self._settled:
            return None
        ask = next((ask for ask in self._open.values() if key in ask.keys), None)
        if ask is None:
            raise AdapterError(f"The question {key} is not open any more.")
        if ask.kind == "permission":
            body = _reply(choices, text)
            self._settled.add(key)
            return Answer(ask, f"/permission/{ask.id}/reply", body)
        number = ask.keys.index(key)
        ask.given[number] = _labels(ask.questions[number], choices, text)
        self._settled.add(key)
        if len(ask.given) < len(ask.keys):
            return None
        answers = [ask.given[number] for number in range(len(ask.keys))]
        return Answer(ask, f"/question/{ask.id}/reply", {"answers": answers})

    def untake(self, key: str) -> None:
        """Take back an answer that did not reach the server."""
        self._settled.discard(key)


@dataclass(frozen=True)
class Answer:
    ask: Ask
    path: str
    body: dict[str, Any]


def _permission(request: Mapping[str, Any]) -> dict[str, Any]:
    name = str(request.get("permission") or "permission")
    patterns = [str(pattern) for pattern in request.get("patterns") or []]
    metadata = request.get("metadata") or {}
    shown = [str(metadata[key]) for key in _SHOWN if metadata.get(key)]
    always = ", ".join(str(pattern) for pattern in request.get("always") or [])
    options = [{"id": "once", "label": "Allow once"}]
    if always:
        options.append({"id": "always", "label": _line(f"Always allow {always}")})
    options.append({"id": "reject", "label": "Refuse"})
    return {
        "title": f"{name}: {(shown or patterns or ['?'])[0]}",
        "detail": "\n".join(dict.fromkeys([*shown, *patterns]))[:_LONGEST_DETAIL],
        "options": options,
        "free_text": True,
    }


def _question(question: Mapping[str, Any]) -> dict[str, Any]:
    text = str(question.get("question") or "")
    options = question.get("options") or []
    described = [
        f"{option.get('label')}: {option.get('description')}"
        for option in options
        if option.get("description") not in (None, "", option.get("label"))
    ]
    return {
        "title": str(question.get("header") or text),
        "detail": "\n".join([text, *described])[:_LONGEST_DETAIL],
        "options": [
            {"id": str(number), "label": _line(str(option.get("label")))}
            for number, option in enumerate(options)
        ],
        "multiple": bool(question.get("multiple")),
        "free_text": question.get("custom") is not False,
    }


def _reply(choices: Sequence[str], text: str | None) -> dict[str, Any]:
    """Words alone tell the agent to do it differently."""
    reply = choices[0] if choices else "reject"
    if reply not in ("once", "always", "reject"):
        raise AdapterError(f"A permission is answered with once, always or reject, not {reply}.")
    return {"reply": reply, "message": text or _REFUSED} if reply == "reject" else {"reply": reply}


def _labels(question: Mapping[str, Any], choices: Sequence[str], text: str | None) -> list[str]:
    labels = [str(option.get("label")) for option in question.get("options") or []]
    known = dict(zip(labels, labels, strict=True))
    known |= {str(number): label for number, label in enumerate(labels)}
    if wrong := [choice for choice in choices if choice not in known]:
        raise AdapterError(f"The question has no option {wrong[0]}.")
    return [known[choice] for choice in choices] + ([text] if text else [])


def _line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_TITLE else f"{words[: _LONGEST_TITLE - 1]}…"
