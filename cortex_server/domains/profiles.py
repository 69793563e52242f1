"""Profiles: named sets of options for an agent."""

from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy import delete as sql_delete

from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempts, profiles
from cortex_server.domains import pages, project_rows
from cortex_server.domains.pages import Listing
from cortex_server.domains.rows import bump, check_revision, differences
from cortex_server.errors import Conflict, Invalid, NotFound
from cortex_server.events.payloads import ChangedProfile
from cortex_server.events.work import Change, Profile, ProfileOptions
from cortex_server.ids import new_id
from cortex_server.store import ReadTx, WriteTx

_BY_NAME = Statement(select(profiles).where(profiles.c.name == bindparam("ref")))
_BY_ID = Statement(select(profiles).where(profiles.c.id == bindparam("ref")))
_NAMED = Statement(
    select(attempts.c.ticket)
    .where(attempts.c.status == "queued", attempts.c.profile == bindparam("name"))
    .limit(1)
)


def get(tx: ReadTx, ref: str) -> Profile:
    profile = find(tx, ref)
    if profile is None:
        raise NotFound(f"There is no profile {ref}; `cortex profile list` shows them.")
    return profile


def find(tx: ReadTx, ref: str) -> Profile | None:
    """The profile of this name, or of this id."""
    row = _BY_NAME.one_or_none(tx.conn, ref=ref) or _BY_ID.one_or_none(tx.conn, ref=ref.lower())
    return None if row is None else _profile(row)


def listing(
    tx: ReadTx, readable: frozenset[str] | None, limit: int, cursor: str | None
) -> Listing[Profile]:
    """Profiles by name: those for all projects, and of the projects that are readable."""
    query = select(profiles).order_by(profiles.c.name).limit(limit + 1)
    if readable is not None:
        ours = profiles.c.project.in_(sorted(readable))
        query = query.where(or_(profiles.c.project.is_(None), ours))
    if after := pages.decode(cursor, str):
        query = query.where(profiles.c.name > after[0])
    rows = tx.conn.execute(query).all()
    return pages.page(rows, limit, _profile, lambda row: pages.encode(row.name))


def create(tx: WriteTx, fields: dict[str, Any]) -> Profile:
    """Create a profile. fields: name, agent, and maybe project (a key) and options.

    The agent need not be known yet. Raises Conflict (already_exists), Invalid for a project that
    does not exist.
    """
    _check_free(tx, fields["name"])
    values = {
        "id": new_id(), "name": fields["name"], "agent": fields["agent"],
        "project": _project_key(tx, fields.get("project")),
        "options": _options(None, fields.get("options", {})),
        "revision": 1, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    insertion(profiles).run(tx.conn, **values)
    return _tell(tx, get(tx, values["id"]), "created")


def patch(tx: WriteTx, profile: Profile, changes: dict[str, Any], revision: int | None) -> Profile:
    """Change name, agent or some of the options; those that are not named stay.

    Raises Conflict already_exists, and profile_used for another name or agent while an attempt in
    the queue names it.
    """
    check_revision(f"Profile {profile.name}", profile, revision)
    wanted = dict(changes)
    if "options" in wanted:
        wanted["options"] = ProfileOptions.model_validate(
            _options(profile.options, wanted["options"])
        )
    changed = differences(profile, wanted)
    if not changed:
        return profile
    if changed.keys() & {"name", "agent"}:
        _check_unused(tx, profile)
    if "name" in changed:
        _check_free(tx, changed["name"])
    if "options" in changed:
        changed["options"] = changed["options"].model_dump()
    bump(tx, profiles, profile.id, profile, changed)
    return _tell(tx, get(tx, profile.id), "updated")


def delete(tx: WriteTx, profile: Profile, revision: int | None) -> None:
    """Delete a profile; attempts that run with it go on. Raises Conflict (profile_used)."""
    check_revision(f"Profile {profile.name}", profile, revision)
    _check_unused(tx, profile)
    tx.conn.execute(sql_delete(profiles).where(profiles.c.id == profile.id))
    _tell(tx, profile, "deleted")


def _tell(tx: WriteTx, profile: Profile, change: Change) -> Profile:
    told = ChangedProfile.model_construct(**dict(profile), change=change)
    tx.emit("agent.profile", told, profile.project)
    return profile


def _check_free(tx: WriteTx, name: str) -> None:
    if _BY_NAME.one_or_none(tx.conn, ref=name) is not None:
        raise Conflict(f"There is a profile {name} already.", code="already_exists")


def _check_unused(tx: WriteTx, profile: Profile) -> None:
    ticket = _NAMED.scalar(tx.conn, name=profile.name)
    if ticket is not None:
        raise Conflict(
            f"An attempt on {ticket}, which waits in the queue, names the profile {profile.name}; "
            "stop it first.",
            code="profile_used",
        )


def _project_key(tx: ReadTx, key: str | None) -> str | None:
    if key is None:
        return None
    project = project_rows.find(tx, key)
    if project is None:
        raise Invalid.field("project", f"there is no project {key}")
    return project.key


def _options(before: ProfileOptions | None, changes: dict[str, Any]) -> dict[str, Any]:
    """All options: those before, or none, with what is changed."""
    empty: dict[str, Any] = {"model": None, "prompt": None, "args": [], "env": []}
    return {**(before.model_dump() if before else empty), **changes}


def _profile(row: Any) -> Profile:
    return Profile.model_validate(row._asdict())
