"""Comments on tickets."""

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy import delete as sql_delete

from cortex_server.db.schema import comments
from cortex_server.db.statements import Statement, insertion
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import as_said
from cortex_server.domains.rows import actor, actor_columns, bump, check_revision, differences
from cortex_server.errors import NotFound
from cortex_server.events.objects import Comment, Ticket
from cortex_server.events.payloads import DeletedComment
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

_BY_ID = Statement(select(comments).where(comments.c.id == bindparam("id")))


def get(tx: ReadTx, comment_id: str) -> Comment:
    row = _BY_ID.one_or_none(tx.conn, id=comment_id)
    if row is None:
        raise NotFound(f"There is no comment {comment_id}.")
    return _comment(row)


def listing(tx: ReadTx, ticket_key: str, limit: int, cursor: str | None) -> Listing[Comment]:
    """The ticket's comments, oldest first."""
    query = select(comments).where(comments.c.ticket == ticket_key)
    if after := pages.decode(cursor, str):
        query = query.where(comments.c.id > after[0])
    rows = tx.conn.execute(query.order_by(comments.c.id).limit(limit + 1)).all()
    return pages.page(rows, limit, _comment, lambda row: pages.encode(row.id))


def add(tx: WriteTx, ticket: Ticket, fields: dict[str, Any]) -> Comment:
    """Add a comment in the name of the transaction's actor."""
    values = {
        "id": new_id(), "project": ticket.project, "ticket": ticket.key,
        "type": fields.get("type", "comment"), "body": as_said(tx.actor, fields["body"]),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(comments).run(tx.conn, **values, **actor_columns("author", tx.actor))
    comment = Comment.model_validate({**values, "author": tx.actor})
    tx.emit("comment.added", comment, comment.project, comment.ticket)
    return comment


def patch(tx: WriteTx, comment: Comment, changes: dict[str, Any], revision: int | None) -> Comment:
    """Change body or type; the author stays."""
    check_revision(f"Comment {comment.id}", comment, revision)
    if "body" in changes:
        changes = {**changes, "body": as_said(tx.actor, changes["body"])}
    changed = differences(comment, changes)
    if not changed:
        return comment
    bump(tx, comments, comment.id, comment, changed)
    updated = get(tx, comment.id)
    tx.emit("comment.updated", updated, updated.project, updated.ticket)
    return updated


def delete(tx: WriteTx, comment: Comment, revision: int | None) -> None:
    check_revision(f"Comment {comment.id}", comment, revision)
    tx.conn.execute(sql_delete(comments).where(comments.c.id == comment.id))
    gone = DeletedComment(id=comment.id, ticket=comment.ticket)
    tx.emit("comment.deleted", gone, comment.project, comment.ticket)


def _comment(row: Any) -> Comment:
    fields = row._asdict()
    del fields["author_kind"], fields["author_name"]
    return Comment.model_validate({**fields, "author": actor(row, "author")})
