"""Random keys, random changes by others, cut connections: once it settles, the screen is right.

20,000 keys and events in all. CORTEX_TEST_SEED=… walks one way again, as far as the network goes
it too; CORTEX_TEST_STEPS=… walks further than these do.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import fields, replace

import pytest

from cortex_cli.board.merged import Merged, fold
from cortex_cli.board.model import Model
from cortex_cli.board.selection import columns
from cortex_cli.board.wire import Board, Comment, Review, Session, Ticket
from cortex_cli.board.work import Attempt
from tests.board.others import Others
from tests.board.walker import Walker, settings_of
from tests.support.proxy import BreakingProxy
from tests.support.server import Server, free_port

pytestmark = pytest.mark.e2e

SEED = os.environ.get("CORTEX_TEST_SEED", "1")
LEAST = int(os.environ.get("CORTEX_TEST_STEPS", "10500"))  # keys and events of each of the two
ROUND = 400
PROJECTS = ("CTX", "OPS", "WEB")


def is_settled(model: Model) -> bool:
    """Whether nothing is on its way any more, as far as the board knows."""
    unanswered = any(not echo.until for echo in model.echoes)
    on_its_way = model.pending or model.works or unanswered or model.intents or phantoms(model)
    if model.held is not None or on_its_way:
        return False
    if model.everything and model.everything.waiting:
        return False
    return model.connection.phase == "live" and model.board is not None


def phantoms(model: Model) -> list[str]:
    """Cards of tickets that the board does not hold."""
    held = model.board.tickets if model.board else {}
    return [t.key for column in model.columns for t in column.tickets if t.id not in held]


def shown(board: Board) -> dict[str, Board]:
    """The boards of the projects that are shown, as the server would tell of each."""
    parts = board.parts if isinstance(board, Merged) else {fold(board.project.key): board}
    return {key: replace(part, head=0) for key, part in parts.items()}


def differences(found: Board, wanted: Board) -> list[str]:
    """What is not as it should be, in words."""
    told = []
    for name in [field.name for field in fields(found) if field.name != "memo"]:
        one, other = getattr(found, name), getattr(wanted, name)
        if one == other:
            continue
        if not isinstance(one, Mapping):
            told.append(f"{name}: {one} is not {other}")
            continue
        ids = [id for id in {**one, **other} if one.get(id) != other.get(id)]
        told += [f"{name} {id}: {one.get(id)} is not {other.get(id)}" for id in ids]
    return told


def assert_right(walker: Walker, others: Others) -> None:
    """What is shown is what the server answers, and what is worked out is as if worked out now."""
    wanted: dict[str, Board] = {}

    def has_caught_up(model: Model) -> bool:
        """What this walker asked for may be on its way still, so it is fetched until it stays."""
        if not is_settled(model):
            return False
        boards = {key: replace(Board.read(one), head=0) for key, one in others.boards().items()}
        wanted.update({fold(key): board for key, board in boards.items()})
        assert model.board is not None
        here = shown(model.board)
        whole = len(here) == (1 if model.everything is None else len(wanted))
        return whole and all(part.seq == wanted[key].seq for key, part in here.items())

    walker.until(has_caught_up, "the board has caught up")
    model = walker.model
    assert model.board is not None
    for key, part in shown(model.board).items():
        assert not differences(part, wanted[key])
        assert part.columns == wanted[key].columns
    fresh = model.board
    if isinstance(fresh, Merged):
        fresh = Merged.of_parts(fresh.parts)
        assert not differences(model.board, fresh)
    assert model.columns == columns(replace(model, board=fresh))
    assert not [toast for toast in model.toasts if toast.until <= model.now]


def go_home(walker: Walker) -> None:
    """Leave what is open, until the board is there."""
    for _ in range(20):
        if walker.model.scope == "board":
            return
        walker.press("esc")
    raise AssertionError(f"Esc does not lead to the board\n{walker.screen()}")


def settle(walker: Walker, others: Others) -> None:
    """Wait until it is quiet; then the open ticket, and the board below it, are right."""
    walker.model = replace(walker.model, overlay=None)
    if walker.model.detail and walker.model.connection.phase != "over":
        walker.until(lambda model: retried(walker), "it is connected again")
        walker.until(lambda model: detail_is_right(walker, others), "the open ticket is right")
    go_home(walker)
    walker.until(lambda model: retried(walker), "it is connected again")
    assert_right(walker, others)
    walker.look()


DETAIL = {"comments": Comment, "reviews": Review, "sessions": Session, "attempts": Attempt}


def detail_is_right(walker: Walker, others: Others) -> bool:
    """Whether the open ticket has all that the server has of it."""
    detail = walker.model.detail
    if detail is None or not detail.loaded or not is_settled(walker.model):
        return detail is None
    path = f"/tickets/{detail.ticket.key}"
    wanted = others.call("GET", path)
    if not wanted or Ticket.read(wanted) != detail.ticket:
        return False
    for name, kind in DETAIL.items():
        items = others.call("GET", f"{path}/{name}?limit=500")["items"]
        found = {one.id: one for one in map(kind.read, items)}
        if getattr(detail, name) != found:
            return False
    return True


def go_through_an_outage(walker: Walker, server: Server) -> None:
    """The server dies: that is said, and keys do no harm meanwhile."""
    go_home(walker)
    server.kill()
    walker.until(lambda model: model.connection.phase != "live", "it is said that it is not live")
    for _ in range(100):
        walker.step()
        assert walker.model.dashboard or "● live" not in walker.screen()
    server.start()


def retried(walker: Walker) -> bool:
    """Whether it is live; else connect now, as `r` does."""
    phase = walker.model.connection.phase
    if phase in ("lost", "over"):
        walker.press("r")
    return phase == "live"


@pytest.mark.parametrize("project", ["CTX", None], ids=["one", "all"])
def test_whatever_happens_the_board_becomes_the_servers(make_server, tmp_path, project):
    seed = f"{SEED}-{project}"
    port = free_port()
    server = make_server(**settings_of(port))
    choose = random.Random(seed)
    others = Others(server, choose, PROJECTS)
    step = 0
    with BreakingProxy(server, port) as proxy:
        walker = Walker(proxy.url, server.token, seed, tmp_path, project)
        try:
            while walker.messages < LEAST or step % ROUND:
                step += 1
                walk(walker, others, proxy, choose)
                if step == 3 * ROUND + 1:
                    go_through_an_outage(walker, server)
                if step % ROUND == 0:
                    settle(walker, others)
        except BaseException as error:
            where = f"{walker.model.scope}\n{walker.screen()}"
            error.add_note(f"CORTEX_TEST_SEED={SEED} ({project}), step {step}: {where}")
            raise
        finally:
            walker.close()
            others.close()
    assert walker.keys > LEAST // 2


def walk(walker: Walker, others: Others, proxy: BreakingProxy, choose: random.Random) -> None:
    chance = choose.random()
    if chance < 0.07:
        others.act()
    elif chance < 0.075:
        proxy.cut()
    else:
        walker.step()
    if chance > 0.95:
        walker.look()
