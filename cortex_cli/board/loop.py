"""The loop: keys first, then messages, then a frame. Nothing in it waits for the network.

A key is painted at once; events are painted at most 30 times a second, however many arrive.
With nothing to do it sleeps until a key, a message, a signal or the next text that ages.
"""

import gc
import os
import select
import signal
import time
from collections.abc import Callable

from cortex_cli.board.changes import Discard, EditText
from cortex_cli.board.inbox import Inbox
from cortex_cli.board.interrupts import Interrupts
from cortex_cli.board.messages import (
    Copy,
    Crashed,
    Effect,
    Incoming,
    Key,
    NetworkEffect,
    Notify,
    Quit,
    Redraw,
    Resized,
    Snapshot,
    Suspend,
    Tick,
    UseMouse,
)
from cortex_cli.board.model import Model
from cortex_cli.board.terminal import Terminal
from cortex_cli.board.update import next_tick, start, update
from cortex_cli.board.view import view

FRAME_S = 1 / 30
BATCH = 20  # messages between two looks at the keyboard: together some 10 ms
HANGUP = select.POLLHUP | select.POLLERR | select.POLLNVAL


def _keep_all() -> None:
    """Let the collector pass over what there is: in thousands of tickets it finds no garbage, and
    a key would wait for it."""
    gc.freeze()


class Loop:
    """One run of the board on a terminal that is open."""

    def __init__(
        self,
        terminal: Terminal,
        inbox: Inbox,
        interrupts: Interrupts,
        start_effect: Callable[[NetworkEffect], None],
        model: Model,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._terminal, self._inbox, self._interrupts = terminal, inbox, interrupts
        self._start_effect = start_effect
        self._model = model
        self._now = now
        self._code: int | None = None
        self._painted_at = 0.0
        self._dirty = True

    @property
    def model(self) -> Model:
        """What is shown."""
        return self._model

    def run(self) -> int:
        """Run until q or a signal ends it. Returns the exit code."""
        width, height = self._terminal.size()
        self._send(Tick(self._now()))
        self._send(Resized(width, height))
        self._model, effects = start(self._model)
        self._paint()  # before the first effect: what it imports would hold up the first frame
        _keep_all()
        gc.enable()
        self._perform(effects)
        poll = select.poll()
        poll.register(self._terminal.fileno(), select.POLLIN)
        poll.register(self._inbox.fileno(), select.POLLIN)
        while self._code is None:
            ready = dict(poll.poll(self._timeout_ms()))
            self._send(Tick(self._now()))
            if self._take_keys(ready.get(self._terminal.fileno(), 0)):
                self._paint()  # before the messages, however many there are
            if ready.get(self._inbox.fileno()):
                for message in self._inbox.take(BATCH):
                    self._send(message)
            self._take_signals()  # after the pipe was emptied, which a signal wakes by as well
            if time.monotonic() - self._painted_at >= FRAME_S:
                self._paint()
        return self._code

    def _timeout_ms(self) -> float | None:
        """How long to sleep: until a frame is due, or a text changes by itself."""
        waits = []
        if self._dirty:
            waits.append(self._painted_at + FRAME_S - time.monotonic())
        due = next_tick(self._model)
        if due is not None:
            waits.append(due - self._now())
        return max(0.0, min(waits)) * 1000 + 1 if waits else None

    def _send(self, message: Incoming) -> None:
        if isinstance(message, Crashed):
            raise message.error
        before = self._model
        self._model, effects = update(self._model, message)
        self._dirty = self._dirty or self._model is not before
        if isinstance(message, Snapshot):
            _keep_all()
            if not self._model.everything:
                self._painted_at = 0.0  # a whole board is worth a frame of its own
        self._perform(effects)

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Quit():
                    self._code = 0
                case Redraw():
                    self._redraw()
                case Suspend():
                    self._suspend()
                case UseMouse():
                    self._terminal.use_mouse(effect.on)
                case Copy():
                    self._copy(effect.text)
                case EditText():
                    self._edit(effect)
                case Discard():
                    from cortex_cli.board import writing

                    writing.discard(effect.path)
                case Notify():
                    self._terminal.notify(effect.text, effect.bell, effect.notify)
                case _:
                    self._start_effect(effect)

    def _take_keys(self, state: int) -> bool:
        if not state:
            return False
        found = self._terminal.keys()
        for message in found:
            self._send(message)
            if isinstance(message, Key) and self._code is not None:
                break
        if self._terminal.hung_up or (not found and state & HANGUP):
            self._code = 128 + signal.SIGHUP
        return bool(found)

    def _take_signals(self) -> None:
        ending = self._interrupts.ending()
        if ending is not None:
            self._code = 128 + ending
            return
        if self._interrupts.took(signal.SIGTSTP):
            self._suspend()
        if self._interrupts.took(signal.SIGCONT):
            self._redraw()  # stopped by force: whoever ran meanwhile may have changed the terminal
        if self._interrupts.took(signal.SIGWINCH):
            self._resize()

    def _copy(self, text: str) -> None:
        from cortex_cli.board import clipboard  # the first frame can do without

        sent = self._terminal.copy(text)
        clipboard.copy(text, os.environ, sent, self._inbox.post)

    def _edit(self, effect: EditText) -> None:
        """Lend the terminal to the user's editor; messages wait, and nothing is drawn meanwhile."""
        from cortex_cli.board import writing  # the first frame can do without

        if not effect.look:
            self._send(writing.read(effect.job))
            return
        self._terminal.leave()
        with self._interrupts.lent():
            message = writing.write(effect.job, os.environ)
        self._redraw()
        self._send(message)

    def _suspend(self) -> None:
        self._terminal.leave()
        self._interrupts.stop()
        self._interrupts.took(signal.SIGCONT)
        self._redraw()

    def _redraw(self) -> None:
        self._terminal.enter()
        self._resize()

    def _resize(self) -> None:
        width, height = self._terminal.resize()
        self._send(Resized(width, height))
        self._dirty = True

    def _paint(self) -> None:
        if self._dirty and self._code is None:
            width, height = self._terminal.size()
            self._terminal.paint(view(self._model, width, height))
            self._painted_at = time.monotonic()
            self._dirty = False
