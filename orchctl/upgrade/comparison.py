"""One table before and after, compared by SQLite itself: which rows, links and values are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchctl.database.inspect import quoted

_FIRST = 5  # keys told per loss


@dataclass(frozen=True)
class TableShape:
    """What the comparison needs to know of a table.

    Attributes:
        name: Its name.
        columns: Ordinary columns in order (generated ones hold nothing of their own).
        key: The primary key's columns; empty when there is none.
        has_rowid: Whether `rowid` can be asked for.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    has_rowid: bool


@dataclass(frozen=True)
class ColumnChange:
    """How the values of one column changed, in rows."""

    column: str
    nulled: int = 0
    emptied: int = 0
    changed: int = 0
    filled: int = 0
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TableChange:
    """How the rows of one table changed.

    Attributes:
        table: Its name.
        before: Rows before.
        after: Rows after.
        gone: Rows that are there no more.
        gone_keys: The keys of the first of them.
        columns: Columns with a changed value.
        updated: Rows that are on both sides and differ in a column that is on both sides.
    """

    table: str
    before: int
    after: int
    gone: int = 0
    gone_keys: tuple[str, ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    updated: int = 0

    @property
    def inserted(self) -> int:
        """Rows that were not there before."""
        return self.after - (self.before - self.gone)


class Comparison:
    """Two schemas of one connection, `before` and `after`.

    Args:
        connection: Has both: `after` is main, `before` is attached.
        before: The attached schema's name.
    """

    def __init__(self, connection: sqlite3.Connection, before: str) -> None:
        self._connection = connection
        self._before = before

    def shapes(self, schema: str) -> dict[str, TableShape]:
        """The ordinary tables of a schema by lower-case name; virtual ones and shadows left out."""
        rows = self._rows(
            "SELECT name, wr FROM pragma_table_list "
            "WHERE type = 'table' AND schema = ? AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            schema,
        )
        return {name.lower(): self._shape(schema, name, bool(wr)) for name, wr in rows}

    def table(
        self, old: TableShape, new: TableShape, *, rebuilt: bool, links_only: bool = False
    ) -> TableChange:
        """Compare the rows of a table that is there before and after.

        Args:
            old: The table before.
            new: The table after.
            rebuilt: Whether it was dropped and built again, so that rowids mean nothing.
            links_only: Compare keys and foreign-key columns, not every value.
        """
        counts = self._count(self._before, old), self._count("main", new)
        columns = (*old.key, *self._links(old)) if links_only else old.columns
        shared = [name for name in columns if _has(new.columns, name)]
        if not shared:
            return TableChange(new.name, *counts, gone=max(0, counts[0] - counts[1]))
        on = _join_on(old, new, rebuilt=rebuilt)
        if on is None:
            gone = self._multiset_gone(old, new, shared)
            return TableChange(new.name, *counts, gone=gone)
        joined = self._joined(old, new, on)
        different = _tuple("b", shared, plain=True), _tuple("a", shared, plain=True)
        changed = self._one(
            f"SELECT count(*) FROM {joined} WHERE {different[0]} IS NOT {different[1]}"
            f" OR {_missing(new, on)}"
        )
        if not changed:
            return TableChange(new.name, *counts)
        missing = _missing(new, on)
        gone = self._one(f"SELECT count(*) FROM {joined} WHERE {missing}")
        keys = self._keys(joined, on, missing) if gone else ()
        found = [self._column(joined, on, f"NOT ({missing})", name) for name in shared]
        return TableChange(
            new.name,
            *counts,
            gone=gone,
            gone_keys=keys,
            columns=tuple(c for c in found if c.nulled or c.emptied or c.changed or c.filled),
            updated=changed - gone,
        )

    def values(self, old: TableShape, column: str) -> int:
        """How many rows hold a value in a column before."""
        return self._one(
            f"SELECT count(*) FROM {self._table(self._before, old)} "
            f"WHERE {quoted(column)} IS NOT NULL"
        )

    def stands_in(
        self, old: TableShape, column: str, places: Iterable[tuple[TableShape, str]]
    ) -> bool:
        """Whether every value of a column before is found in one of the given columns after."""
        source = f"SELECT +{quoted(column)} FROM {self._table(self._before, old)} "
        source += f"WHERE {quoted(column)} IS NOT NULL"
        return any(
            not self._rows(
                f"SELECT 1 FROM ({source} EXCEPT SELECT +{quoted(name)} "
                f"FROM {self._table('main', place)}) LIMIT 1"
            )
            for place, name in places
        )

    def rows(self, shape: TableShape) -> int:
        """Rows of a table before."""
        return self._count(self._before, shape)

    # -- SQL --------------------------------------------------------------------------------------

    def _shape(self, schema: str, table: str, without_rowid: bool) -> TableShape:
        rows = self._rows("SELECT name, pk, hidden FROM pragma_table_xinfo(?, ?)", table, schema)
        key = [name for name, pk, _ in sorted(rows, key=lambda row: row[1]) if pk]
        columns = tuple(name for name, _, hidden in rows if hidden == 0)
        return TableShape(table, columns, tuple(key), not without_rowid)

    def _links(self, shape: TableShape) -> list[str]:
        sql = 'SELECT DISTINCT "from" FROM pragma_foreign_key_list(?, ?)'
        return [row[0] for row in self._rows(sql, shape.name, self._before)]

    def _column(self, joined: str, on: Sequence[str], there: str, name: str) -> ColumnChange:
        a, b = f"+a.{quoted(name)}", f"+b.{quoted(name)}"
        tests = {
            "nulled": f"{b} IS NOT NULL AND {a} IS NULL",
            "emptied": f"{a} IN ('', x'') AND {b} IS NOT NULL AND {b} NOT IN ('', x'')",
            "changed": f"{a} IS NOT NULL AND {a} NOT IN ('', x'') AND {b} IS NOT NULL "
            f"AND NOT {_same(a, b)}",
            "filled": f"{b} IS NULL AND {a} IS NOT NULL",
        }
        sums = ", ".join(f"coalesce(sum({test}), 0)" for test in tests.values())
        counted = self._rows(f"SELECT {sums} FROM {joined} WHERE {there}")[0]
        counts = dict(zip(tests, counted, strict=True))
        keys = {
            kind: self._keys(joined, on, f"{there} AND {tests[kind]}")
            for kind in ("nulled", "emptied", "changed")
            if counts[kind]
        }
        return ColumnChange(name, **counts, keys=keys)

    def _multiset_gone(self, old: TableShape, new: TableShape, shared: list[str]) -> int:
        names = ", ".join(f"+{quoted(name)}" for name in shared)
        each = f"SELECT {names}, count(*) FROM {{}} GROUP BY {names}"
        before, after = (
            each.format(self._table(self._before, old)),
            each.format(self._table("main", new)),
        )
        return self._one(f"SELECT count(*) FROM ({before} EXCEPT {after})")

    def _joined(self, old: TableShape, new: TableShape, on: Sequence[str]) -> str:
        match = " AND ".join(f"a.{name} IS b.{name}" for name in on)
        return (
            f"{self._table(self._before, old)} AS b "
            f"LEFT JOIN {self._table('main', new)} AS a ON {match}"
        )

    def _keys(self, joined: str, on: Sequence[str], where: str) -> tuple[str, ...]:
        names = ", ".join(f"b.{name}" for name in on)
        rows = self._rows(f"SELECT {names} FROM {joined} WHERE {where} LIMIT {_FIRST}")
        return tuple(", ".join(map(str, row)) for row in rows)

    def _table(self, schema: str, shape: TableShape) -> str:
        return f"{quoted(schema)}.{quoted(shape.name)}"

    def _count(self, schema: str, shape: TableShape) -> int:
        return self._one(f"SELECT count(*) FROM {self._table(schema, shape)}")

    def _one(self, sql: str) -> int:
        return int(self._rows(sql)[0][0])

    def _rows(self, sql: str, *parameters: str) -> list[Any]:
        cursor = self._connection.cursor()
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
        cursor.close()
        return rows


def _same(a: str, b: str) -> str:
    """Whether two values are the same but for their storage class: '12' and 12, 1 and 1.0."""
    numeric = f"typeof({a}) IN ('integer', 'real') AND typeof({b}) IN ('integer', 'real')"
    as_text = f"CAST({a} AS TEXT) IS CAST({b} AS TEXT)"
    return f"({a} IS {b} OR {as_text} OR ({numeric} AND {a} = {b}))"


def _join_on(old: TableShape, new: TableShape, *, rebuilt: bool) -> list[str] | None:
    """The columns that identify a row on both sides, quoted; None when nothing does."""
    if old.key and [n.lower() for n in old.key] == [n.lower() for n in new.key]:
        return [quoted(name) for name in old.key]
    if not rebuilt and old.has_rowid and new.has_rowid:
        return ["rowid"]
    return None


def _missing(new: TableShape, on: Sequence[str]) -> str:
    # A key column may hold NULL in SQLite; the rowid (or a NOT NULL key) never does.
    name = "rowid" if new.has_rowid else on[0]
    return f"a.{name} IS NULL"


def _tuple(alias: str, names: Sequence[str], *, plain: bool) -> str:
    sign = "+" if plain else ""  # unary plus: no affinity, no collation, the stored value itself
    return "(" + ", ".join(f"{sign}{alias}.{quoted(name)}" for name in names) + ")"


def _has(names: Iterable[str], name: str) -> bool:
    return name.lower() in {other.lower() for other in names}
