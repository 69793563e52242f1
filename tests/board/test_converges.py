"""Random keys, random changes by others, a server that restarts: at the end the screen is right."""

import random
import re

import pytest

from tests.board.screen import PROGRAM, Terminal, python

pytestmark = pytest.mark.e2e

KEYS = ["h", "j", "k", "l", "g", "G", "H", "L", "J", "K", "z", "\r", "\x1b", "]", "F", "F"]
STATUSES = ["backlog", "progress", "review", "done"]
COLUMN_CELLS = 50


def keys_by_column(text):
    """The cards on a screen of 200 columns, from top to bottom."""
    columns = [[], [], [], []]
    for line in text.splitlines():
        for found in re.finditer(r"│ (CTX-\d+) ", line):
            columns[found.start() // COLUMN_CELLS].append(found[1])
    return columns


def ok(server, method, path, body=None):
    """The answer to a request that has to succeed."""
    answer = server.api(method, path, body)
    assert answer.ok, answer.text
    return answer.json()


def test_the_screen_becomes_the_servers_board(server):
    choose = random.Random(7)
    ok(server, "POST", "/projects", {"key": "CTX", "name": "Cortex"})
    for number in range(20):
        status = choose.choice(STATUSES)
        ok(server, "POST", "/projects/CTX/tickets", {"title": f"T {number}", "status": status})
    code = PROGRAM.replace('"a-token-of-the-tests"', f'"{server.token}"')
    terminal = Terminal(python(code, server.url), 200, 60)
    try:
        terminal.until("● live")
        for step in range(150):
            terminal.send(choose.choice(KEYS))
            if step % 3 == 0:
                number, status = choose.randint(1, 20), choose.choice(STATUSES)
                body = {"status": status, "position": 0}
                ok(server, "POST", f"/tickets/CTX-{number}/move", body)
            if step == 75:
                server.restart()
                terminal.send("\x1br")
            terminal.read(0.005)
        terminal.send("\x1b\x1b\x1b")
        terminal.until("● live")

        def is_right(text):
            tickets = ok(server, "GET", "/projects/CTX/board")["tickets"]
            wanted = [[t["key"] for t in tickets if t["status"] == s] for s in STATUSES]
            return "saving" not in text and keys_by_column(text) == wanted

        terminal.until(is_right)
    finally:
        terminal.close()
