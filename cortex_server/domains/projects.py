"""Projects: one board each, with its columns."""

from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, insert, select, update

from cortex_server.db.schema import project_counters, projects, settings, teams, tokens
from cortex_server.db.schema import tickets as ticket_table
from cortex_server.domains import attempt_rows, pages, ticket_words, tickets
from cortex_server.domains.pages import Listing
from cortex_server.domains.project_rows import find, from_row, get
from cortex_server.domains.rows import bump, check_revision, differences, let_others_run
from cortex_server.errors import Conflict, Invalid
from cortex_server.events.objects import Project
from cortex_server.events.payloads import Keyed
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

__all__ = ["create", "delete", "find", "get", "listing", "patch"]

_DELETED_AT_ONCE = 200
DEFAULT_COLUMNS = (
    {"name": "backlog", "title": "Backlog", "wip_limit": None},
    {"name": "progress", "title": "In progress", "wip_limit": None},
    {"name": "review", "title": "Review", "wip_limit": None},
    {"name": "done", "title": "Done", "wip_limit": None},
)


def listing(
    tx: ReadTx, readable: frozenset[str] | None, limit: int, cursor: str | None
) -> Listing[Project]:
    """Projects by key. readable: only these keys; None means all."""
    query = select(projects).order_by(projects.c.key).limit(limit + 1)
    if readable is not None:
        query = query.where(projects.c.key.in_(sorted(readable)))
    if after := pages.decode(cursor, str):
        query = query.where(projects.c.key > after[0])
    rows = tx.conn.execute(query).all()
    return pages.page(rows, limit, from_row, lambda row: pages.encode(row.key))


def create(tx: WriteTx, fields: dict[str, Any]) -> Project:
    """Raises Conflict when the key is taken. Ticket numbers of a key that was used before go on."""
    key = fields["key"]
    if find(tx, key):
        raise Conflict(f"There is a project {key} already.", code="already_exists")
    values = {
        "team": None, "repo_path": None, "default_branch": "main", **fields,
        "id": new_id(), "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    values["columns"] = _checked_columns(fields.get("columns") or list(DEFAULT_COLUMNS))
    values["team"] = _team_key(tx, values["team"])
    tx.conn.execute(insert(projects).values(values))
    counter = project_counters.c.key == key.lower()
    if tx.conn.execute(select(project_counters).where(counter)).one_or_none() is None:
        tx.conn.execute(insert(project_counters).values(key=key.lower(), seq=0, tickets=0))
    project = get(tx, key)
    tx.emit("project.created", project, project=project.key)
    return project


def patch(tx: WriteTx, project: Project, changes: dict[str, Any], revision: int | None) -> Project:
    """Change fields or columns. Tickets of a removed column go to `move_tickets_to`.

    Raises Conflict (column_in_use) when a removed column holds tickets and that is not given.
    """
    check_revision(f"Project {project.key}", project, revision)
    changes = dict(changes)
    target = changes.pop("move_tickets_to", None)
    if "columns" in changes:
        changes["columns"] = _checked_columns(changes["columns"])
    if "team" in changes:
        changes["team"] = _team_key(tx, changes["team"])
    changed = differences(project.model_copy(update={"columns": _plain_columns(project)}), changes)
    if not changed:
        return project
    if "columns" in changed:
        kept = [column["name"] for column in changed["columns"]]
        _check_target(kept, target)
        gone = [column.name for column in project.columns if column.name not in kept]
        tickets.leave_columns(tx, project, gone, target)
    bump(tx, projects, project.key, project, changed)
    updated = get(tx, project.key)
    tx.emit("project.updated", updated, project=updated.key)
    return updated


def delete(tx: WriteTx, project: Project, revision: int | None) -> None:
    """Delete the project with all that is in it. Its log stays until it is pruned.

    Raises Conflict (attempt_active) while an attempt is at work or waits in the queue.
    """
    check_revision(f"Project {project.key}", project, revision)
    attempt_rows.check_none_active_in(tx, project.key)
    tx.emit("project.deleted", Keyed(id=project.id, key=project.key), project=project.key)
    tx.conn.execute(sql_delete(settings).where(settings.c.scope == project.key))
    _forget_in_tokens(tx, project.key)
    _delete_tickets(tx, project.key)
    tx.conn.execute(sql_delete(projects).where(projects.c.key == project.key))


def _delete_tickets(tx: WriteTx, key: str) -> None:
    """Delete them with all that is on them, some at a time: readers need not wait for the end."""
    ticket_words.forget_project(tx, key)
    some = select(ticket_table.c.key).where(ticket_table.c.project == key).limit(_DELETED_AT_ONCE)
    while tx.conn.execute(sql_delete(ticket_table).where(ticket_table.c.key.in_(some))).rowcount:
        let_others_run()


def _forget_in_tokens(tx: WriteTx, key: str) -> None:
    """A token for this project must not open another one that gets the same key later."""
    scoped = select(tokens.c.id, tokens.c.projects).where(tokens.c.projects.is_not(None))
    for token_id, keys in tx.conn.execute(scoped).all():
        if key in keys:
            rest = [other for other in keys if other != key]
            tx.conn.execute(update(tokens).where(tokens.c.id == token_id).values(projects=rest))


def _check_target(kept: list[str], target: str | None) -> None:
    if target is not None and target not in kept:
        raise Invalid.field(
            "move_tickets_to", f"name one of the columns that stay: {', '.join(kept)}"
        )


def _checked_columns(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [
        {"name": c["name"], "title": c.get("title") or c["name"], "wip_limit": c.get("wip_limit")}
        for c in columns
    ]
    names = [column["name"] for column in plain]
    if not names:
        raise Invalid.field("columns", "a project needs at least one column")
    if len(set(names)) != len(names):
        raise Invalid.field("columns", "each name may stand only once")
    return plain


def _plain_columns(project: Project) -> list[dict[str, Any]]:
    return [column.model_dump() for column in project.columns]


def _team_key(tx: WriteTx, key: str | None) -> str | None:
    """The team's key as written. Raises Invalid when there is no such team."""
    if key is None:
        return None
    found = tx.conn.scalar(select(teams.c.key).where(func.lower(teams.c.key) == key.lower()))
    if found is None:
        raise Invalid.field("team", f"there is no team {key}")
    return str(found)
