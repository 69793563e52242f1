"""Reading projects, and what tickets need of them."""

from typing import Any

from sqlalchemy import bindparam, func, select, update

from cortex_server.db.schema import project_counters, projects
from cortex_server.db.statements import Statement
from cortex_server.errors import Invalid, NotFound
from cortex_server.events.objects import Project
from cortex_server.store import ReadTx, WriteTx

_BY_KEY = Statement(select(projects).where(func.lower(projects.c.key) == bindparam("key")))
_COUNT_TICKET = Statement(
    update(project_counters)
    .where(project_counters.c.key == bindparam("project"))
    .values(tickets=project_counters.c.tickets + 1)
    .returning(project_counters.c.tickets)
)


def find(tx: ReadTx, key: str) -> Project | None:
    row = _BY_KEY.one_or_none(tx.conn, key=key.lower())
    return None if row is None else from_row(row)


def get(tx: ReadTx, key: str) -> Project:
    project = find(tx, key)
    if project is None:
        raise NotFound(f"There is no project {key}; `cortex project list` shows them.")
    return project


def check_column(project: Project, status: str) -> None:
    """Raises Invalid when the project has no such column."""
    names = [column.name for column in project.columns]
    if status not in names:
        raise Invalid.field("status", f"project {project.key} has the columns {', '.join(names)}")


def next_ticket_number(tx: WriteTx, project: Project) -> int:
    """Count one ticket; numbers are never used twice, also after the project was deleted."""
    return int(_COUNT_TICKET.one(tx.conn, project=project.key.lower()).tickets)


def from_row(row: Any) -> Project:
    return Project.model_validate(row._asdict())
