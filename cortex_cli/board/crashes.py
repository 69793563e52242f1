"""While the board is on the screen, nothing else may write there: what would is told afterwards."""

import io
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from cortex_cli.board.messages import Crashed

KEPT_CHARS = 100_000
REPORT = (
    "The board stopped on a mistake of its own; your terminal is as it was, and the server has all"
    " that was saved.\nPlease report it where you got Cortex from: the lines above, `cortex"
    " --version`, and what you did last."
)


class Quiet:
    """A context in which standard error is kept, and the death of a thread ends the board.

    On leaving it, what was kept is written out, as text that cannot steer a terminal.
    """

    def __init__(self, post: Callable[[Crashed], None]) -> None:
        self._post = post
        self._kept = io.StringIO()

    def __enter__(self) -> "Quiet":
        self._stderr, sys.stderr = sys.stderr, self._kept
        self._hook, threading.excepthook = threading.excepthook, self._thread_died
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stderr, threading.excepthook = self._stderr, self._hook
        said = self._kept.getvalue()[-KEPT_CHARS:]
        if said:
            say(said)

    def _thread_died(self, died: threading.ExceptHookArgs) -> None:
        if died.exc_value is not None:
            self._post(Crashed(died.exc_value))


def tell(error: Exception) -> None:
    """Say what the board died of, and where to take it."""
    import traceback  # a millisecond that the first frame does not wait for

    say("".join(traceback.format_exception(error)) + REPORT)


def say(text: str) -> None:
    """Write to standard error what cannot steer a terminal."""
    from cortex_cli.board import text as texts

    try:
        sys.stderr.write(texts.clean_block(text.rstrip()) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # the terminal is gone: nobody would read it
