"""The quick look for equality and the comparison in detail agree; nothing lost escapes both."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.upgrade.comparison import Comparison, TableChange
from orchctl.upgrade.statements import adds_column
from orchctl.upgrade.writes import Writes

VALUES = (None, 0, 1, 2, -1, 1.0, -0.0, 0.5, 2**53 + 1, float(2**53), 1e300, "", "1", "1.0", "a",
          "A", "a ", "x\0y", "2024-01-02", b"", b"a", b"1", b"\xff")  # fmt: skip
COLUMNS = ("INTEGER", "INT", "TEXT", "TEXT COLLATE NOCASE", "NUMERIC(10, 2)", "DOUBLE", "BLOB", "")
KEYS = (
    "(k INTEGER PRIMARY KEY, v0 {}, v1 {})",
    "(k INTEGER PRIMARY KEY DESC, v0 {}, v1 {})",
    "(k {}, v0 {}, v1 TEXT, PRIMARY KEY (k))",
    "(k {}, v0 {}, v1 TEXT, PRIMARY KEY (k, v1))",
    "(k {}, v0 {}, v1 TEXT, PRIMARY KEY (k)) WITHOUT ROWID",
    "(k {}, v0 {}, v1 INTEGER)",
    "(rowid {}, _rowid_ {}, v1 INTEGER)",
    "(rowid {}, _rowid_ {}, oid INTEGER)",
)

row = st.tuples(*[st.sampled_from(VALUES)] * 3)
rows = st.lists(row, max_size=12)
definition = st.builds(
    str.format, st.sampled_from(KEYS), st.sampled_from(COLUMNS), st.sampled_from(COLUMNS)
)


def _filled(before: str, after: str, old: list[Any], new: list[Any] | None) -> sqlite3.Connection:
    """Two schemas with a table t each; without new rows those of before, copied as a batch does."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("ATTACH ':memory:' AS before")
    connection.execute(f"CREATE TABLE before.t {before}")
    connection.execute(f"CREATE TABLE main.t {after}")
    _insert(connection, "before", old)
    copied = connection.execute("SELECT * FROM before.t").fetchall()
    _insert(connection, "main", copied if new is None else new)
    return connection


def _insert(connection: sqlite3.Connection, schema: str, rows: list[Any]) -> None:
    for one in rows:
        with suppress(sqlite3.IntegrityError):  # what the table can't hold is left out
            connection.execute(f"INSERT OR IGNORE INTO {schema}.t VALUES (?, ?, ?)", one)


def _compared(connection: sqlite3.Connection, *, rebuilt: bool = True, **how: Any) -> TableChange:
    comparison = Comparison(connection, "before")
    old, new = comparison.shapes("before")["t"], comparison.shapes("main")["t"]
    return comparison.table(old, new, rebuilt=rebuilt, **how)


def _rows(connection: sqlite3.Connection, schema: str) -> Counter[Any]:
    # repr would tell 1 from 1.0, which the comparison does not.
    found = connection.execute(f"SELECT * FROM {schema}.t").fetchall()
    return Counter(tuple((type(v) in (str, bytes) and type(v), v) for v in one) for one in found)


def _nothing_lost(change: TableChange) -> bool:
    return not change.gone and not change.columns


@settings(max_examples=300, deadline=None)
@given(definition, definition, rows, rows | st.none(), st.booleans(), st.booleans())
def test_the_quick_look_and_the_detail_agree(
    before: str, after: str, old: list[Any], new: list[Any] | None, rebuilt: bool, links: bool
) -> None:
    with closing(_filled(before, after, old, new)) as connection:
        how: dict[str, Any] = {"rebuilt": rebuilt, "links_only": links}
        quick, slow = (_compared(connection, fast=fast, **how) for fast in (True, False))
        assert quick == slow


@settings(max_examples=300, deadline=None)
@given(definition, rows, rows | st.none())
def test_nothing_lost_means_every_row_is_there(
    table: str, old: list[Any], new: list[Any] | None
) -> None:
    with closing(_filled(table, table, old, new)) as connection:
        change = _compared(connection)
        if _nothing_lost(change) and "rowid" not in table:
            assert not _rows(connection, "before") - _rows(connection, "main")


@settings(max_examples=200, deadline=None)
@given(rows, st.integers(0, 11), st.sampled_from(VALUES))
def test_one_value_changed_is_seen(old: list[Any], number: int, value: object) -> None:
    with closing(_filled("(k, v0, v1)", "(k, v0, v1)", old, None)) as connection:
        sql = "UPDATE main.t SET v0 = ? WHERE rowid = ? AND v0 IS NOT ?"
        changed = connection.execute(sql, (value, number, value)).rowcount
        assert _compared(connection, rebuilt=False).updated == changed
        assert _compared(connection, rebuilt=True).gone == changed


