from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchctl.database.digest import dump_digest
from tests.support.sqlite_files import make, run_sql


def digest_of(*statements: str) -> str:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        return dump_digest(connection)


def file_digest(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return dump_digest(connection)


TABLE = "CREATE TABLE t (a, b)"


def test_how_it_lies_in_the_file_does_not_count(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    before, size = file_digest(path), path.stat().st_size
    run_sql(path, "CREATE TABLE spare AS SELECT * FROM child", "DROP TABLE spare")
    assert path.stat().st_size > size
    assert file_digest(path) == before
    run_sql(path, "VACUUM", "PRAGMA journal_mode=WAL")
    assert file_digest(path) == before


def test_order_of_creation_does_not_count() -> None:
    assert digest_of("CREATE TABLE a (x)", "CREATE TABLE b (y)") == digest_of(
        "CREATE TABLE b (y)", "CREATE TABLE a (x)"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "'1'"),
        ("'abc'", "x'616263'"),
        ("NULL", "''"),
        ("NULL", "0"),
        ("x''", "''"),
        ("0.1 + 0.2", "0.3"),
        ("CAST(x'ff' AS TEXT)", "CAST(x'fe' AS TEXT)"),
        ("'a' || char(0) || 'b'", "'a'"),
        ("9223372036854775807", "9223372036854775806"),
    ],
)
def test_every_value_counts_with_its_type(one: str, other: str) -> None:
    assert digest_of(TABLE, f"INSERT INTO t VALUES ({one}, 2)") != digest_of(
        TABLE, f"INSERT INTO t VALUES ({other}, 2)"
    )


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET a = 3",
        "DELETE FROM t",
        "INSERT INTO t VALUES (1, 2)",
        "UPDATE t SET rowid = 7",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 1",
        "CREATE INDEX i ON t (a)",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
        "ALTER TABLE t RENAME COLUMN b TO c",
    ],
)
def test_every_change_counts(change: str) -> None:
    base = (TABLE, "INSERT INTO t VALUES (1, 2)")
    assert digest_of(*base) != digest_of(*base, change)


def test_values_do_not_run_into_each_other() -> None:
    assert digest_of(TABLE, "INSERT INTO t VALUES ('ab', 'c')") != digest_of(
        TABLE, "INSERT INTO t VALUES ('a', 'bc')"
    )


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (k TEXT COLLATE NOCASE, v, PRIMARY KEY (v, k)) WITHOUT ROWID",
        "CREATE TABLE t (rowid TEXT, _rowid_ TEXT, oid TEXT)",
        "CREATE TABLE t (rowid TEXT, v)",
        'CREATE TABLE "t" ("select" INTEGER PRIMARY KEY, "a ""b" TEXT)',
        "CREATE TABLE t (a, b AS (a + 1))",
    ],
)
def test_odd_tables(table: str) -> None:
    assert digest_of(table) == digest_of(table)


def test_rows_without_a_rowid_come_in_the_order_of_the_key() -> None:
    table = "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID"
    rows = ["INSERT INTO t VALUES ('b', 1)", "INSERT INTO t VALUES ('a', 2)"]
    assert digest_of(table, *rows) == digest_of(table, *reversed(rows))


def test_the_sequence_of_autoincrement_counts() -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)"
    spent = ["INSERT INTO t VALUES (5)", "DELETE FROM t"]
    assert digest_of(table) != digest_of(table, *spent)


def test_the_connection_is_as_it_was() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        dump_digest(connection)
        assert connection.text_factory is str


VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary())


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8))
def test_a_copy_has_the_same_digest(rows: list[tuple[object, object]]) -> None:
    text = [value for row in rows for value in row if isinstance(value, str)]
    if any("\ud800" <= letter <= "\udfff" for value in text for letter in value):
        return  # sqlite3 stores no lone surrogates
    with closing(sqlite3.connect(":memory:")) as one, closing(sqlite3.connect(":memory:")) as other:
        one.execute(TABLE)
        one.executemany("INSERT INTO t VALUES (?, ?)", rows)
        one.commit()
        one.backup(other)
        assert dump_digest(one) == dump_digest(other)
