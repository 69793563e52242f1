"""Reading and creating labels: what tickets need of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from cortex_server.db.schema import labels
from cortex_server.db.statements import Statement, insertion
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.objects import Label
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

_BY_ID = Statement(select(labels).where(labels.c.id == bindparam("id")))
_NAMED = Statement(
    select(labels).where(
        labels.c.project == bindparam("project"), labels.c.name_folded == bindparam("name")
    )
)


def get(tx: ReadTx, label_id: str) -> Label:
    row = _BY_ID.one_or_none(tx.conn, id=label_id)
    if row is None:
        raise NotFound(
            f"There is no label {label_id}; `cortex label list` shows them with their ids."
        )
    return from_row(row)


def find_named(tx: ReadTx, project: str, name: str) -> Label | None:
    """The project's label of this name, in any case."""
    row = _NAMED.one_or_none(tx.conn, project=project, name=name.casefold())
    return None if row is None else from_row(row)


def of_project(tx: ReadTx, project: str) -> list[Label]:
    query = select(labels).where(labels.c.project == project).order_by(labels.c.name_folded)
    return [from_row(row) for row in tx.conn.execute(query)]


def create(tx: WriteTx, project: str, fields: dict[str, Any]) -> Label:
    """Raises Conflict when the project has a label of this name in any case."""
    name = fields["name"]
    check_free(tx, project, name)
    values = {
        "color": None, "priority": 0, **fields, "name_folded": name.casefold(), "project": project,
        "id": new_id(), "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(labels).run(tx.conn, **values)
    label = get(tx, values["id"])
    tx.emit("label.created", label, project=project)
    return label


def ensure(tx: WriteTx, project: str, names: Sequence[str]) -> list[Label]:
    """The labels of these names, sorted; creates those that are missing."""
    found: dict[str, Label] = {}
    for name in names:
        if name.casefold() not in found:
            label = find_named(tx, project, name) or create(tx, project, {"name": name})
            found[name.casefold()] = label
    return sorted(found.values(), key=lambda label: label.name)


def check_free(tx: ReadTx, project: str, name: str) -> None:
    if taken := find_named(tx, project, name):
        raise Conflict(
            f"Project {project} has a label {taken.name} already.", code="already_exists"
        )


def from_row(row: Any) -> Label:
    fields = row._asdict()
    del fields["name_folded"]
    return Label.model_validate(fields)


def named(tx: ReadTx, project: str, name: str) -> Label:
    """The project's label of this name. Raises NotFound."""
    label = find_named(tx, project, name)
    if label is None:
        raise NotFound(f"Project {project} has no label {name}.")
    return label
