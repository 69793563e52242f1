"""The printed board, and what it does where there is no board to print."""

import io
import json

import pytest

from cortex_cli.board import app, once
from cortex_cli.board.wire import Board
from cortex_cli.sdk import CortexClient, NotFound, Unreachable
from tests.board import samples
from tests.board.fakeserver import FakeServer


@pytest.fixture
def fake():
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def client(fake):
    with CortexClient(fake.url, "a-token-of-the-tests") as made:
        yield made


def printed(width=120, ascii_only=False, **changes):
    return once.picture(Board.read(samples.board(**changes)), width, ascii_only)


def test_columns_stand_side_by_side_where_the_width_allows():
    lines = printed().splitlines()

    assert lines[0] == "CTX  Cortex  5 tickets"
    assert "Backlog 2" in lines[1]
    assert "Done 0" in lines[1]
    assert max(map(len, lines)) <= 120


def test_columns_stand_one_below_the_other_elsewhere():
    assert printed(60).splitlines() == [
        "CTX  Cortex  5 tickets",
        "Backlog 2",
        "  CTX-1 Write the parser  ↑ high #ui",
        "  CTX-2 日本語 cards 👩 too  @anna",
        "In progress 2/3",
        "  CTX-3 ● working Stream the events",
        "  CTX-4 ◆ waiting Draw the board",
        "Review 1",
        "  CTX-5 Fix the lease  ◇ review",
        "Done 0",
    ]


@pytest.mark.parametrize("width", [1, 20, 59, 60, 100, 500])
def test_every_card_is_printed_however_many(width):
    many = [samples.ticket(n) for n in range(300)]
    shown = printed(width, tickets=many, sessions=[], reviews=[])

    if width >= 20:
        assert all(f" CTX-{n} " in shown.replace("\n", " \n") for n in range(300))


def test_ascii_and_an_empty_board():
    assert printed(ascii_only=True).isascii()
    assert "cortex ticket import FILE" in printed(tickets=[], sessions=[], reviews=[])


def test_json_is_the_servers_board_with_a_version(client):
    out = io.StringIO()

    once.print_board(client, "CTX", as_json=True, out=out)

    assert json.loads(out.getvalue()) == {"version": 1, "board": samples.board()}
    assert out.getvalue().isascii()


def test_without_a_terminal_the_only_project_is_printed(client, capsys):
    assert app.run(lambda: client, None) == 0
    assert "CTX  Cortex  5 tickets" in capsys.readouterr().out


def test_without_a_project_it_says_which_there_are(fake, client):
    fake.projects = [samples.project(key="A"), samples.project(key="B")]

    with pytest.raises(app.NoProject, match="Name a project: A, B"):
        app.run(lambda: client, None, once=True)


def test_the_errors_of_the_sdk_pass_through(fake, client):
    with pytest.raises(NotFound):
        app.run(lambda: client, "NOPE", once=True)

    silent = CortexClient("http://127.0.0.1:9", "a-token-of-the-tests", timeout=1.0)
    with pytest.raises(Unreachable):
        app.run(lambda: silent, "CTX", once=True)
