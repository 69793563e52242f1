"""Review requests: somebody is to look at a ticket's work."""

from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select

from cortex_server.db.schema import reviews
from cortex_server.db.statements import Statement
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import as_said
from cortex_server.domains.rows import actor, actor_columns, bump, check_revision, differences
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.objects import Review, Ticket
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

OPEN_MAX = 20  # of a ticket: every state of a board holds all of them, with what they say
_OPEN_OF = Statement(
    select(func.count())
    .select_from(reviews)
    .where(reviews.c.ticket == bindparam("ticket"), reviews.c.state == "requested")
)


def get(tx: ReadTx, review_id: str) -> Review:
    row = tx.conn.execute(select(reviews).where(reviews.c.id == review_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no review request {review_id}.")
    return _review(row)


def listing(
    tx: ReadTx,
    readable: frozenset[str] | None,
    project: str | None = None,
    ticket: str | None = None,
    state: str | None = None,
    *,
    limit: int,
    cursor: str | None,
) -> Listing[Review]:
    """Review requests, oldest first. readable: only of these projects; other None: any."""
    query = select(reviews)
    wanted = {"project": project, "ticket": ticket, "state": state}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(reviews.c[name] == value)
    if after := pages.decode(cursor, str):
        query = query.where(reviews.c.id > after[0])
    order = (reviews.c.id,)
    if readable is None:
        ordered = query.order_by(*order).limit(limit + 1)
    else:
        ordered = pages.of_projects(query, reviews.c.project, readable, order, limit + 1)
    rows = tx.conn.execute(ordered).all()
    return pages.page(rows, limit, _review, lambda row: pages.encode(row.id))


def open_of_project(tx: ReadTx, project: str) -> list[Review]:
    """The project's review requests that wait for an answer, oldest first."""
    where = (reviews.c.project == project) & (reviews.c.state == "requested")
    rows = tx.conn.execute(select(reviews).where(where).order_by(reviews.c.id))
    return [_review(row) for row in rows]


def request(tx: WriteTx, ticket: Ticket, fields: dict[str, Any]) -> Review:
    """Ask for a review of a branch, of a commit, or of neither.

    Raises Invalid for both, Conflict (too_many_reviews) where too many wait for an answer.
    """
    if fields.get("branch") is not None and fields.get("commit") is not None:
        raise Invalid.field("commit", "name a branch or a commit, not both")
    _check_room(tx, ticket.key)
    values = {
        "id": new_id(), "project": ticket.project, "ticket": ticket.key,
        "repo_path": fields.get("repo_path"), "branch": fields.get("branch"),
        "commit": fields.get("commit"), "summary": as_said(tx.actor, fields["summary"]),
        "state": "requested", "note": None,
        **actor_columns("requested_by", tx.actor), **actor_columns("resolved_by", None),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    tx.conn.execute(insert(reviews).values(values))
    review = get(tx, str(values["id"]))
    tx.emit("review.requested", review, review.project, review.ticket)
    return review


def patch(tx: WriteTx, review: Review, changes: dict[str, Any], revision: int | None) -> Review:
    """Answer it, reopen it, or change the note; each of them is a review.resolved.

    Who changes the state is `resolved_by`; a reopened one has nobody. Raises Conflict as `request`.
    """
    check_revision(f"Review request {review.id}", review, revision)
    if changes.get("note") is not None:
        changes = {**changes, "note": as_said(tx.actor, changes["note"])}
    changed = differences(review, changes)
    if not changed:
        return review
    if changed.get("state") == "requested":
        _check_room(tx, review.ticket)
    if "state" in changed:
        resolver = None if changed["state"] == "requested" else tx.actor
        changed |= actor_columns("resolved_by", resolver)
    bump(tx, reviews, review.id, review, changed)
    updated = get(tx, review.id)
    tx.emit("review.resolved", updated, updated.project, updated.ticket)
    return updated


def _check_room(tx: ReadTx, ticket: str) -> None:
    if _OPEN_OF.scalar(tx.conn, ticket=ticket) >= OPEN_MAX:
        raise Conflict(
            f"{OPEN_MAX} review requests on {ticket} wait for an answer; answer one first.",
            code="too_many_reviews",
        )


def _review(row: Row[Any]) -> Review:
    actors = {name: actor(row, name) for name in ("requested_by", "resolved_by")}
    split = {f"{name}_{part}" for name in actors for part in ("kind", "name")}
    fields = {name: value for name, value in row._asdict().items() if name not in split}
    return Review.model_validate({**fields, **actors})
