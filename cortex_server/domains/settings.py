"""Settings that people change while the server runs: of the server, and of each project.

Every setting is declared here; nothing else can be stored. What is not set has its default.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import bindparam, insert, select, update

from cortex_server.config import Config
from cortex_server.db.schema import settings
from cortex_server.db.statements import Statement
from cortex_server.domains import project_rows
from cortex_server.domains.rows import check_revision
from cortex_server.errors import Invalid
from cortex_server.events.objects import Priority, Project, Settings, TicketType
from cortex_server.store import ReadTx, WriteTx

Scope = Literal["global", "project"]
_OF = Statement(select(settings).where(settings.c.scope == bindparam("scope")))


@dataclass(frozen=True)
class Known:
    """A declared setting. check: returns what is wrong with a value, or None."""

    name: str
    scope: Scope
    default: Any
    meaning: str
    check: Callable[[Any], str | None]


def _days(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    valid = number and math.isfinite(value) and 0 < value <= 36_500
    return None if valid else "must be a number of days above 0, at most 36500"


def _count(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    valid = whole and 1 <= value <= 1_000_000_000
    return None if valid else "must be a whole number from 1 to 1000000000"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _one_of(kind: Any) -> Callable[[Any], str | None]:
    names = get_args(kind)
    return lambda value: None if value in names else f"must be one of {', '.join(names)}"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "must be a text"


KNOWN = (
    Known(
        "log_retention_days", "global", 90.0,
        "Events older than this leave the log. Default: CORTEX_LOG_RETENTION_DAYS.", _days,
    ),
    Known(
        "log_retention_events", "global", 10_000_000,
        "The log keeps at most this many events. Default: CORTEX_LOG_RETENTION_EVENTS.", _count,
    ),
    Known(
        "default_type", "project", "work",
        "The type of a new ticket that names none.", _one_of(TicketType),
    ),
    Known(
        "default_priority", "project", "none",
        "The priority of a new ticket that names none.", _one_of(Priority),
    ),
    Known(
        "done_column", "project", None,
        "The column whose arrivals count as done. null: the last one.", _text,
    ),
    Known(
        "attempts_parallel", "project", 4,
        "At most this many attempts run at a time.", _count,
    ),
    Known(
        "started_moves_to", "project", "progress",
        'The column that a ticket enters when an attempt on it starts. "": it stays.', _text,
    ),
    Known(
        "succeeded_moves_to", "project", "review",
        'The column that it enters when an attempt succeeds. "": it stays.', _text,
    ),
    Known(
        "merged_moves_to", "project", "done",
        'The column that it enters when the pull request is merged. "": it stays.', _text,
    ),
    Known(
        "commit_uncommitted", "project", True,
        "What an agent leaves uncommitted is committed to the attempt's branch.", _flag,
    ),
    Known(
        "push", "project", True,
        "The branch of an attempt that succeeds is pushed, if there is a remote.", _flag,
    ),
    Known(
        "open_pr", "project", True,
        "A pull request is opened for a branch that was pushed.", _flag,
    ),
    Known(
        "session_silent_s", "project", 300,
        "A session that says nothing for so many seconds is marked stale.", _count,
    ),
    Known(
        "agents_write_memory", "project", False,
        "The token of an attempt may write the project's memory, too.", _flag,
    ),
)  # fmt: skip


def get(tx: ReadTx, project_key: str | None, config: Config | None = None) -> Settings:
    """The settings of a project, or of the server (None), complete with the defaults.

    config: where the server's defaults come from. Raises NotFound when there is no such project.
    """
    project = None if project_key is None else project_rows.get(tx, project_key)
    stored, revision = _stored(tx, project)
    return _settings(project, stored, revision, config)


def patch(
    tx: WriteTx,
    project_key: str | None,
    values: Mapping[str, Any],
    revision: int | None,
    config: Config | None = None,
) -> Settings:
    """Set some settings; null puts one back to its default.

    Raises Invalid for one that does not exist or a value that it does not take.
    """
    project = None if project_key is None else project_rows.get(tx, project_key)
    stored, current = _stored(tx, project)
    before = _settings(project, stored, current, config)
    what = f"The settings of {project.key}" if project else "The settings of the server"
    check_revision(what, before, revision)
    _check(project, values)
    wanted = {name: value for name, value in {**stored, **values}.items() if value is not None}
    if wanted == stored:
        return before
    _store(tx, project, wanted, current)
    after = get(tx, project_key, config)
    tx.emit("settings.updated", after, after.project)
    return after


def project_values(tx: ReadTx, project: Project) -> dict[str, Any]:
    """The project's settings as they count: complete, and done_column is one that exists."""
    values = dict(_settings(project, _stored(tx, project)[0], 1, None).values)
    values["done_column"] = values["done_column"] or project.columns[-1].name
    return values


def global_values(tx: ReadTx, config: Config) -> dict[str, Any]:
    """The server's settings as they count."""
    return get(tx, None, config).values


def _settings(
    project: Project | None, stored: dict[str, Any], revision: int, config: Config | None
) -> Settings:
    scope: Scope = "project" if project else "global"
    values = {
        known.name: stored.get(known.name, _default(known, config))
        for known in KNOWN
        if known.scope == scope
    }
    columns = [column.name for column in project.columns] if project else []
    if project and values["done_column"] not in columns:
        values["done_column"] = None  # the column was removed: back to the default
    key = project.key if project else None
    return Settings(scope=scope, project=key, values=values, revision=revision)


def _default(known: Known, config: Config | None) -> Any:
    """What the configuration says where it speaks of the setting, else what is declared."""
    return getattr(config, known.name, known.default)


def _check(project: Project | None, values: Mapping[str, Any]) -> None:
    """Raises Invalid, which names every value that is refused."""
    scope: Scope = "project" if project else "global"
    known = {setting.name: setting for setting in KNOWN if setting.scope == scope}
    columns = [column.name for column in project.columns] if project else []
    errors = []
    for name, value in values.items():
        problem = None
        if name not in known:
            problem = f"is not a setting of this scope; there are {', '.join(known)}"
        elif value is not None:
            problem = known[name].check(value)
            if name == "done_column" and problem is None and value not in columns:
                problem = f"must be one of the columns {', '.join(columns)}"
        if problem:
            errors.append({"field": f"values.{name}", "message": problem})
    if errors:
        first = errors[0]
        raise Invalid(f"{first['field']}: {first['message']}", errors=errors)


def _stored(tx: ReadTx, project: Project | None) -> tuple[dict[str, Any], int]:
    """What was set, and the revision; 1 before anything was."""
    row = _OF.one_or_none(tx.conn, scope=project.key if project else "")
    return ({}, 1) if row is None else (dict(row.values), row.revision)


def _store(tx: WriteTx, project: Project | None, values: dict[str, Any], current: int) -> None:
    scope = project.key if project else ""
    stamped = {"values": values, "revision": current + 1}
    changed = tx.conn.execute(update(settings).where(settings.c.scope == scope).values(stamped))
    if changed.rowcount == 0:
        tx.conn.execute(insert(settings).values(scope=scope, **stamped))
