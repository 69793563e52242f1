"""A board without a terminal that a seeded random user drives: the real model, view and effects.

Every key goes to `update` as the loop would send it, every effect runs as it does for a person,
and now and then what would be painted is looked at.
"""

import os
import queue
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortex_cli.board import canvas, writing
from cortex_cli.board import messages as m
from cortex_cli.board import text as texts
from cortex_cli.board.cache import BoardCache
from cortex_cli.board.changes import Discard, EditText
from cortex_cli.board.effects import Effects
from cortex_cli.board.keys import TABLE
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.update import start, update
from cortex_cli.board.view import view
from cortex_cli.sdk import CortexClient
from tests.support.hostile import string
from tests.support.server import wait_for

SIZES = [(120, 36), (120, 36), (200, 60), (80, 24), (80, 24), (59, 20), (40, 12), (19, 4), (1, 1)]
LETTERS = "abc xyz 123 !/-é日"
EVERY_KEY = sorted({key for binding in TABLE for key in binding.keys})
NOT_OFTEN = {"quit": 0.02, "everything": 0.1, "projects": 0.3, "redraw": 0.05, "suspend": 0.05,
             "edit": 0.3, "new-in-editor": 0.3, "write": 0.3, "dashboard": 0.4,
             "palette": 0.3, "palette-close": 5.0, "abandon": 2.0}  # fmt: skip
# What a person's editor makes of the file it is given.
EDITOR = "sed -i -e '1,/^title:/s/^title: .*/title: edited/' -e '$a more'"


class Walker:
    """keys, messages: how many there were; messages are keys, events and answers, no ticks."""

    def __init__(
        self, url: str, token: str, seed: str, directory: Path, project: str | None
    ) -> None:
        """project: None begins with all of them."""
        self.random = random.Random(seed)
        self.keys = self.messages = 0
        self._inbox: queue.SimpleQueue[m.Incoming] = queue.SimpleQueue()
        self._environ = {
            "PATH": os.environ["PATH"], "EDITOR": EDITOR,
            "XDG_CACHE_HOME": str(directory), "XDG_STATE_HOME": str(directory),
        }  # fmt: skip
        cache = BoardCache(self._environ, url)
        self._effects = Effects(lambda: CortexClient(url, token), self._inbox.put, cache)
        self.model = Model(project=project or "", url=url, now=time.time(), width=120, height=36)
        if project is None:
            from cortex_cli.board import everything

            self.model = everything.beginning(self.model)
        self.model, effects = start(self.model)
        self._perform(effects)

    def close(self) -> None:
        self._effects.close()
        self._effects.client().close()

    # --- what it does

    def send(self, message: m.Incoming) -> None:
        """Take a message as the loop does. Fails where a thread or `update` did."""
        if isinstance(message, m.Crashed):
            raise message.error
        self.messages += not isinstance(message, m.Tick)
        self.model, effects = update(self.model, message)
        self._perform(effects)

    def take(self) -> None:
        """Take all that has come."""
        while not self._inbox.empty():
            self.send(self._inbox.get())

    def step(self) -> None:
        """One thing that a user does, or that time does, and what has come meanwhile."""
        chance = self.random.random()
        if chance < 0.02:
            self.send(m.Resized(*self.random.choice(SIZES)))
        elif chance < 0.05:
            self.send(m.Clicked(
                self.random.randrange(40), self.random.randrange(130), self.random.random() < 0.3
            ))  # fmt: skip
        elif chance < 0.06:
            self.send(m.Pasted(string(self.random, 4)[:500]))
        elif chance < 0.10:
            self.tick()
        else:
            self.press(self._key())
        self.take()

    def press(self, key: str) -> None:
        self.keys += 1
        self.send(m.Key(key))

    def tick(self) -> None:
        self.send(m.Tick(time.time()))

    def _key(self) -> str:
        """A key, mostly one that does something where the user is."""
        model, choose = self.model, self.random
        if isinstance(model.overlay, Prompt) and choose.random() < 0.6:
            return self._typed(model.overlay)
        if isinstance(model.overlay, Menu) and choose.random() < 0.2:
            return choose.choice("123")
        if choose.random() < 0.15:
            return choose.choice(EVERY_KEY)
        found = [binding for binding in TABLE if model.scope in binding.scopes]
        weights = [NOT_OFTEN.get(binding.action, 1.0) for binding in found]
        return choose.choice(choose.choices(found, weights)[0].keys)

    def _typed(self, prompt: Prompt) -> str:
        """What is deleted has to be typed: now and then that is done."""
        if prompt.kind == "delete" and self.random.random() < 0.3:
            self.send(m.Key("ctrl-a"))
            self.send(m.Key("ctrl-k"))
            words = prompt.label.removeprefix("Type ").removesuffix(" to delete")
            self.send(m.Pasted(words))
            return "enter"
        return self.random.choice(LETTERS)

    def _perform(self, effects: tuple[m.Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case EditText(look=False):
                    self.send(writing.read(effect.job))
                case EditText():
                    self.send(writing.write(effect.job, self._environ))
                case Discard():
                    writing.discard(effect.path)
                case m.Copy():
                    self.send(m.Copied(effect.text, (), True))
                case m.Notify() | m.Redraw() | m.UseMouse() | m.Suspend() | m.Quit():
                    pass
                case _:
                    self._effects.run(effect)

    # --- what it sees

    def until(self, condition: Callable[[Model], Any], what: str, deadline_s: float = 20.0) -> None:
        """Take what comes until the model is so; time goes on. Fails with `what` otherwise."""

        def is_so() -> Any:
            self.take()
            self.tick()
            return condition(self.model)

        try:
            wait_for(is_so, what, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def look(self, width: int | None = None, height: int | None = None) -> None:
        """Draw, and look that every cell is harmless and on the screen."""
        model = self.model
        assert_sound(model, model.width if width is None else width,
                     model.height if height is None else height)  # fmt: skip

    def screen(self, width: int = 120, height: int = 36) -> str:
        rows = view(self.model, width, height)
        return "\n".join("".join(span.text for span in row).rstrip() for row in rows)


def assert_sound(model: Model, width: int, height: int) -> None:
    """Every row is as wide as the screen; no cell holds what could steer it, or no width."""
    rows = view(model, width, height)
    assert len(rows) == height
    for row in rows:
        assert canvas.line_width(row) == width
        for span in row:
            assert span.role in canvas.ROLES
            if span.text.isascii() and span.text.isprintable():
                continue
            assert not model.ascii_only, span.text
            assert all(map(is_sound, span.text)), ascii(span.text)


def is_sound(char: str) -> bool:
    """Whether a cell may hold it: it is drawn, and all agree how wide."""
    return char.isprintable() and texts.clean(f"x{char}") == f"x{char}"


def settings_of(port: int) -> Mapping[str, Any]:
    """A server behind a proxy on this port whose streams come back quickly."""
    return {
        "allowed_hosts": f"127.0.0.1:{port}",
        "retry_ms": 20,
        "heartbeat_s": 0.5,
        "lease_s": 600,
    }
