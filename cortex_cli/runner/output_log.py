"""Makes log entries of what a program prints: few, whole lines, and a bounded amount of them."""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable

from cortex_cli.runner.adapters import LogKind
from cortex_cli.runner.redaction import Redactor

ENTRY_MAX = 8192  # characters
BURST_S = 0.25  # what is printed within becomes one entry
_UNFINISHED_S = 2.0  # a line without an end is told after so long a silence
_AT_ONCE = 1_048_576
_PER_S = 131_072
_KEPT = ENTRY_MAX  # of what is left out, the end
_RESUME = 65_536  # after leaving out, not for a few lines only
Tell = Callable[[LogKind, str], None]


class Allowance:
    """How much may pass: `at_once` after a rest, and `per_s` in the long run."""

    def __init__(self, at_once: float, per_s: float, clock: Callable[[], float]) -> None:
        self._most, self._per_s, self._clock = at_once, per_s, clock
        self._left, self._at = at_once, clock()

    def left(self) -> float:
        moment = self._clock()
        self._left = min(self._most, self._left + (moment - self._at) * self._per_s)
        self._at = moment
        return self._left

    def take(self, amount: float) -> None:
        self._left -= amount


class OutputLog:
    """One stream of a program. tell(kind, text) takes the entries.

    Secrets are redacted before anything is cut. Beyond the allowance the middle is left out and
    counted; the end is always told.
    """

    def __init__(
        self,
        kind: LogKind,
        tell: Tell,
        redactor: Redactor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind, self._tell, self._clock = kind, tell, clock
        self._stream = redactor.stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._allowed = Allowance(_AT_ONCE, _PER_S, clock)
        self._waiting = ""
        self._since = self._heard = clock()
        self._leaving_out = False
        self._lines_out = self._characters_out = 0
        self.last_line = ""  # that was not blank

    def feed(self, content: bytes) -> None:
        """Take some bytes, cut anywhere."""
        self._heard = self._clock()
        self._take(self._stream.feed(self._decoder.decode(content)))

    def tick(self) -> None:
        """Tell what has waited long enough; to be called now and then."""
        moment = self._clock()
        if self._leaving_out and self._allowed.left() >= _RESUME:
            self._resume()
        if self._waiting and moment - self._since >= BURST_S and not self._leaving_out:
            whole = self._waiting.rfind("\n") + 1
            if moment - self._heard >= _UNFINISHED_S:
                whole = len(self._waiting)
            self._cut(whole)

    def finish(self) -> None:
        """Tell the rest."""
        self._take(self._stream.feed(self._decoder.decode(b"", True)) + self._stream.finish())
        if self._leaving_out:
            self._resume()
        self._cut(len(self._waiting))

    def _take(self, text: str) -> None:
        if not text:
            return
        if not self._waiting:
            self._since = self._clock()
        self._waiting += text
        if self._leaving_out:
            self._leave_out()
            return
        while len(self._waiting) >= ENTRY_MAX:
            if self._allowed.left() <= 0:
                self._leaving_out = True
                self._leave_out()
                return
            end = self._waiting.rfind("\n", 0, ENTRY_MAX) + 1
            self._cut(end or ENTRY_MAX)

    def _cut(self, count: int) -> None:
        """Tell the first `count` characters that wait, in entries."""
        text, self._waiting = self._waiting[:count], self._waiting[count:]
        self._allowed.take(len(text))
        self._since = self._clock()
        for start in range(0, len(text), ENTRY_MAX):
            entry = text[start : start + ENTRY_MAX].removesuffix("\n")
            if entry.strip():
                self.last_line = entry.rstrip().rpartition("\n")[2]
                self._tell(self._kind, entry)

    def _leave_out(self) -> None:
        """Forget all that waits but its end, from the beginning of a line on."""
        if len(self._waiting) <= 2 * _KEPT:
            return
        at = self._waiting.find("\n", len(self._waiting) - _KEPT) + 1
        at = at or len(self._waiting) - _KEPT
        self._lines_out += self._waiting.count("\n", 0, at)
        self._characters_out += at
        self._waiting = self._waiting[at:]

    def _resume(self) -> None:
        self._leaving_out = False
        if self._characters_out:
            much = f"{self._characters_out / 1_048_576:,.1f} MiB"
            self._tell("system", f"… {self._lines_out:,} lines left out ({much})")
        self._lines_out = self._characters_out = 0
