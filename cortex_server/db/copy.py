"""A database copied to another place, also from SQLite to PostgreSQL and back."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from cortex_server.db import seal
from cortex_server.db.alone import alone
from cortex_server.db.install import Installation, Installed
from cortex_server.db.migrate import DatabaseRefused
from cortex_server.db.place import Place, Progress
from cortex_server.db.snapshot import State


def copy(
    source: Place, target: Place, directory: Path, now: datetime, progress: Progress,
    renew: bool = False, replace: bool = False,
) -> Installed:  # fmt: skip
    """Copy every row, with the epoch and the positions, and seal the source.

    renew: the copy gets an epoch of its own instead, and the source goes on, also meanwhile.
    replace: the target may hold something, of which a backup is kept.
    Raises DatabaseRefused; then the target is as it was.
    """
    sealed = False

    def seal_source(copied: State) -> None:
        nonlocal sealed
        seal.seal(source, copied)
        sealed = True

    with ExitStack() as stack:
        if not renew:
            _refuse_a_sealed(source)
            stack.enter_context(alone(source))
        stack.enter_context(alone(target))
        last = _nothing if renew else seal_source
        whole = Installation(source, target, directory, now, progress, renew, replace, last)
        try:
            return whole.run()
        except Exception as error:
            if not sealed:
                raise
            # The very last step failed, so perhaps it was done: two of one epoch must not go on.
            raise DatabaseRefused(
                f"{error} {source} is sealed already: look whether {target} is complete, and give "
                "the one that you go on with an epoch of its own with `cortex db unseal`."
            ) from error


def _refuse_a_sealed(source: Place) -> None:
    if source.revision() is not None and source.is_sealed():
        raise DatabaseRefused(
            f"{source} was copied before and is sealed: its epoch goes on elsewhere. Copy that "
            "one, or give the new copy an epoch of its own with --renew-epoch."
        )


def _nothing(_state: State) -> None:
    pass
