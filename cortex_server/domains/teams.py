"""Teams own projects."""

from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy import delete as sql_delete

from cortex_server.db.schema import projects as project_table
from cortex_server.db.schema import teams
from cortex_server.domains import pages, projects
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import bump, check_revision, differences
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.objects import Team
from cortex_server.events.payloads import Keyed
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx


def find(tx: ReadTx, key: str) -> Team | None:
    row = tx.conn.execute(select(teams).where(func.lower(teams.c.key) == key.lower())).one_or_none()
    return None if row is None else _team(row)


def get(tx: ReadTx, key: str) -> Team:
    team = find(tx, key)
    if team is None:
        raise NotFound(f"There is no team {key}; `cortex team list` shows them.")
    return team


def listing(tx: ReadTx, limit: int, cursor: str | None) -> Listing[Team]:
    """Teams by key."""
    query = select(teams).order_by(teams.c.key).limit(limit + 1)
    if after := pages.decode(cursor, str):
        query = query.where(teams.c.key > after[0])
    return pages.page(tx.conn.execute(query).all(), limit, _team, lambda row: pages.encode(row.key))


def create(tx: WriteTx, fields: dict[str, Any]) -> Team:
    """Raises Conflict when the key is taken."""
    if find(tx, fields["key"]):
        raise Conflict(f"There is a team {fields['key']} already.", code="already_exists")
    values = {
        "color": None, **fields,
        "id": new_id(), "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    tx.conn.execute(insert(teams).values(values))
    team = get(tx, fields["key"])
    tx.emit("team.created", team)
    return team


def patch(tx: WriteTx, team: Team, changes: dict[str, Any], revision: int | None) -> Team:
    check_revision(f"Team {team.key}", team, revision)
    changed = differences(team, changes)
    if not changed:
        return team
    bump(tx, teams, team.key, team, changed)
    updated = get(tx, team.key)
    tx.emit("team.updated", updated)
    return updated


def delete(tx: WriteTx, team: Team, revision: int | None) -> None:
    """Its projects stay and belong to no team."""
    check_revision(f"Team {team.key}", team, revision)
    owned = select(project_table.c.key).where(project_table.c.team == team.key)
    for key in tx.conn.scalars(owned.order_by(project_table.c.key)).all():
        projects.patch(tx, projects.get(tx, key), {"team": None}, None)
    tx.conn.execute(sql_delete(teams).where(teams.c.key == team.key))
    tx.emit("team.deleted", Keyed(id=team.id, key=team.key))


def _team(row: Row[Any]) -> Team:
    return Team.model_validate(row._asdict())
