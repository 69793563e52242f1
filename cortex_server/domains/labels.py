"""Labels: named marks, one set for each project."""

from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from cortex_server.db.schema import labels, ticket_labels
from cortex_server.domains import pages, tickets
from cortex_server.domains.label_rows import check_free, create, from_row, get
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import bump, check_revision, differences, let_others_run
from cortex_server.events.objects import Label
from cortex_server.events.payloads import DeletedLabel
from cortex_server.store import ReadTx, WriteTx

__all__ = ["carriers", "create", "delete", "get", "listing", "patch"]


def listing(tx: ReadTx, project: str, limit: int, cursor: str | None) -> Listing[Label]:
    """The project's labels by name."""
    query = select(labels).where(labels.c.project == project)
    if after := pages.decode(cursor, str):
        query = query.where(labels.c.name_folded > after[0])
    rows = tx.conn.execute(query.order_by(labels.c.name_folded).limit(limit + 1)).all()
    return pages.page(rows, limit, from_row, lambda row: pages.encode(row.name_folded))


def patch(tx: WriteTx, label: Label, changes: dict[str, Any], revision: int | None) -> Label:
    """A new name also shows on every ticket that carries the label."""
    check_revision(f"Label {label.name}", label, revision)
    changed = differences(label, changes)
    if not changed:
        return label
    if "name" in changed:
        if changed["name"].casefold() != label.name.casefold():
            check_free(tx, label.project, changed["name"])
        changed["name_folded"] = changed["name"].casefold()
    before = {key: tickets.get(tx, key) for key in carriers(tx, label)} if "name" in changed else {}
    bump(tx, labels, label.id, label, changed)
    updated = get(tx, label.id)
    tx.emit("label.updated", updated, project=updated.project)
    for ticket in before.values():
        let_others_run()
        tickets.touch_labels(tx, ticket)
    return updated


def delete(tx: WriteTx, label: Label, revision: int | None) -> None:
    """Tickets that carry it lose it first, each with an event."""
    check_revision(f"Label {label.name}", label, revision)
    for key in carriers(tx, label):
        let_others_run()
        tickets.remove_label(tx, tickets.get(tx, key), label.name)
    tx.conn.execute(sql_delete(labels).where(labels.c.id == label.id))
    tx.emit("label.deleted", DeletedLabel(id=label.id, name=label.name), project=label.project)


def carriers(tx: ReadTx, label: Label) -> list[str]:
    """The keys of the tickets that carry the label, by number."""
    found = select(ticket_labels.c.ticket).where(ticket_labels.c.label == label.id)
    return list(tx.conn.scalars(found.order_by(ticket_labels.c.number)).all())
