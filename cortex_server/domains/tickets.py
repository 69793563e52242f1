"""Tickets: the cards of a board."""

from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from cortex_server.db.schema import ticket_dependencies, ticket_labels, tickets
from cortex_server.db.statements import change, insertion
from cortex_server.domains import (
    arrivals,
    attempt_rows,
    label_rows,
    places,
    project_rows,
    ranks,
    settings,
)
from cortex_server.domains.rows import bump, check_revision, differences, let_others_run
from cortex_server.domains.ticket_lists import TicketFilter, listing
from cortex_server.domains.ticket_rows import find, get
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Label, PlacedTicket, Project, Ticket
from cortex_server.events.payloads import ChangedTicket, Keyed, LabeledTicket
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

__all__ = [
    "TicketFilter", "add_label", "create", "delete", "find", "get", "leave_columns", "listing",
    "move", "patch", "placed", "remove_label", "touch_labels",
]  # fmt: skip

DEFAULTS: dict[str, Any] = {
    "body": "",
    "assignee": None,
    "due": None,
    "references": [],
    "archived": False,
}


def placed(tx: ReadTx, ticket: Ticket) -> PlacedTicket:
    """The ticket with its place in its column."""
    position = None if ticket.archived else places.position(tx, ticket)
    return PlacedTicket.model_construct(**dict(ticket), position=position)


def create(tx: WriteTx, project: Project, fields: dict[str, Any]) -> Ticket:
    """Create a ticket at `position` of its column, or at the end.

    fields may hold an `id`, and `created_at` and `updated_at` of an import.
    Raises Invalid for a column or a dependency that does not exist, Conflict for a taken id.
    """
    status = fields.get("status") or project.columns[0].name
    project_rows.check_column(project, status)
    ticket_id = fields.get("id") or new_id()
    if "id" in fields and tx.conn.scalar(select(tickets.c.key).where(tickets.c.id == ticket_id)):
        raise Conflict(f"There is a ticket with the id {ticket_id} already.", code="already_exists")
    labels = label_rows.ensure(tx, project.key, fields.get("labels", []))
    number = project_rows.next_ticket_number(tx, project)
    key = f"{project.key}-{number}"
    defaults = DEFAULTS | _project_defaults(tx, project)
    plain = {name: fields.get(name, default) for name, default in defaults.items()}
    values = plain | {
        "key": key, "id": ticket_id, "project": project.key, "number": number,
        "title": fields["title"], "status": status, "revision": 1,
        "rank": _rank_at(tx, project.key, status, fields.get("position"), key),
        "created_at": fields.get("created_at", tx.now),
        "updated_at": fields.get("updated_at", tx.now),
    }  # fmt: skip
    insertion(tickets).run(tx.conn, **values)
    _set_labels(tx, key, labels)
    needs = fields.get("depends_on", [])
    if needs:
        _set_dependencies(tx, project.key, key, needs)
    ticket = get(tx, key)
    tx.emit("ticket.created", ticket, project=project.key, ticket=key)
    return ticket


def patch(tx: WriteTx, ticket: Ticket, changes: dict[str, Any], revision: int | None) -> Ticket:
    """Change fields, labels, dependencies, archived and status in one revision.

    Emits ticket.updated, ticket.unlabeled, ticket.labeled, ticket.moved, as far as each applies;
    all carry the final state.
    """
    check_revision(f"Ticket {ticket.key}", ticket, revision)
    changes = dict(changes)
    wanted = changes.pop("labels", None)
    depends_on = changes.pop("depends_on", None)
    updated_at = changes.pop("updated_at", None)
    values = differences(ticket, changes)
    if values.get("archived"):
        attempt_rows.check_none_active(tx, ticket.key)
    if "status" in values:
        project_rows.check_column(project_rows.get(tx, ticket.project), values["status"])
        values["rank"] = _rank_at(tx, ticket.project, values["status"], None, ticket.key)
    gained, lost = _label_changes(tx, ticket, wanted)
    depends_changed = depends_on is not None and _set_dependencies(
        tx, ticket.project, ticket.key, depends_on
    )
    if not (values or gained or lost or depends_changed):
        return ticket
    _link_labels(tx, ticket.key, gained, lost)
    updated = _store(tx, ticket, values, updated_at)
    _emit_changes(tx, ticket, updated, gained, lost)
    return updated