def test_null_keys_and_double_rows_are_counted() -> None:
    keyed = "(k TEXT PRIMARY KEY, v0, v1)"
    twice = [(None, 1, 1), (None, 1, 1), ("a", 2, 2)]
    for table in (keyed, "(k, v0, v1)"):
        with closing(_filled(table, table, twice, twice[1:])) as connection:
            assert _compared(connection).gone == 1
        with closing(_filled(table, table, twice, [*twice, twice[0]])) as connection:
            assert _nothing_lost(_compared(connection))


def test_rowids_with_gaps_are_paired_by_order() -> None:
    """Beyond the rows that are looked at first, and with an index over all columns."""
    with closing(_filled("(k TEXT, v0, v1)", "(k TEXT, v0, v1)", [], [])) as connection:
        connection.execute("CREATE INDEX before.ix ON t (v1, v0, k)")
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        connection.execute(f"{numbers} INSERT INTO before.t SELECT 'k' || i, i, -i FROM n")
        connection.execute("DELETE FROM before.t WHERE k LIKE '%7'")
        connection.execute("INSERT INTO main.t SELECT * FROM before.t NOT INDEXED")
        assert _compared(connection) == TableChange("t", 4500, 4500)
        connection.execute("UPDATE main.t SET v0 = 0 WHERE k = 'k4999'")
        assert _compared(connection).gone == 1


WRITES = (
    "ALTER TABLE t ADD COLUMN n0 TEXT",
    "ALTER TABLE t ADD n1 INTEGER NOT NULL DEFAULT 3",
    "ALTER TABLE t DROP COLUMN v1",
    "ALTER TABLE t DROP COLUMN v0",
    "ALTER TABLE t ADD v1 TEXT",
    "ALTER TABLE t RENAME COLUMN v0 TO v2",
    "ALTER TABLE t RENAME COLUMN v1 TO v0",
    "UPDATE t SET n1 = 4",
    "UPDATE t SET v0 = NULL WHERE v0 = 1",
    "UPDATE OR REPLACE t SET v1 = 'a'",
    "UPDATE OR REPLACE t SET v0 = 1",
    "UPDATE OR REPLACE t SET rowid = rowid + 1",
    "UPDATE OR REPLACE t SET k = 1",
    "DELETE FROM t WHERE v0 = 2",
    "INSERT OR REPLACE INTO t (k, v0) VALUES (1, 2)",
    "INSERT INTO other VALUES (1)",
    "CREATE UNIQUE INDEX ix ON t (v0)",
)


@settings(max_examples=300, deadline=None)
@given(definition, rows, st.lists(st.sampled_from(WRITES), max_size=4))
def test_what_the_authorizer_saw_spares_no_comparison_that_would_find_something(
    table: str, old: list[Any], statements: list[str]
) -> None:
    with closing(_filled(table, table, old, None)) as connection:
        connection.executescript(
            "DELETE FROM before.t; INSERT INTO before.t SELECT * FROM t; CREATE TABLE other (n);"
            "CREATE TRIGGER tr AFTER INSERT ON other BEGIN DELETE FROM t WHERE v0 = 0; END"
        ) if "v0" in table else None
        writes, running = Writes(), ""

        def seen(action: int, first: Any, second: Any, third: Any, trigger: Any) -> int:
            writes.note(action, first, second, trigger, third, running)
            return sqlite3.SQLITE_OK

        connection.set_authorizer(seen)
        for running in statements:
            try:
                connection.execute(running)
            except sqlite3.Error:
                continue
        connection.set_authorizer(None)
        written = writes.changed_columns("t")
        spared = _compared(connection, rebuilt=False, written=written)
        assert spared == _compared(connection, rebuilt=False)


@pytest.mark.parametrize(
    ("sql", "adds"),
    [
        ("ALTER TABLE t ADD COLUMN c", True),
        ('-- why\nalter  table main."t x" add c TEXT', True),
        ("ALTER TABLE t DROP COLUMN c", False),
        ("ALTER TABLE t RENAME COLUMN c TO add_c", False),
        ("ALTER TABLE add RENAME TO add_more", False),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (x)", False),
        ("UPDATE t SET sql = 'ALTER TABLE t ADD c'", False),
    ],
)
def test_what_adds_a_column(sql: str, adds: bool) -> None:
    assert adds_column(sql) is adds


def test_a_writable_schema_leaves_no_table_untouched() -> None:
    writes = Writes()
    writes.note(sqlite3.SQLITE_PRAGMA, "writable_schema", "ON", None)
    assert writes.changed_columns("t") is None
