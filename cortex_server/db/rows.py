"""Rows from one database to another: in batches, exactly, and compared afterwards.

Both ends have the same revision. In between a row is the same whatever database it came from:
JSON is its text, byte for byte; a boolean is 0 or 1. What one end derives by itself (search
indexes, generated columns) is left out: it is made again from the rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, inspect

from cortex_server.db import schema
from cortex_server.db.engine import driver_of, is_sqlite
from cortex_server.db.migrate import DatabaseRefused
from cortex_server.db.place import Progress, told

_BATCH = 2_000  # rows that are held in memory, and that pass between two signs of progress
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class _Table:
    """columns: how each is read, in SQL, by its quoted name · quoted: the table's own name."""

    name: str
    quoted: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Sum:
    """What a table holds, whatever the order of its rows.

    checksum: the sum of Python's keyed hashes of the rows, so good within one process only.
    """

    rows: int
    checksum: int


def transfer(source: Connection, target: Connection, progress: Progress) -> int:
    """Replace every row of `target` by those of `source`; returns how many there are.

    Both are in transactions, which stay open. Each table is read back and compared.
    Raises DatabaseRefused for what the target cannot hold, and when the two differ.
    """
    pairs = _pairs(source, target)
    _empty(target, [into for _, into in pairs])
    total = sum(_count(source, table) for table, _ in pairs)
    done = 0
    for table, into in pairs:
        read = _Counted(_read(source, table), progress, done, total)
        with told(f"A row of the table {table.name} cannot be copied"):
            _write(target, into, read)
        done += read.rows
        written = _sum_of(target, into)
        if written != Sum(read.rows, read.checksum):
            raise DatabaseRefused(
                f"The table {table.name} is not the same after it was copied: {read.rows} rows "
                f"were read and {written.rows} written. Nothing was changed; check the disk."
            )
    return done


def _sum_of(conn: Connection, table: _Table) -> Sum:
    counted = _Counted(_read(conn, table))
    for _ in counted:
        pass
    return Sum(counted.rows, counted.checksum)


class _Counted:
    """Rows that are counted and summed up as they pass."""

    def __init__(
        self, rows: Iterator[tuple[Any, ...]], progress: Progress | None = None, done: int = 0,
        total: int = 0,
    ) -> None:  # fmt: skip
        self.rows = 0
        self.checksum = 0
        self._source, self._progress, self._done, self._total = rows, progress, done, total

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while batch := list(islice(self._source, _BATCH)):
            self.checksum = (self.checksum + sum(map(hash, batch))) & _MASK
            self.rows += len(batch)
            yield from batch
            if self._progress:
                self._progress("rows", self._done + self.rows, self._total)


def _pairs(source: Connection, target: Connection) -> list[tuple[_Table, _Table]]:
    """The tables as the two ends have them, those that others refer to first."""
    ours = {table.name: table for table in _found(source)}
    theirs = {table.name: table for table in _found(target)}
    if other := ours.keys() ^ theirs.keys():
        raise DatabaseRefused(f"Only one of the two databases has: {', '.join(sorted(other))}.")
    pairs = [(ours[name], table) for name, table in theirs.items()]
    return [(table, replace(into, columns=_same(table, into))) for table, into in pairs]


def _same(table: _Table, into: _Table) -> dict[str, str]:
    """The columns of `into` in the order of `table`."""
    if other := table.columns.keys() ^ into.columns.keys():
        raise DatabaseRefused(f"Only one of the two has in {table.name}: {', '.join(other)}.")
    return {name: into.columns[name] for name in table.columns}


def _found(conn: Connection) -> list[_Table]:
    """The tables of ours that are there, whatever the revision; none that is derived.

    Those that others refer to come first.
    """
    found = inspect(conn)
    left_out = {*_derived(conn), "alembic_version", None}
    quote = conn.dialect.identifier_preparer.quote_identifier
    tables = []
    for name, _ in found.get_sorted_table_and_fkc_names():
        if name in left_out or name is None:
            continue
        columns = [column for column in found.get_columns(name) if "computed" not in column]
        read = {quote(c["name"]): _as_read(conn, quote(c["name"]), c["type"]) for c in columns}
        tables.append(_Table(name, quote(name), read))
    return tables


def _derived(conn: Connection) -> set[str]:
    names = {table.name for table in schema.metadata.tables.values() if table.info.get("derived")}
    if is_sqlite(conn):
        # A virtual table and those that SQLite keeps for it: <name>_content, <name>_docsize, …
        virtual = conn.exec_driver_sql(
            "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
        ).scalars()
        every = inspect(conn).get_table_names()
        for name in virtual:
            names |= {other for other in every if other == name or other.startswith(f"{name}_")}
    else:
        # The parts of a partitioned table are read and written through it.
        names |= set(
            conn.exec_driver_sql("SELECT relname FROM pg_class WHERE relispartition").scalars()
        )
    return names


def _count(conn: Connection, table: _Table) -> int:
    statement = f"SELECT count(*) FROM {table.quoted}"  # noqa: S608
    return int(conn.exec_driver_sql(statement).scalar_one())


def _read(conn: Connection, table: _Table) -> Iterator[tuple[Any, ...]]:
    """Every row, a batch at a time in memory."""
    statement = f"SELECT {', '.join(table.columns.values())} FROM {table.quoted}"  # noqa: S608
    with told(f"The table {table.name} cannot be read"):
        if is_sqlite(conn):
            yield from driver_of(conn).execute(statement)
        else:
            with driver_of(conn).cursor(name="cortex_rows") as cursor:  # on the server's side
                cursor.itersize = _BATCH
                cursor.execute(statement)
                yield from cursor


def _as_read(conn: Connection, name: str, kind: Any) -> str:
    if is_sqlite(conn):
        return name
    if isinstance(kind, JSON):
        return f"CAST({name} AS text)"
    return f"CAST({name} AS integer)" if isinstance(kind, Boolean) else name


def _write(conn: Connection, table: _Table, rows: Iterable[tuple[Any, ...]]) -> None:
    into = f"{table.quoted} ({', '.join(table.columns)})"
    if is_sqlite(conn):
        places = ", ".join("?" * len(table.columns))
        driver_of(conn).executemany(f"INSERT INTO {into} VALUES ({places})", rows)  # noqa: S608
        return
    row: tuple[Any, ...] = ()
    try:
        with driver_of(conn).cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except Exception:
        if any(isinstance(value, str) and "\0" in value for value in row):
            raise DatabaseRefused(
                f"The row {row[0]!r} of the table {table.name} holds a NUL character, which "
                "PostgreSQL cannot store. Nothing was changed; edit that text first."
            ) from None
        raise


def _empty(conn: Connection, tables: list[_Table]) -> None:
    if is_sqlite(conn):
        # Until the commit, so that tables and rows can go and come in any order.
        driver_of(conn).execute("PRAGMA defer_foreign_keys=ON")
        for table in tables:
            conn.exec_driver_sql(f"DELETE FROM {table.quoted}")  # noqa: S608
    else:
        conn.exec_driver_sql(f"TRUNCATE {', '.join(table.quoted for table in tables)}")