def move(
    tx: WriteTx, ticket: Ticket, status: str, position: int | None, revision: int | None
) -> Ticket:
    """Put the ticket into a column at `position` (from 0; None or beyond the last: the end)."""
    check_revision(f"Ticket {ticket.key}", ticket, revision)
    project_rows.check_column(project_rows.get(tx, ticket.project), status)
    if status == ticket.status and places.stays(tx, ticket, position):
        return ticket
    rank = _rank_at(tx, ticket.project, status, position, ticket.key)
    updated = _store(tx, ticket, {"status": status, "rank": rank})
    _emit_changes(tx, ticket, updated, [], [])
    return updated


def delete(tx: WriteTx, ticket: Ticket, revision: int | None) -> None:
    """Delete the ticket with all that is on it; tickets that depend on it no longer do.

    Raises Conflict (attempt_active), as archiving it does.
    """
    check_revision(f"Ticket {ticket.key}", ticket, revision)
    attempt_rows.check_none_active(tx, ticket.key)
    query = select(ticket_dependencies.c.ticket).where(
        ticket_dependencies.c.depends_on == ticket.key
    )
    for key in sorted(tx.conn.scalars(query).all()):
        dependent = get(tx, key)
        rest = [other for other in dependent.depends_on if other != ticket.key]
        patch(tx, dependent, {"depends_on": rest}, None)
    tx.conn.execute(sql_delete(tickets).where(tickets.c.key == ticket.key))
    gone = Keyed(id=ticket.id, key=ticket.key)
    tx.emit("ticket.deleted", gone, project=ticket.project, ticket=ticket.key)


def add_label(tx: WriteTx, ticket: Ticket, name: str, revision: int | None = None) -> Ticket:
    """Give the ticket a label, which is created when the project has none of that name."""
    return patch(tx, ticket, {"labels": [*ticket.labels, name]}, revision)


def remove_label(tx: WriteTx, ticket: Ticket, name: str, revision: int | None = None) -> Ticket:
    """Take a label from the ticket. Raises NotFound when it does not carry it."""
    rest = [label for label in ticket.labels if label.casefold() != name.casefold()]
    if len(rest) == len(ticket.labels):
        raise NotFound(f"Ticket {ticket.key} does not carry the label {name}.")
    return patch(tx, ticket, {"labels": rest}, revision)


def touch_labels(tx: WriteTx, before: Ticket) -> None:
    """Tell that a label of this ticket has a new name."""
    _emit_changes(tx, before, _store(tx, before, {}), [], [])


def leave_columns(tx: WriteTx, project: Project, gone: list[str], target: str | None) -> None:
    """Move the tickets of removed columns to `target`, archived ones too, in their order.

    Raises Conflict (column_in_use) when there are some and no target is given.
    """
    for status in gone:
        where = (tickets.c.project == project.key) & (tickets.c.status == status)
        keys = tx.conn.scalars(select(tickets.c.key).where(where).order_by(tickets.c.rank)).all()
        if keys and target is None:
            raise Conflict(
                f"Column {status} of {project.key} holds {len(keys)} tickets; "
                "name the column that takes them in move_tickets_to.",
                code="column_in_use",
            )
        for key in keys:
            let_others_run()
            ticket = get(tx, key)
            rank = _rank_at(tx, project.key, str(target), None, key)
            updated = _store(tx, ticket, {"status": target, "rank": rank})
            _emit_changes(tx, ticket, updated, [], [])


def _rank_at(tx: WriteTx, project: str, status: str, position: int | None, key: str) -> str:
    """A rank for a place of a column, whose cards get new ones first if it would be too long."""
    rank = places.rank_at(tx, project, status, position, key)
    if len(rank) <= ranks.LONG:
        return rank
    for other, new in places.respread(tx, project, status, key):
        let_others_run()
        ticket = get(tx, other)
        _emit_changes(tx, ticket, _store(tx, ticket, {"rank": new}), [], [])
    return places.rank_at(tx, project, status, position, key)


def _project_defaults(tx: ReadTx, project: Project) -> dict[str, Any]:
    values = settings.project_values(tx, project)
    return {"type": values["default_type"], "priority": values["default_priority"]}


