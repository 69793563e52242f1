"""The board of the last time: written, read, shown as such, and taken away again."""

import os
import resource
import signal
import stat
import sys
from dataclasses import replace

import pytest

from cortex_cli.board import calls, keeping, keys
from cortex_cli.board import messages as m
from cortex_cli.board.cache import LARGEST_BYTES, MOST_BOARDS, BoardCache
from cortex_cli.board.effects import Effects
from cortex_cli.board.model import Model
from cortex_cli.board.settings import Settings
from cortex_cli.board.status import status
from cortex_cli.board.update import update
from cortex_cli.board.wire import Board
from tests.board import samples
from tests.board.fakeserver import FakeServer
from tests.board.samples import NOW, event, feed, live, press
from tests.board.screen import PROGRAM, Terminal
from tests.board.test_view import as_text
from tests.support.server import wait_for

URL = "http://127.0.0.1:4747"
AGO = NOW - 12 * 60 - 5


@pytest.fixture
def environ(tmp_path):
    return {"XDG_CACHE_HOME": str(tmp_path)}


@pytest.fixture
def cache(environ):
    return BoardCache(environ, URL)


def rich():
    """A board with everything that one can hold."""
    return Board.read(
        samples.board(
            attempts=[
                samples.attempt(
                    1, "CTX-3", todos=[{"text": "Look", "status": "done"}],
                    git={"branch": "b", "head": "h", "ahead": 1, "behind": 2, "changed": 3},
                    pr={"state": "open", "url": "http://x", "number": 4},
                )
            ],
            permissions=[samples.permission(1, "CTX-3")],
            batches=[samples.batch(1, samples.batch_ticket("CTX-1", files=["a"]))],
        )
    )  # fmt: skip


def kept(board=None, **changes):
    fields = {"project": "CTX", "board": board or rich(), "as_of": AGO, "selected": "t003"}
    return m.Keep(**(fields | {"focus": "progress"} | changes))


def the_file(tmp_path):
    [found] = (tmp_path / "cortex" / "boards").iterdir()
    return found


def begun(keep=None, **changes):
    model = Model(project="CTX", width=120, height=30, **changes)
    model, _ = feed(keeping.begin(model, keep or kept()), m.Tick(NOW), m.Resized(120, 30))
    return model


def hello(epoch="e1"):
    return m.Connected(1, False, epoch)


# --- the file


def test_what_was_written_is_read_again(cache):
    cache.write(kept())

    assert cache.read("CTX", NOW) == kept()
    assert cache.read("ctx", NOW).board == rich()
    assert cache.read("OTHER", NOW) is None


