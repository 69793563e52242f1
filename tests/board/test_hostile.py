"""Hostile text and random keys: in the model at any size, and on a real terminal byte by byte."""

import os
import random
import re

import pytest

from cortex_cli.board import messages as m
from cortex_cli.board.asks import DiffLoaded, LogLoaded
from cortex_cli.board.keys import TABLE
from cortex_cli.board.model import DIFF, LOG, Model, Prompt
from cortex_cli.board.pastes import Copied, Pasted
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, LogEntry
from tests.board import samples
from tests.board.screen import PROGRAM, Terminal, python
from tests.board.walker import SIZES, assert_sound
from tests.support.hostile import NOT_IN_NAMES, string
from tests.support.server import Server

SEED = os.environ.get("CORTEX_TEST_SEED", "1")
KEYS = sorted({key for binding in TABLE for key in binding.keys} - {"q"})
COLUMNS = ["backlog", "progress", "review", "done"]


class Hostile:
    """Everything that the board can be told, in hostile words."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def text(self) -> str:
        return string(self.random)

    def board(self) -> dict:
        text = self.text
        tickets = [
            samples.ticket(
                n,
                self.random.choice(COLUMNS),
                title=text(),
                body=text(),
                labels=[text()],
                assignee=text(),
                priority=text(),
                type=text(),
            )
            for n in range(1, 9)
        ]
        return samples.board(
            project=samples.project(
                name=text(),
                columns=[{"name": name, "title": text(), "wip_limit": 1} for name in COLUMNS],
            ),
            tickets=tickets,
            sessions=[
                samples.session(n, f"CTX-{n}", title=text(), agent=text(), tool=text(), work=text())
                for n in range(1, 5)
            ],
            attempts=[
                samples.attempt(
                    n,
                    f"CTX-{n}",
                    status,
                    agent=text(),
                    branch=text(),
                    session=f"s{n}",
                    progress=text(),
                    reason=text(),
                    runner=text(),
                )
                for n, status in enumerate(("running", "failed", "waiting", "lost", "queued"), 1)
            ],
            reviews=[samples.review(n, f"CTX-{n}", summary=text(), branch=text()) for n in (1, 5)],
            permissions=[
                samples.permission(
                    n,
                    f"CTX-{n}",
                    title=text(),
                    detail=text(),
                    options=[{"id": "a", "label": text(), "description": text()}],
                )
                for n in (2, 3)
            ],
        )

    def told(self, model: Model) -> m.Incoming:
        """An answer, an event or a failure, as likely as not about what is open."""
        text, number = self.text, self.random.randint(1, 8)
        key = model.detail.ticket.key if model.detail else f"CTX-{number}"
        ticket = Ticket.read(samples.ticket(number, title=text(), body=text()))
        message = Message.read(samples.message(number, "s1", samples.part(text())))
        detail = m.DetailLoaded(
            model.detail.ticket if model.detail else ticket,
            (Comment.read(samples.comment(1, key, text())),),
            (Review.read(samples.review(1, key, summary=text(), note=text())),),
            (Session.read(samples.session(1, key, title=text())),),
            tuple(Attempt.read(samples.attempt(n, key, branch=text())) for n in (1, 2)),
        )
        event = samples.event(text() or "x", {"text": text()}, None, ticket=key)
        entries = tuple(LogEntry.read(samples.entry(n, text(), tool=text())) for n in range(1, 5))
        diff = f"diff --git a/{text()} b/x\n+{text()}\n-{text()}"
        return self.random.choice(
            [
                detail,
                detail,
                m.ThreadLoaded("s1", (message,)),
                LogLoaded("a1", entries),
                DiffLoaded("a1", diff, samples.AT, False),
                m.MoveRefused(ticket.id, text()),
                m.LoadFailed(self.random.choice([key, "s1", LOG, DIFF]), text()),
                m.Changed(1, event),
                m.Changed(
                    1,
                    samples.event(
                        "ticket.updated", samples.ticket(number, title=text(), revision=2)
                    ),
                ),
                m.Lost(1, text(), 5.0, 3),
                m.Connected(1, True),
                m.BoardFailed(1, text(), "CTX"),
                m.ProjectsLoaded((("CTX", text()), ("OPS", text()))),
                m.ProjectsFailed(text()),
                Copied(text(), (text(),), False),
                Pasted(text()),
                m.Ended(1, text(), True),
                m.Overview(
                    -model.dashboards,
                    {
                        "projects": [{"project": text(), "name": text()}],
                        "needs": [
                            {
                                "kind": "failed",
                                "ticket": key,
                                "title": text(),
                                "id": text(),
                                "agent": text(),
                            }
                        ],
                    },
                ),
            ]
        )


@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf-8", "ascii"])
def test_whatever_is_shown_is_harmless_at_every_size(ascii_only):
    hostile = Hostile(f"{SEED}-{ascii_only}")
    scopes = set()
    for _ in range(60):
        model = Model(project="CTX", now=samples.NOW, width=120, height=36, ascii_only=ascii_only)
        model, _ = samples.feed(model, m.Connected(1, False), m.Snapshot(1, hostile.board()))
        for _ in range(40):
            about = hostile.random.random()
            if about < 0.3:
                model, _ = samples.feed(model, hostile.told(model))
            elif about < 0.4 and isinstance(model.overlay, Prompt):
                model, _ = samples.feed(model, Pasted(hostile.text()))
            else:
                model, _ = samples.press(model, hostile.random.choice(KEYS))
            scopes.add(model.scope)
            if hostile.random.random() < 0.25:
                assert_sound(model, *hostile.random.choice(SIZES))
    assert scopes == {scope for binding in TABLE for scope in binding.scopes}


# --- on a real terminal

# What ncurses sends for xterm-256color, and what we send beside it: the mouse, pastes, a
# notification and the clipboard, each with harmless text of ours in it.
KNOWN = re.compile(
    rb"\x1b\[(?:[0-9;]*[ABCDEFGHJKLMPSTXZabdfhlmrt@]|\?(?:1|7|12|25|1000|1002|1006|1034|1049|2004|2026)"
    rb"(?:;\d+)*[hl]|!p|>[0-9;]*[a-z]|22;0;0t|23;0;0t)"
    rb"|\x1b[=>78M]|\x1b\([B0]|\x1b\]104\x07|\x1b\]52;c;[A-Za-z0-9+/=]*\x07|\x1b\]9;[^\x00-\x1f\x7f]*\x07"
    rb"|[\r\n\x08\x0f\x0e\x07]"
)
TYPED = [
    "h",
    "j",
    "k",
    "l",
    "g",
    "G",
    "H",
    "L",
    "J",
    "K",
    "z",
    "Z",
    "\r",
    "\x1b",
    "]",
    "[",
    "F",
    "v",
    "A",
    "d",
    "P",
    ":",
    "?",
    " ",
    "o",
    "m",
    "a",
    "/",
    "n",
    "D",
    "y",
    "r",
    "B",
    "M",
    "\x0c",
    "\x10",
    "2",
    "\x1b[200~p\x1b[2Jasted\x9b\x1b[201~",
]


@pytest.mark.e2e
def test_only_known_sequences_reach_a_terminal(server: Server):
    hostile = Hostile(SEED)
    name = "".join(c for c in hostile.text() if c not in NOT_IN_NAMES)
    server.make("/projects", key="CTX", name=f"{name}\u202ex")
    rows = [
        {
            "title": (hostile.text().replace("\0", "") + "x")[-400:],
            "labels": [f"[3{n % 8}m\u202e"],
            "body": hostile.text().replace("\0", ""),
            "status": COLUMNS[n % 4],
        }
        for n in range(150)
    ]
    server.make("/projects/CTX/tickets/bulk", tickets=rows)
    code = PROGRAM.replace('"a-token-of-the-tests"', f'"{server.token}"')
    terminal = Terminal(python(code, server.url), 120, 36)
    try:
        terminal.until("● live")
        for step in range(400):
            terminal.send(hostile.random.choice(TYPED))
            terminal.read(0.004)
            if step % 80 == 79:
                terminal.resize(*hostile.random.choice([(120, 36), (80, 24), (40, 12), (200, 60)]))
        terminal.settled(0.1)
        assert terminal.process.poll() is None, terminal.text
    finally:
        terminal.close()
    left = KNOWN.sub(b"", terminal.raw).decode("utf-8")
    assert not re.search(
        "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\U000e0000-\U000e0fff]", left
    )
    assert len(left) > 10_000
