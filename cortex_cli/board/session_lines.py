"""The tab of a session: what it does, its conversation, and what it asks."""

from collections.abc import Iterator
from functools import partial

from cortex_cli.board import attempt_lines, doing
from cortex_cli.board.blocks import Block
from cortex_cli.board.canvas import BAD, DIM, INFO, Line, Span
from cortex_cli.board.conversation import Messages
from cortex_cli.board.lines import EMPTY
from cortex_cli.board.model import Detail, Model
from cortex_cli.board.sheets import Sheet
from cortex_cli.board.wire import Session


def sheet(model: Model, detail: Detail, session: Session, cells: int) -> Sheet:
    thread = detail.threads.get(session.id)
    head = partial(Block.of_lines, _head(detail, session))
    asked = attempt_lines.questions(model, detail.ticket, cells, session.id)
    messages = Messages(model, thread.messages if thread else (), cells)
    return Sheet(
        [("+head", head)], messages, [("+questions", partial(Block.of_lines, asked))], "message"
    )


def _head(detail: Detail, session: Session) -> Iterator[Line]:
    by = " ".join(part for part in (session.agent, session.model) if part)
    work = " ".join(part for part in (session.tool, session.work) if part)
    yield (doing.session_state(session), Span(f"  {by}", DIM), Span(f"  {work}", INFO))
    thread = detail.threads.get(session.id)
    if thread is not None and thread.failed:
        yield from (EMPTY, (Span(f"✗ {thread.failed}  r tries again.", BAD),))
    elif thread is None or not thread.loaded:
        yield from (EMPTY, (Span("… messages are on their way", DIM),))
    elif not thread.messages:
        yield from (EMPTY, (Span("No messages yet.", DIM),))
    elif thread.messages[0].number > 1:
        yield (Span("… older messages" + (": loading" if thread.older else ""), DIM),)
    else:
        yield (Span("beginning of the conversation", DIM),)
