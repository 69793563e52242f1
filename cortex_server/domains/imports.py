"""Importing tickets: all or none, idempotent by id."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from cortex_server.db.schema import tickets as ticket_table
from cortex_server.domains import tickets
from cortex_server.domains.bulk import all_or_none
from cortex_server.errors import Conflict, Invalid
from cortex_server.events.objects import Project, Ticket
from cortex_server.store import WriteTx


@dataclass
class ImportResult:
    """Keys by what happened, and every ticket in the order given."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    items: list[Ticket] = field(default_factory=list)


def import_tickets(tx: WriteTx, project: Project, rows: list[dict[str, Any]]) -> ImportResult:
    """Create or update one ticket for each row, which has an `id` and any field of a ticket.

    A field that a row does not give is left as it is. Raises Invalid, which names every refused
    row by its place in the list; the transaction then stores none.
    """
    result = ImportResult()
    seen: set[str] = set()

    def one(row: dict[str, Any]) -> None:
        if row["id"] in seen:
            raise Invalid.field("id", "stands twice in this import")
        seen.add(row["id"])
        try:
            _import_one(tx, project, row, result)
        except Conflict as error:
            raise Invalid.field("id", error.detail) from error

    all_or_none("tickets", rows, one)
    return result


def _import_one(tx: WriteTx, project: Project, row: dict[str, Any], result: ImportResult) -> None:
    where = ticket_table.c.id == row["id"]
    key = tx.conn.scalar(select(ticket_table.c.key).where(where))
    if key is None:
        created = tickets.create(tx, project, row)
        result.created.append(created.key)
        result.items.append(created)
        return
    current = tickets.get(tx, key)
    if current.project != project.key:
        raise Invalid.field("id", f"is ticket {current.key} of project {current.project}")
    fields = {name: value for name, value in row.items() if name not in ("id", "position")}
    updated = tickets.patch(tx, current, fields, None)
    (result.unchanged if updated.revision == current.revision else result.updated).append(key)
    result.items.append(updated)
