"""Databases with rows in every table, full of what is hard to copy, and their content."""

from typing import Any

from sqlalchemy import JSON, Boolean, Engine, Integer, Table, insert, select, text

from cortex_server.db.engine import WRITES, is_sqlite, make_engine
from cortex_server.db.schema import metadata

ROWS = 3
EPOCH = "0123abcd"
_TEXTS = (
    "",
    "\\N \\. \\\\ \t tab, \r\n lines \x01 \x7f",
    "Grüße ☃ 𝔘 \u202e \u2028 e\u0301 ' \" % $1 %s",
)
_VALUES = (
    {"a": [1, 1.5, -0.0, None, True, 2**53 + 1], "ü": "\u2028 𝔘 \u0000 \\N", "": {}},
    [],
    "null",
)
_LOG = ("log_state", "project_counters", "events")


def fill(engine: Engine) -> None:
    """Put three rows into every table; the log and its counters agree, as `check` wants them."""
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        if is_sqlite(conn):
            conn.execute(text("PRAGMA defer_foreign_keys=ON"))
        for table in metadata.sorted_tables:
            if table.name not in _LOG:
                rows = [_row(table, number) for number in range(ROWS)]
                # Where it is allowed, a child before its parent.
                conn.execute(insert(table), rows[::-1] if is_sqlite(conn) else rows)
        tables = metadata.tables
        conn.execute(tables["log_state"].update().values(epoch=EPOCH, head=ROWS, floor=0))
        first = 2**40
        counters = [
            {"key": _text("projects", "key", n).lower(), "seq": first + n, "tickets": 2**31 - 1}
            for n in range(ROWS)
        ]
        conn.execute(insert(tables["project_counters"]), counters)
        events = [
            {**_row(tables["events"], n), "position": n + 1, "seq": first + n,
             "project": _text("projects", "key", n)}
            for n in range(ROWS)
        ]  # fmt: skip
        conn.execute(insert(tables["events"]), events)


def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table, in an order that does not depend on the database."""
    engine = make_engine(url)
    try:
        with engine.connect() as conn:
            return {
                table.name: sorted(map(tuple, conn.execute(select(table))), key=repr)
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(table, column, number) for column in table.columns}


def _value(table: Table, column: Any, number: int) -> Any:
    reference = next(iter(column.foreign_keys), None)
    if reference is not None:
        parent = reference.column.table
        if parent is table:  # each the child of the one before
            return _text(table.name, "id", number - 1) if number else None
        if column.nullable and not number:
            return None
        return _value(parent, reference.column, number)
    if column.nullable and not number:
        return None
    if isinstance(column.type, JSON):
        return _VALUES[number]
    if isinstance(column.type, Boolean):
        return bool(number % 2)
    if isinstance(column.type, Integer):
        return (0, 1, 2**31 - 1)[number]
    return _text(table.name, column.name, number)


def _text(table: str, column: str, number: int) -> str:
    return f"{table} {column} {number} {_TEXTS[number]}"
