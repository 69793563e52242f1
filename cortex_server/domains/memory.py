"""Memory: what a project's agents are to know, Markdown by name."""

from typing import Any

from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy import delete as sql_delete

from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import memories
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import as_said
from cortex_server.domains.rows import actor, actor_columns, check_revision
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.objects import Project
from cortex_server.events.payloads import ChangedMemory
from cortex_server.events.work import Change, Memory
from cortex_server.store import ReadTx, WriteTx

MOST = 500  # of a project: an agent may read all of it
_NAMED = and_(memories.c.project == bindparam("in_project"), memories.c.name == bindparam("named"))
_ONE = Statement(select(memories).where(_NAMED))


def get(tx: ReadTx, project: Project, name: str) -> Memory:
    found = find(tx, project, name)
    if found is None:
        raise NotFound(f"There is no memory {name} in {project.key}; `cortex memory list` shows.")
    return found


def find(tx: ReadTx, project: Project, name: str) -> Memory | None:
    row = _ONE.one_or_none(tx.conn, in_project=project.key, named=name)
    return None if row is None else _memory(row)


def listing(
    tx: ReadTx, project: Project, prefix: str | None, limit: int, cursor: str | None
) -> Listing[Memory]:
    """The project's memory by name. prefix: only names that begin so."""
    query = select(memories).where(memories.c.project == project.key)
    if prefix:
        # not LIKE: on SQLite that takes capitals for small letters
        begins = func.substr(memories.c.name, 1, len(prefix)) == prefix
        query = query.where(memories.c.name >= prefix, begins)
    if after := pages.decode(cursor, str):
        query = query.where(memories.c.name > after[0])
    rows = tx.conn.execute(query.order_by(memories.c.name).limit(limit + 1)).all()
    return pages.page(rows, limit, _memory, lambda row: pages.encode(row.name))


def put(
    tx: WriteTx, project: Project, name: str, body: str, revision: int | None
) -> tuple[Memory, bool]:
    """Create it, or replace its text. Returns it, and whether it is new.

    revision: the one that the text replaces. Raises NotFound when a revision is named and there is
    none to replace, Conflict (memory_full) when the project has too many.
    """
    body = as_said(tx.actor, body)
    before = find(tx, project, name) if revision is None else get(tx, project, name)
    if before is None:
        return _create(tx, project, name, body), True
    check_revision(f"Memory {name}", before, revision)
    if before.body == body:
        return before, False
    values = {
        "body": body, "revision": before.revision + 1, "updated_at": tx.now,
        **actor_columns("author", tx.actor),
    }  # fmt: skip
    tx.conn.execute(update(memories).where(*_is(before)).values(values))
    return _told(tx, get(tx, project, name), "updated"), False


def delete(tx: WriteTx, memory: Memory, revision: int | None) -> None:
    check_revision(f"Memory {memory.name}", memory, revision)
    tx.conn.execute(sql_delete(memories).where(*_is(memory)))
    _told(tx, memory, "deleted")


def _create(tx: WriteTx, project: Project, name: str, body: str) -> Memory:
    count = select(func.count()).where(memories.c.project == project.key)
    if (tx.conn.scalar(count) or 0) >= MOST:
        raise Conflict(
            f"The memory of {project.key} holds {MOST} texts; delete one first.",
            code="memory_full",
        )
    insertion(memories).run(
        tx.conn, project=project.key, name=name, body=body, revision=1,
        created_at=tx.now, updated_at=tx.now, **actor_columns("author", tx.actor),
    )  # fmt: skip
    return _told(tx, get(tx, project, name), "created")


def _told(tx: WriteTx, memory: Memory, change: Change) -> Memory:
    payload = ChangedMemory.model_construct(**dict(memory), change=change)
    tx.emit("memory.changed", payload, memory.project)
    return memory


def _is(memory: Memory) -> tuple[Any, Any]:
    return memories.c.project == memory.project, memories.c.name == memory.name


def _memory(row: Any) -> Memory:
    fields = row._asdict()
    del fields["author_kind"], fields["author_name"]
    return Memory.model_validate({**fields, "author": actor(row, "author")})
