"""One table before and after, compared by SQLite itself: which rows, links and values are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchctl.database.inspect import quoted

_FIRST = 5  # keys told per loss
_PROBE = 1000  # rows that are looked at before a whole table is
_AT_ONCE = 300  # columns in one statement; SQLite's limit is 2,000 results
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True)
class TableShape:
    """What the comparison needs to know of a table.

    Attributes:
        name: Its name.
        columns: Ordinary columns in order (generated ones hold nothing of their own).
        key: The primary key's columns; empty when there is none.
        has_rowid: Whether its rows have one.
        rowid: How it is called; None when there is none, or columns took all its names.
        alias: Whether the key is the rowid itself (INTEGER PRIMARY KEY).
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    has_rowid: bool
    rowid: str | None
    alias: bool


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
        self,
        old: TableShape,
        new: TableShape,
        *,
        rebuilt: bool,
        links_only: bool = False,
        written: Collection[str] | None = None,
        rows: int | None = None,
        fast: bool = True,
    ) -> TableChange:
        """Compare the rows of a table that is there before and after.

        Args:
            old: The table before.
            new: The table after.
            rebuilt: Whether it was dropped and built again, so that rowids mean nothing.
            links_only: Compare keys and foreign-key columns, not every value.
            written: When nothing but UPDATEs (and added columns) came to the table: the columns
                that they wrote, lower case. None: anything may have happened.
            rows: How many rows it had before, where that is known.
            fast: Look first whether all is equal. Only tests leave it out.
        """
        before = self._count(self._before, old) if rows is None else rows
        if written is not None and not written:
            return TableChange(new.name, before, before)
        after = self._count("main", new)
        columns = (*old.key, *self._links(old)) if links_only else old.columns
        shared = [name for name in columns if _has(new.columns, name)]
        if written is not None and before == after and not _may_rekey(old, written):
            # No row came, so none went either (an UPDATE OR REPLACE could), and none was renamed.
            shared = [name for name in shared if name.lower() in written]
            if not shared:
                return TableChange(new.name, before, after)
        if not shared:
            return TableChange(new.name, before, after, gone=max(0, before - after))
        if fast and self._all_equal(old, new, shared, rebuilt=rebuilt, rows=before):
            return TableChange(new.name, before, after)
        on = self._join_on(old, new, rebuilt=rebuilt)
        if on is None:
            gone = self._multiset_gone(old, new, shared)
            return TableChange(new.name, before, after, gone=gone)
        return self._in_detail(old, new, on, shared, (before, after))

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

    # -- all equal? -------------------------------------------------------------------------------

    def _all_equal(
        self,
        old: TableShape,
        new: TableShape,
        shared: Sequence[str],
        *,
        rebuilt: bool,
        rows: int,
    ) -> bool:
        """Whether every row before has one of its own after with equal values, in one pass.

        Rows are paired so that no two have the same partner; then as many equal pairs as there
        were rows leave nothing lost, whatever the pairing. False says nothing.
        """
        pairing = self._pairing(old, new, rebuilt=rebuilt, rows=rows)
        if pairing is None:
            return False
        first, on = pairing
        wanted = [f"{first} AS k0"] if on is None else [f"{quoted(k)} AS k{i}" for i, k in on]
        wanted += [f"{quoted(name)} AS c{i}" for i, name in enumerate(shared)]
        # In the order in which the rows lie: an index over all of it would be another one.
        order = "NOT INDEXED" if on is None else ""
        source = f"SELECT {', '.join(wanted)} FROM {self._table(self._before, old)} {order}"
        match = (
            f"a.{new.rowid} = b.k0"
            if on is None
            else " AND ".join(f"a.{quoted(key)} IS b.k{i}" for i, key in on)
        )
        equal = " AND ".join(f"+a.{quoted(name)} IS +b.c{i}" for i, name in enumerate(shared))

        def pairs(limit: str) -> int:
            return self._one(
                f"SELECT count(*) FROM ({source} {limit}) AS b "
                f"CROSS JOIN {self._table('main', new)} AS a ON {match} WHERE {equal}"
            )

        if pairs(f"LIMIT {_PROBE}") != min(rows, _PROBE):
            return False
        return rows <= _PROBE or pairs("") == rows

    def _pairing(
        self, old: TableShape, new: TableShape, *, rebuilt: bool, rows: int
    ) -> tuple[str, list[tuple[int, str]] | None] | None:
        """What pairs the rows: a rowid before (on the one after), or the key's columns."""
        if old.rowid and new.rowid:
            if rebuilt and not (old.alias and new.alias) and self._gaps(old, rows):
                # Copied in order, with new rowids from 1.
                return "row_number() OVER ()", None
            return old.rowid, None
        if not (old.has_rowid or new.has_rowid) and _same_key(old, new):
            return "", list(enumerate(old.key))
        return None

    def _gaps(self, old: TableShape, rows: int) -> bool:
        return self._rows(f"SELECT max({old.rowid}) FROM {self._table(self._before, old)}") != [
            (rows,)
        ]

    # -- what differs -----------------------------------------------------------------------------

    def _in_detail(
        self,
        old: TableShape,
        new: TableShape,
        on: Sequence[str],
        shared: Sequence[str],
        counts: tuple[int, int],
    ) -> TableChange:
        joined = self._joined(old, new, on)
        missing = _missing(new, on)
        changed, gone, different = self._different(joined, missing, shared)
        keys = self._keys(joined, on, missing) if gone else ()
        found = [self._column(joined, on, f"NOT ({missing})", name) for name in different]
        return TableChange(
            new.name,
            *counts,
            gone=gone,
            gone_keys=keys,
            columns=tuple(c for c in found if c.nulled or c.emptied or c.changed or c.filled),
            updated=changed - gone,
        )

    def _different(
        self, joined: str, missing: str, shared: Sequence[str]
    ) -> tuple[int, int, list[str]]:
        """Rows that are not as before, the missing among them, columns with another value."""
        rows, gone, different = 0, 0, []
        where = f"{_tuple('b', shared)} IS NOT {_tuple('a', shared)} OR {missing}"
        for start in range(0, len(shared), _AT_ONCE):
            names = shared[start : start + _AT_ONCE]
            differs = "".join(
                f", max(NOT ({missing}) AND +b.{quoted(name)} IS NOT +a.{quoted(name)})"
                for name in names
            )
            sql = f"SELECT count(*), coalesce(sum({missing}), 0){differs} FROM {joined}"
            rows, gone, *found = self._rows(f"{sql} WHERE {where}")[0]
            different += [name for name, yes in zip(names, found, strict=True) if yes]
        return rows, gone, different

    def _join_on(self, old: TableShape, new: TableShape, *, rebuilt: bool) -> list[str] | None:
        """The columns that identify a row on both sides, quoted; None when nothing does."""
        if old.key and _same_key(old, new) and not self._null_keys(old):
            return [quoted(name) for name in old.key]
        if not rebuilt and old.rowid and old.rowid == new.rowid:
            return [old.rowid]
        return None

    def _null_keys(self, old: TableShape) -> bool:
        """Whether keys hold NULL, which SQLite lets them: then several rows may have the same."""
        if not old.has_rowid or old.alias:
            return False
        null = " OR ".join(f"{quoted(name)} IS NULL" for name in old.key)
        table = self._table(self._before, old)
        return bool(self._rows(f"SELECT 1 FROM {table} WHERE {null} LIMIT 1"))

    # -- SQL --------------------------------------------------------------------------------------

    def _shape(self, schema: str, table: str, without_rowid: bool) -> TableShape:
        rows = self._rows(
            "SELECT name, pk, hidden, type FROM pragma_table_xinfo(?, ?)", table, schema
        )
        key = [name for name, pk, *_ in sorted(rows, key=lambda row: row[1]) if pk]
        columns = tuple(name for name, _, hidden, _ in rows if hidden == 0)
        taken = {name.lower() for name, *_ in rows}
        rowid = next((name for name in _ROWID_NAMES if name not in taken), None)
        alias = (
            not without_rowid
            and len(key) == 1
            and any(pk and kind.upper() == "INTEGER" for _, pk, _, kind in rows)
            # INTEGER PRIMARY KEY DESC is no alias: it has an index
            and not self._rows(
                "SELECT 1 FROM pragma_index_list(?, ?) WHERE origin = 'pk'", table, schema
            )
        )
        return TableShape(
            table, columns, tuple(key), not without_rowid, None if without_rowid else rowid, alias
        )

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

    def _multiset_gone(self, old: TableShape, new: TableShape, shared: Sequence[str]) -> int:
        """How many rows there are fewer of, whichever they are."""
        names = ", ".join(f"+{quoted(name)} AS c{i}" for i, name in enumerate(shared))
        numbers = ", ".join(f"c{i}" for i in range(len(shared)))
        return self._one(
            f"SELECT coalesce(sum(fewer), 0) FROM (SELECT sum(n) AS fewer FROM ("
            f"SELECT {names}, 1 AS n FROM {self._table(self._before, old)} UNION ALL "
            f"SELECT {names}, -1 FROM {self._table('main', new)}"
            f") GROUP BY {numbers} HAVING sum(n) > 0)"
        )

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


def _missing(new: TableShape, on: Sequence[str]) -> str:
    # A key column may hold NULL in SQLite; the rowid (or a NOT NULL key) never does.
    return f"a.{new.rowid or on[0]} IS NULL"


def _tuple(alias: str, names: Sequence[str]) -> str:
    # Unary plus: no affinity, no collation, the stored value itself.
    return "(" + ", ".join(f"+{alias}.{quoted(name)}" for name in names) + ")"


def _has(names: Iterable[str], name: str) -> bool:
    return name.lower() in {other.lower() for other in names}


def _same_key(old: TableShape, new: TableShape) -> bool:
    return [name.lower() for name in old.key] == [name.lower() for name in new.key]


def _may_rekey(old: TableShape, written: Collection[str]) -> bool:
    return any(_has(written, name) for name in (*old.key, *_ROWID_NAMES))