def test_it_is_for_its_owner_only_and_leaves_no_draft(cache, tmp_path):
    before = os.umask(0)
    try:
        cache.write(kept())
        cache.write(kept(as_of=AGO + 1))
    finally:
        os.umask(before)

    assert stat.S_IMODE(the_file(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(the_file(tmp_path).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"id": "t001"', '"id": 5'),
        lambda text: text.replace(URL, "http://elsewhere"),
        lambda text: text + " " * LARGEST_BYTES,
        lambda text: text.replace('"at": 1', '"at": 9'),
        lambda text: text.replace('"at": 1', '"at": -1'),
        lambda text: "[" * 100_000,
    ],
    ids=["cut", "empty", "list", "version", "object", "server", "large", "future", "past", "deep"],
)
def test_a_file_that_does_not_fit_is_as_good_as_none(cache, tmp_path, damage):
    cache.write(kept())
    path = the_file(tmp_path)
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    path.write_text(damaged)

    assert cache.read("CTX", NOW) is None


def test_only_the_newest_boards_stay(cache, tmp_path):
    for number in range(MOST_BOARDS + 1):
        cache.write(kept(project=f"P{number}"))
        for path in (tmp_path / "cortex" / "boards").iterdir():
            os.utime(path, (path.stat().st_mtime - 10,) * 2)

    assert cache.read("P0", NOW) is None
    assert cache.read("P1", NOW)
    assert cache.read(f"P{MOST_BOARDS}", NOW)


def test_a_large_board_is_kept_without_the_texts(cache):
    long = [samples.ticket(n, body="x" * 9_000) for n in range(300)]
    cache.write(kept(Board.read(samples.board(tickets=long))))
    assert {ticket.body for ticket in cache.read("CTX", NOW).board.tickets.values()} == {""}

    endless = [samples.ticket(n, title="x" * 9_000) for n in range(300)]
    cache.write(kept(Board.read(samples.board(tickets=endless))))
    assert cache.read("CTX", NOW) is None


def test_an_agent_neither_sees_nor_replaces_it(cache, environ):
    agents = BoardCache(environ | {"CORTEX_TICKET": "CTX-1"}, URL)
    agents.write(kept())
    assert cache.read("CTX", NOW) is None

    cache.write(kept())
    assert agents.read("CTX", NOW) is None


def test_where_nothing_can_be_written_nothing_happens(tmp_path):
    (tmp_path / "cortex").write_text("a file")
    cache = BoardCache({"XDG_CACHE_HOME": str(tmp_path)}, URL)

    cache.write(kept())
    cache.forget("CTX")

    assert cache.read("CTX", NOW) is None


def test_what_somebody_else_could_change_is_closed_to_them(cache, tmp_path):
    (tmp_path / "cortex" / "boards").mkdir(parents=True, mode=0o777)
    (tmp_path / "cortex" / "boards").chmod(0o777)
    cache.write(kept())

    assert stat.S_IMODE(the_file(tmp_path).parent.stat().st_mode) == 0o700


def foreign_file(path):
    os.chown(path, 65_534, -1)


def foreign_directory(path):
    os.chown(path.parent, 65_534, -1)


def link(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def linked_directory(path):
    path.parent.rename(path.parent.parent / "elsewhere")
    path.parent.symlink_to(path.parent.parent / "elsewhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("plant", [foreign_file, foreign_directory, link, linked_directory, pipe])
def test_what_somebody_else_may_have_put_there_is_not_read(cache, tmp_path, plant):
    if plant.__name__.startswith("foreign") and os.geteuid():
        pytest.skip("only root gives files away")
    cache.write(kept())
    plant(the_file(tmp_path))

    assert cache.read("CTX", NOW) is None


def test_into_the_directory_of_somebody_else_nothing_is_written(cache, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "cortex").mkdir()
    (tmp_path / "cortex" / "boards").symlink_to(elsewhere)
    cache.write(kept())

    assert not list(elsewhere.iterdir())


def test_a_full_disk_leaves_what_was_there_and_no_draft(cache, tmp_path):
    cache.write(kept())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        cache.write(kept(as_of=AGO + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)

    assert the_file(tmp_path).suffix == ".json"
    assert cache.read("CTX", NOW) == kept()


def test_a_selection_that_is_none_does_not_end_the_board(cache, tmp_path):
    cache.write(kept())
    path = the_file(tmp_path)
    path.write_text(path.read_text().replace('"selected": "t003"', '"selected": ["t003"]'))

    assert begun(cache.read("CTX", NOW)).ticket


# --- when it is written


def test_a_live_board_is_written_once_a_minute_while_it_changes():
    def written(effects):
        return [effect for effect in effects if isinstance(effect, m.Keep)]

    model, effects = feed(live(), m.Changed(1, event("ticket.created", samples.ticket(9), 11)))
    assert not written(effects)
    model, effects = feed(model, m.Tick(NOW + 61), m.Beat(1, 11))
    assert [keep.board.seq for keep in written(effects)] == [11]
    model, effects = feed(model, m.Tick(NOW + 200), m.Beat(1, 11))
    assert not written(effects)
    assert keeping.last(model).as_of == NOW + 200


@pytest.mark.parametrize(
    "changes", [{"cached": True}, {"limited": True}, {"settings": Settings(cache=False)}],
    ids=["cached", "limited", "off"],
)  # fmt: skip
def test_what_is_not_the_whole_and_true_board_is_not_written(changes):
    model = replace(live(), **changes)
    assert keeping.last(model) is None
    later = m.Changed(1, event("ticket.created", samples.ticket(9), 11))
    assert not feed(model, m.Beat(1, 10), later, m.Tick(NOW + 130), m.Beat(1, 11))[1]


# --- while it is shown


def test_the_first_frame_shows_it_and_says_from_when_it_is():
    shown = as_text(begun())

    assert "◌ connecting · as of 12 min ago" in shown
    assert "from last time" in shown
    assert "Stream the events" in shown


def test_its_selection_survives_the_live_board():
    model = begun()
    assert model.ticket.id == "t003"
    model, _ = press(model, "j")
    model, _ = feed(model, hello(), m.Snapshot(1, samples.board()))

    assert (model.ticket.id, model.cached, status(model)[0]) == ("t004", False, "● live")
    assert "from last time" not in as_text(model)


def test_it_does_not_become_younger_while_it_waits():
    model, _ = feed(begun(), hello(), m.Beat(1, 10), m.Lost(1, "refused", 6.0, 3))

    assert status(model)[0] == "○ reconnecting in 6 s (3/8) · as of 12 min ago"
    assert model.cached


def test_nothing_is_changed_from_it():
    def changes(effects):
        return [effect for effect in effects if isinstance(effect, keeping.CHANGES)]

    assert set(calls.CHANGES) <= set(keeping.CHANGES)
    for binding in keys.TABLE:
        for scope in {"board", "detail"} & set(binding.scopes):
            model = begun() if scope == "board" else press(begun(), "enter")[0]
            model, effects = press(model, binding.keys[0])
            assert not changes(effects), binding
    for key in ("n", "c", "L", "m", "s"):
        model, _ = press(begun(), key)
        assert model.overlay is None
        assert model.toasts[-1].text.startswith("Not connected yet: this is the board as of 12 min")


def test_what_slips_past_the_keys_is_held_back_with_what_was_typed():
    model, _ = press(live(), "c", *"Hi")
    model = replace(model, cached=True)
    after, effects = press(model, "enter")

    assert not effects
    assert after.overlay == model.overlay
    assert "Not connected yet" in after.toasts[-1].text


def test_that_of_another_log_is_taken_away_at_once():
    model, _ = update(begun(), hello("another"))

    assert (model.board, model.cached) == (None, False)


@pytest.mark.parametrize(
    "message",
    [m.Lost(1, "No project CTX.", None, 0, False, True), m.Ended(1, "revoked", False)],
    ids=["refused", "revoked"],
)
def test_without_the_right_to_see_it_it_goes(message):
    model, effects = update(begun(), message)

    assert m.Forget("CTX") in effects
    assert model.board is None
    assert model.gone
    assert keeping.last(model) is None


def test_the_effects_reach_the_file(cache):
    effects = Effects(lambda: None, lambda message: None, cache)
    effects.run(kept())
    wait_for(lambda: cache.read("CTX", NOW), "it is written")
    effects.run(m.Forget("CTX"))
    wait_for(lambda: not cache.read("CTX", NOW), "it is gone")


# --- on a terminal


def test_without_its_server_the_board_of_the_last_time_is_shown_until_it_comes(tmp_path):
    fake = FakeServer()

    opened = []

    def start():
        argv = [sys.executable, "-c", PROGRAM, fake.url]
        opened.append(Terminal(argv, XDG_CACHE_HOME=str(tmp_path)))
        return opened[-1]

    try:
        first = start()
        first.until("● live")
        first.send("lq")  # the second column, and quit
        assert first.ended() == 0
        fake.stop()

        again = start()
        again.until(lambda text: text.strip())
        assert "Stream the events" in again.text  # in the very first frame
        assert "from last time" in again.text
        again.send("L")
        again.until("Not connected yet")
        again.until(lambda text: "as of" in text and "ago" in text)

        fake.move(4, "review")
        fake.start()
        again.until(lambda text: "● live" in text and "Review 2" in text)
        assert "from last time" not in again.text
        again.send("q")
        assert again.ended() == 0
    finally:
        for terminal in opened:
            terminal.close()
        fake.stop()
