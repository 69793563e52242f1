"""The epoch, kept beside the database file too, so that a file put back by hand is noticed.

`<database>.epoch` holds {"epoch", "head"}: the highest head that was seen. A database whose head
is lower, or that is not the one the file speaks of, has another history than its clients know:
its positions would be given a second time. So it gets a new epoch, and every client one reset.

What it cannot see: a copy put back that misses only events of the last second before a crash.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine, update

from cortex_server import ids
from cortex_server.db.engine import WRITES
from cortex_server.db.files import write_private
from cortex_server.db.schema import log_state

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Seen:
    epoch: str
    head: int


def check(engine: Engine, path: Path | None) -> str:
    """Return the epoch, after renewing it if the database does not continue what was seen.

    path: the SQLite file; None on PostgreSQL, where nobody swaps files. Call it at the start,
    holding the lock of the database.
    """
    with engine.connect() as conn:
        found = Seen(*conn.execute(log_state.select()).one()[1:3])
    if path is None:
        return found.epoch
    seen = remembered(path)
    # A database without its file was copied here, or is new: then nobody knows a position yet.
    continues = found.head == 0 if seen is None else _continues(found, seen)
    if not continues:
        _log.warning("epoch_renewed", database=str(path), head=found.head, seen=seen and seen.head)
        found = Seen(_renew(engine), found.head)
    # After the commit: a crash in between only renews it once more.
    _write(path, found)
    return found.epoch


def note(path: Path | None, epoch: str, head: int) -> None:
    """Remember the head. Writes only when it rose; call it each second and at shutdown."""
    if path is None:
        return
    seen = remembered(path)
    if seen is None or seen.epoch != epoch or seen.head < head:
        _write(path, Seen(epoch, head))


def record(path: Path | None, epoch: str, head: int) -> None:
    """Remember an epoch that was given on purpose, by a restore or a copy."""
    if path is not None:
        _write(path, Seen(epoch, head))


def _continues(found: Seen, seen: Seen) -> bool:
    return found.epoch == seen.epoch and found.head >= seen.head


def _renew(engine: Engine) -> str:
    epoch = ids.new_epoch()
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        conn.execute(update(log_state).values(epoch=epoch))
    return epoch


def file_of(path: Path) -> Path:
    """The file beside the database."""
    return path.with_name(f"{path.name}.epoch")


def remembered(path: Path) -> Seen | None:
    """What was seen; None when there is no file, or one that cannot be understood."""
    try:
        fields = json.loads(file_of(path).read_text(encoding="utf-8"))
        return Seen(str(fields["epoch"]), int(fields["head"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, seen: Seen) -> None:
    write_private(file_of(path), json.dumps({"epoch": seen.epoch, "head": seen.head}) + "\n")
