"""Statements that are compiled once for each kind of database and run on the driver itself.

For what every request runs: building and compiling a statement anew costs twenty times what the
database needs for it. Write them as SQLAlchemy expressions with `bindparam`, at module level:

    _BY_KEY = Statement(select(teams).where(teams.c.key == bindparam("key")))
    row = _BY_KEY.one_or_none(tx.conn, key="core")

They run in the transaction of the connection that they are given.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Table, bindparam, insert, update
from sqlalchemy.sql.compiler import SQLCompiler

from cortex_server.db.engine import driver_of

_Convert = Callable[[Any], Any]


class Statement:
    """One statement. Rows are named tuples with the types of the columns.

    columns: of an INSERT, the ones that are given, when they are not all.
    """

    def __init__(self, expression: Executable, columns: Iterable[str] | None = None) -> None:
        self._expression = expression
        self._columns = None if columns is None else list(columns)
        self._prepared: dict[str, _Prepared] = {}

    def all(self, conn: Connection, **values: Any) -> list[Any]:
        prepared = self._for(conn)
        return prepared.rows(driver_of(conn).execute(prepared.sql, prepared.bind(values)))

    def one_or_none(self, conn: Connection, **values: Any) -> Any:
        """The only row, or None. The caller knows that there is at most one."""
        prepared = self._for(conn)
        row = driver_of(conn).execute(prepared.sql, prepared.bind(values)).fetchone()
        return None if row is None else prepared.row(row)

    def one(self, conn: Connection, **values: Any) -> Any:
        """The only row. Raises LookupError when there is none."""
        row = self.one_or_none(conn, **values)
        if row is None:
            raise LookupError(f"no row for {self._for(conn).sql}")
        return row

    def scalar(self, conn: Connection, **values: Any) -> Any:
        """The first column of the only row; None when there is no row."""
        row = self.one_or_none(conn, **values)
        return None if row is None else row[0]

    def run(self, conn: Connection, **values: Any) -> int:
        """Change rows. Returns how many."""
        prepared = self._for(conn)
        changed = driver_of(conn).execute(prepared.sql, prepared.bind(values))
        return int(changed.rowcount)

    def run_many(self, conn: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it once for each set of values."""
        prepared = self._for(conn)
        _run_many(conn, prepared.sql, map(prepared.bind, rows))

    def run_objects(self, conn: Connection, objects: Iterable[Any]) -> None:
        """Run it once for each object; its attributes are values that the driver takes."""
        prepared = self._for(conn)
        _run_many(conn, prepared.sql, map(prepared.values_of, objects))

    def _for(self, conn: Connection) -> "_Prepared":
        dialect = conn.dialect
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = _Prepared(self._expression, self._columns, dialect)
            self._prepared[dialect.name] = prepared
        return prepared


def _run_many(conn: Connection, sql: str, values: Iterable[Any]) -> None:
    cursor = driver_of(conn).cursor()
    try:
        cursor.executemany(sql, values)
    finally:
        cursor.close()


class _Prepared:
    """A statement in the words of one database."""

    def __init__(self, expression: Executable, columns: list[str] | None, dialect: Dialect) -> None:
        compiled = expression.compile(dialect=dialect, column_keys=columns)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        # Parameters that SQLAlchemy made itself, like the 1 of LIMIT 1; the caller gives the rest.
        self._defaults = {
            name: bound.effective_value
            for name, bound in compiled.binds.items()
            if not bound.required and bound.effective_value is not None
        }
        self._in_order = _in_order(compiled.positiontup)
        self._to_driver = _processors(
            (name, bound.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bound in compiled.binds.items()
        )
        self.values_of = _values_of(compiled)
        self._row_type, self._from_driver = _result(compiled, dialect)

    def bind(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them: in order, or by name."""
        bound: Any = {**self._defaults, **values} if self._defaults else values
        if self._to_driver:
            bound = dict(bound)
            for name, convert in self._to_driver:
                bound[name] = convert(bound[name])
        return bound if self._in_order is None else self._in_order(bound)

    def row(self, found: Any) -> Any:
        if self._from_driver:
            found = list(found)
            for index, convert in self._from_driver:
                found[index] = convert(found[index])
        return self._row_type._make(found)

    def rows(self, cursor: Any) -> list[Any]:
        found = cursor.fetchall()
        if not self._from_driver:
            return list(map(self._row_type._make, found))
        return [self.row(row) for row in found]


def _values_of(compiled: SQLCompiler) -> Callable[[Any], Any]:
    """What takes an object's attributes as values, in order or by name."""
    names = compiled.positiontup
    if names is not None and len(names) > 1:
        return attrgetter(*names)
    by_name = list(compiled.binds)
    return lambda found: {name: getattr(found, name) for name in by_name}


def _in_order(names: list[str] | None) -> Callable[[Mapping[str, Any]], Any] | None:
    """What puts values into the order that the driver wants; None where it takes them by name."""
    if names is None:
        return None
    if not names:
        return lambda values: ()
    if len(names) == 1:
        (only,) = names
        return lambda values: (values[only],)
    return itemgetter(*names)


def _processors(found: Iterable[tuple[Any, _Convert | None]]) -> tuple[tuple[Any, _Convert], ...]:
    return tuple((key, convert) for key, convert in found if convert is not None)


def _result(
    compiled: SQLCompiler, dialect: Dialect
) -> tuple[Any, tuple[tuple[int, _Convert], ...]]:
    """The type of a row, and what turns the driver's values into those of the columns."""
    columns = compiled._result_columns
    processors = _processors(
        (index, column.type.dialect_impl(dialect).result_processor(dialect, None))
        for index, column in enumerate(columns)
    )
    return namedtuple("Row", [column.keyname for column in columns], rename=True), processors


@cache
def insertion(table: Table) -> Statement:
    """INSERT of a whole row: give a value for every column."""
    return Statement(insert(table), [column.key for column in table.columns])


@cache
def change(table: Table, names: frozenset[str]) -> Statement:
    """UPDATE of these columns of the row whose (first) primary key is given as `_key`."""
    key = next(iter(table.primary_key.columns))
    values = {name: bindparam(name, type_=table.c[name].type) for name in sorted(names)}
    return Statement(update(table).where(key == bindparam("_key")).values(values))
