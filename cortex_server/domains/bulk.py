"""Many tickets in one change: all of them or none."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cortex_server.domains import tickets
from cortex_server.domains.rows import let_others_run
from cortex_server.errors import CortexError, Invalid
from cortex_server.events.objects import Project, Ticket
from cortex_server.store import WriteTx

T = TypeVar("T")


def all_or_none(
    what: str, rows: Sequence[dict[str, Any]], change: Callable[[dict[str, Any]], T]
) -> list[T]:
    """Make a change for each row, and give others a turn in between.

    what: the name of the list in the request. Raises Invalid, which names every refused field of
    every row by its place; any other refusal is raised as it comes.
    """
    done: list[T] = []
    refused: list[dict[str, str]] = []
    for index, row in enumerate(rows):
        let_others_run()
        try:
            done.append(change(row))
        except Invalid as error:
            refused += _named(f"{what}.{index}", error)
    if refused:
        raise Invalid(f"{len(refused)} values were refused; nothing was stored.", errors=refused)
    return done


def create(tx: WriteTx, project: Project, rows: Sequence[dict[str, Any]]) -> list[Ticket]:
    """Create tickets in this order; each row has the fields of a new one."""
    return all_or_none("tickets", rows, lambda row: tickets.create(tx, project, row))


def change(tx: WriteTx, project: Project, rows: Sequence[dict[str, Any]]) -> list[Ticket]:
    """Change tickets in this order. A row has `ticket` (key or id) and what changes of it.

    status, position: move it there; revision: of that ticket, as it was decided on.
    Raises OutdatedRevision, NotFound and Conflict as the single changes do.
    """

    def one(row: dict[str, Any]) -> Ticket:
        ticket = tickets.find(tx, row["ticket"])
        if ticket is None or ticket.project != project.key:
            raise Invalid.field("ticket", f"there is no ticket {row['ticket']} in {project.key}")
        return _change_one(tx, ticket, dict(row))

    return all_or_none("changes", rows, one)


def _change_one(tx: WriteTx, ticket: Ticket, row: dict[str, Any]) -> Ticket:
    del row["ticket"]
    revision = row.pop("revision", None)
    if "position" not in row:
        return tickets.patch(tx, ticket, row, revision)
    status, position = row.pop("status", ticket.status), row.pop("position")
    # The revision holds for the ticket as it was: the first of the two changes checks it.
    moved = tickets.move(tx, ticket, status, position, revision)
    return tickets.patch(tx, moved, row, None) if row else moved


def _named(where: str, error: CortexError) -> list[dict[str, str]]:
    parts = error.extra.get("errors") or [{"field": "", "message": error.detail}]
    return [
        {"field": f"{where}.{part['field']}".rstrip("."), "message": part["message"]}
        for part in parts
    ]
