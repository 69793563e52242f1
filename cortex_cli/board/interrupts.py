"""Signals, taken note of and left to the loop: nothing is torn down in the middle of a frame."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
OTHERS = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class Interrupts:
    """A context in which signals wake the loop through `wakeup_fd` and wait in `taken`.

    It has to be entered before curses starts: curses leaves alone what is handled already.
    """

    def __init__(self, wakeup_fd: int) -> None:
        self._wakeup_fd = wakeup_fd
        self._before: dict[int, signal.Handlers | object] = {}
        self.taken: set[int] = set()

    def __enter__(self) -> "Interrupts":
        for number in (*ENDING, *OTHERS):
            self._before[number] = signal.signal(number, self._take)
        self._old_fd = signal.set_wakeup_fd(self._wakeup_fd, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.taken.add(number)

    def ending(self) -> int | None:
        """The signal that ends the board, if one came."""
        return next((number for number in ENDING if number in self.taken), None)

    def took(self, number: int) -> bool:
        """Whether a signal came since the last question."""
        if number in self.taken:
            self.taken.discard(number)
            return True
        return False

    @contextmanager
    def lent(self) -> Iterator[None]:
        """A context in which another program has the terminal, and its keys' signals are its own.

        ^Z stops both; what else was pressed there is not meant for us.
        """
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, self._take)
            self.taken -= {signal.SIGINT, signal.SIGQUIT, signal.SIGCONT, signal.SIGWINCH}

    def stop(self) -> None:
        """Stop this job as ^Z does, with what it was started by; returns when it goes on."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take)