def _store(
    tx: WriteTx, ticket: Ticket, values: dict[str, Any], updated_at: str | None = None
) -> Ticket:
    bump(tx, tickets, ticket.key, ticket, values)
    if updated_at is not None:
        change(tickets, frozenset(["updated_at"])).run(
            tx.conn, _key=ticket.key, updated_at=updated_at
        )
    return get(tx, ticket.key)


def _emit_changes(
    tx: WriteTx, before: Ticket, after: Ticket, gained: list[Label], lost: list[Label]
) -> None:
    moved: dict[str, Any] = {}
    updated: dict[str, Any] = {}
    skipped = {"revision", "updated_at"} | ({"labels"} if gained or lost else set())
    for name in type(after).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old != new and name not in skipped:
            (moved if name in ("status", "rank") else updated)[name] = {"from": old, "to": new}
    scope = {"project": after.project, "ticket": after.key}
    if updated:
        tx.emit(
            "ticket.updated", ChangedTicket.model_construct(**dict(after), changed=updated), **scope
        )
    for label in lost:
        tx.emit(
            "ticket.unlabeled", LabeledTicket.model_construct(**dict(after), label=label), **scope
        )
    for label in gained:
        tx.emit(
            "ticket.labeled", LabeledTicket.model_construct(**dict(after), label=label), **scope
        )
    if "status" in moved:
        arrivals.note(tx, after)
    if moved:
        tx.emit(
            "ticket.moved", ChangedTicket.model_construct(**dict(after), changed=moved), **scope
        )


def _label_changes(
    tx: WriteTx, ticket: Ticket, names: list[str] | None
) -> tuple[list[Label], list[Label]]:
    """The labels that the ticket gains and loses so as to carry exactly `names`."""
    if names is None:
        return [], []
    have = {label.casefold() for label in ticket.labels}
    want = label_rows.ensure(tx, ticket.project, names)
    wanted = {label.name.casefold() for label in want}
    gained = [label for label in want if label.name.casefold() not in have]
    gone = [name for name in ticket.labels if name.casefold() not in wanted]
    return gained, [label_rows.named(tx, ticket.project, name) for name in gone]


def _link_labels(tx: WriteTx, key: str, gained: list[Label], lost: list[Label]) -> None:
    _set_labels(tx, key, gained)
    for label in lost:
        where = (ticket_labels.c.ticket == key) & (ticket_labels.c.label == label.id)
        tx.conn.execute(sql_delete(ticket_labels).where(where))


def _set_labels(tx: WriteTx, key: str, labels: list[Label]) -> None:
    if labels:
        number = int(key.rpartition("-")[2])
        rows = [{"ticket": key, "label": label.id, "number": number} for label in labels]
        insertion(ticket_labels).run_many(tx.conn, rows)


def _set_dependencies(tx: WriteTx, project: str, key: str, refs: list[str]) -> bool:
    """Let the ticket depend on exactly `refs` (keys or ids). Returns whether that is a change."""
    others = set()
    for ref in refs:
        other = find(tx, ref)
        if other is None or other.project != project:
            raise Invalid.field("depends_on", f"there is no ticket {ref} in project {project}")
        others.add(other.key)
    mine = ticket_dependencies.c.ticket == key
    have = set(tx.conn.scalars(select(ticket_dependencies.c.depends_on).where(mine)).all())
    if others == have:
        return False
    _check_acyclic(tx, key, others)
    tx.conn.execute(sql_delete(ticket_dependencies).where(mine))
    if others:
        rows = [{"ticket": key, "depends_on": other} for other in sorted(others)]
        insertion(ticket_dependencies).run_many(tx.conn, rows)
    return True


def _check_acyclic(tx: ReadTx, key: str, others: set[str]) -> None:
    """Refuse a circle: none of its tickets could ever start. Raises Invalid."""
    seen: set[str] = set()
    frontier = set(others)
    while frontier:
        if key in frontier:
            raise Invalid.field("depends_on", f"{key} would depend on itself")
        seen |= frontier
        where = ticket_dependencies.c.ticket.in_(sorted(frontier))
        query = select(ticket_dependencies.c.depends_on).where(where)
        frontier = set(tx.conn.scalars(query).all()) - seen
