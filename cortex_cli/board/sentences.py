"""The board and what changes on it in plain lines, for screen readers and logs. Pure.

No line needs its neighbours, colour or a place on the screen to be understood.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cortex_cli.board import doing
from cortex_cli.board import text as texts
from cortex_cli.board.apply import Change
from cortex_cli.board.dashboard_lines import items
from cortex_cli.board.model import Model
from cortex_cli.board.wire import Board, Ticket

LONGEST = 200  # cells of what somebody wrote, in a line


def board_lines(board: Board, now: float) -> list[str]:
    """The whole board: its columns as headings with counts, and a line a ticket."""
    model = Model(project=board.project.key, board=board, now=now)
    lines = [f"{board.project.key}, {board.project.name}: {counted(len(board.tickets), 'ticket')}."]
    titles = {column.name: column for column in board.project.columns}
    for name, tickets in board.columns.items():
        column = titles.get(name)
        limit = f", at most {column.wip_limit}" if column and column.wip_limit else ""
        lines += [
            "",
            f"{column.title if column else name}: {counted(len(tickets), 'ticket')}{limit}",
        ]
        lines += [ticket_line(model, ticket) for ticket in tickets]
    return lines


def ticket_line(model: Model, ticket: Ticket) -> str:
    """A ticket with all that its card says, in words."""
    parts = [ticket.title]
    for one in doing.of_ticket(model, ticket):
        age = doing.age_of(model, one.seen)
        when = {"": "", "now": "just now"}.get(age, f"{age} ago")
        said = (_word(one.state.text), one.agent, one.what, when)
        parts.append(", ".join(filter(None, said)))
    asked = len(doing.open_questions(model, ticket))
    parts += [counted(asked, "open question")] if asked else []
    parts += ["waits for a review"] if doing.open_reviews(model, ticket) else []
    parts += [f"priority {ticket.priority}"] if ticket.priority not in ("", "none") else []
    parts += [f"labels {', '.join(ticket.labels)}"] if ticket.labels else []
    parts += [f"assigned to {ticket.assignee}"] if ticket.assignee else []
    return f"{ticket.key}: {'; '.join(parts)}"


def _word(state: str) -> str:
    """A state without its glyph."""
    return state.partition(" ")[2] or state


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- what changed


def told(board: Board, change: Change) -> str:
    """What an event did to this board, "" for what is not on one. board: before the event."""
    noun, _, verb = change.type.partition(".")
    payload = change.payload
    said = ""
    if noun == "ticket":
        said = _of_ticket(board, verb, payload)
    elif noun in ("comment", "review", "permission"):
        said = _of_talk(noun, verb, payload)
    elif noun in ("session", "attempt"):
        said = _of_work(board, change)
    elif noun in ("batch", "label", "project") and "ticket" not in verb:
        words = f"{payload.get('status') or ''}" if noun == "batch" else verb
        said = f"{noun.title()} {payload.get('name')} {words}" if words else ""
    if not said:
        return ""
    by = f" by {change.actor}" if change.actor else ""
    head, colon, text = said.partition(": ")
    return f"{head}{by}{colon}{texts.clip(texts.clean(text), LONGEST)}"


def _of_ticket(board: Board, verb: str, payload: Mapping[str, Any]) -> str:
    key, title = payload.get("key"), payload.get("title")
    before = board.tickets.get(str(payload.get("id")))
    where = _title(board, str(payload.get("status")))
    if payload.get("archived") is True:
        return f"{key} archived" if before else ""
    match verb:
        case "created":
            return f"{key} created in {where}: {title}"
        case "moved" if before and before.status == payload.get("status"):
            return f"{key} moved within {where}"
        case "moved":
            return f"{key} moved to {where}"
        case "updated" if before is None:
            return f"{key} is on the board again, in {where}: {title}"
        case "updated":
            changed = payload.get("changed")
            names = ", ".join(changed) if isinstance(changed, Mapping) else ""
            return f"{key} changed{' in ' + names if names else ''}: {title}"
        case "deleted":
            return f"{key or (before.key if before else 'A ticket')} deleted"
    return ""


def _of_talk(noun: str, verb: str, payload: Mapping[str, Any]) -> str:
    key = payload.get("ticket")
    match noun, verb:
        case "comment", "added":
            return f"{key} commented: {payload.get('body')}"
        case "review", "requested":
            return f"{key} needs you, a review was asked for: {payload.get('summary')}"
        case "review", _:
            return f"{key} review {str(payload.get('state')).replace('_', ' ')}"
        case "permission", "asked":
            return f"{key} needs you, a question was asked: {payload.get('title')}"
        case "permission", _:
            return f"{key} question {payload.get('state')}: {payload.get('title')}"
    return ""


def _of_work(board: Board, change: Change) -> str:
    """Only what is another state than before: agents report often."""
    payload = change.payload
    known = board.attempts if change.type.startswith("attempt.") else board.sessions
    before = known.get(str(payload.get("id")))
    status = payload.get("outcome") or payload.get("status")
    if not isinstance(status, str) or (before is not None and before.status == status):
        return ""
    words = status.replace("_", " ")
    if change.type.startswith("attempt."):
        why = payload.get("reason")
        return f"{payload.get('ticket')} attempt {payload.get('number')} {words}" + (
            f": {why}" if why else ""
        )
    return f"{payload.get('ticket')} session {words}: {payload.get('title')}"


def _title(board: Board, status: str) -> str:
    return next((c.title for c in board.project.columns if c.name == status), status)


def differences(old: Board, new: Board) -> list[str]:
    """What is another on the new board, where nobody told by what it came."""
    lines = []
    for id, ticket in new.tickets.items():
        before = old.tickets.get(id)
        where = _title(new, ticket.status)
        if before is None:
            lines.append(f"{ticket.key} is in {where}: {ticket.title}")
        elif before.status != ticket.status:
            lines.append(f"{ticket.key} is in {where} now")
        elif replace(before, rank="", revision=0, updated_at="") != replace(
            ticket, rank="", revision=0, updated_at=""
        ):
            lines.append(f"{ticket.key} changed: {ticket.title}")
    lines += [f"{one.key} is gone" for id, one in old.tickets.items() if id not in new.tickets]
    return lines


# --- the dashboard


def overview_lines(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(section, line) of each thing at a glance, without what changes by time alone."""
    for item in items(body, "projects"):
        columns = item.get("columns")
        known = columns if isinstance(columns, Mapping) else {}
        counts = ", ".join(f"{name} {number}" for name, number in known.items())
        yield "Projects", f"{item.get('project')}, {item.get('name')}: {counts or 'no tickets'}"
    for item in items(body, "needs"):
        line = f"{item.get('ticket')} {item.get('kind')}: {item.get('text') or ''}"
        yield "Needs a person", line
    for item in items(body, "attempts"):
        line = (
            f"{item.get('ticket')} {item.get('status')}, {item.get('agent')}: {item.get('title')}"
        )
        yield "Agents at work", line
    for item in items(body, "runners"):
        yield "Runners", f"{item.get('name')} on {item.get('host')} is {item.get('status')}"
