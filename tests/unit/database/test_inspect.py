from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchctl.database import inspect as facts
from orchctl.database.inspect import inspect
from orchctl.database.open import writing
from orchctl.errors import Refused
from tests.support.sqlite_files import bytes_beside, leave_hot_journal, leave_wal, make, run_sql


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_facts(mode: str, tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", mode)
    run_sql(path, "PRAGMA user_version=7", "PRAGMA application_id=99")
    before = bytes_beside(path)
    found = inspect(path)
    assert found.exists
    assert found.path == path
    assert found.size == path.stat().st_size == found.page_size * found.page_count
    assert found.journal_mode == mode
    assert (found.user_version, found.application_id, found.encoding) == (7, 99, "UTF-8")
    assert (found.has_version_table, found.heads) == (True, ("002",))
    assert found.tables == ("alembic_version", "child", "parent")
    assert bytes_beside(path) == before


def test_what_only_the_wal_knows_counts(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    leave_wal(path)
    pages = inspect(path).page_count
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA page_count").fetchone() == (pages,)


def test_what_a_hot_journal_undoes_does_not_count(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", rows=500)
    whole = inspect(path)
    leave_hot_journal(path)
    assert inspect(path).schema_hash == whole.schema_hash
    assert inspect(path).heads == ("002",)


def test_beside_a_connection_of_this_process(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    with closing(writing(path, timeout=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        found = inspect(path, beside=True)
        assert found.journal_mode == "wal"
        connection.execute("ROLLBACK")
    assert found == inspect(path)


def test_a_missing_file_is_an_empty_database(tmp_path: Path) -> None:
    found = inspect(tmp_path / "none.db")
    assert not found.exists
    assert (found.heads, found.tables, found.size) == ((), (), 0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_zero_bytes_is_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    found = inspect(tmp_path / "app.db")
    assert found.exists
    assert (found.heads, found.tables, found.size, found.page_count) == ((), (), 0, 0)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        inspect(tmp_path / "none" / "app.db")
    assert caught.value.code == "no-directory"


def test_a_link_to_where_no_file_is_yet_is_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").symlink_to(tmp_path / "volume" / "real.db")
    with pytest.raises(Refused) as caught:
        inspect(tmp_path / "app.db")
    assert caught.value.code == "no-directory"
    (tmp_path / "volume").mkdir()
    assert not inspect(tmp_path / "app.db").exists


def connection_with(*statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    return connection


def test_stamped_tells_no_table_from_an_empty_one() -> None:
    with closing(connection_with()) as connection:
        assert facts.stamped(connection) is None
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        assert facts.stamped(connection) == ()
        connection.execute("INSERT INTO alembic_version VALUES ('b'), ('a')")
        assert facts.stamped(connection) == ("a", "b")


def test_stamped_in_a_table_of_another_name() -> None:
    with closing(connection_with('CREATE TABLE "my ""versions" (version_num TEXT)')) as connection:
        assert facts.stamped(connection, 'my "versions') == ()


def test_row_counts_and_odd_names() -> None:
    with closing(
        connection_with(
            'CREATE TABLE "a ""b" (x)',
            'INSERT INTO "a ""b" VALUES (1), (2)',
            "CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE TABLE sqlitely (x)",
            "CREATE VIRTUAL TABLE texts USING fts5(body)",
            "INSERT INTO texts VALUES ('hello')",
        )
    ) as connection:
        counts = facts.row_counts(connection)
        assert counts['a "b'] == 2
        assert counts["sqlitely"] == 0
        assert counts["texts_content"] == 1
        assert not {"texts", "sqlite_sequence"} & counts.keys()


def hashed(*statements: str) -> str:
    with closing(connection_with(*statements)) as connection:
        return facts.schema_hash(connection)


def test_schema_hash_passes_over_what_does_not_matter() -> None:
    plain = hashed("CREATE TABLE t (a INTEGER, b TEXT)", "CREATE TABLE u (x)")
    assert plain == hashed("CREATE TABLE u (x)", "CREATE TABLE t (a INTEGER,\n\t b   TEXT)")
    assert plain == hashed(
        "CREATE TABLE t (a INTEGER, b TEXT)",
        "CREATE TABLE u (x)",
        "INSERT INTO u VALUES (1)",
        "ANALYZE",
    )


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE t (a INTEGER, b VARCHAR)",
        "CREATE TABLE t (a INTEGER, b TEXT NOT NULL)",
        "CREATE TABLE t (a INTEGER, b TEXT DEFAULT 'a  b')",
        "CREATE TABLE T (a INTEGER, b TEXT)",
    ],
)
def test_schema_hash_sees_what_does(other: str) -> None:
    assert hashed(other) != hashed("CREATE TABLE t (a INTEGER, b TEXT DEFAULT 'a b')")
    assert hashed(other) != hashed("CREATE TABLE t (a INTEGER, b TEXT)")


def test_leftovers() -> None:
    with closing(connection_with("CREATE TABLE _alembic_tmp_users (x)")) as connection:
        assert facts.leftover_tables(connection) == ("_alembic_tmp_users",)


def test_checks_of_a_sound_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(make(tmp_path / "app.db"))) as connection:
        assert facts.quick_check(connection) == ()
        assert facts.integrity_check(connection) == ()
        assert facts.foreign_key_violations(connection) == frozenset()


def test_an_index_that_lies_is_found_by_the_integrity_check_alone(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'parent_id)', 'id)') "
            "WHERE name = 'ix_child_parent'"
        )
    with closing(sqlite3.connect(path)) as connection:
        assert facts.quick_check(connection) == ()
        assert facts.integrity_check(connection) != ()


def test_foreign_key_violations() -> None:
    with closing(
        connection_with(
            "CREATE TABLE p (id INTEGER PRIMARY KEY)",
            "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id))",
            "CREATE TABLE w (k TEXT PRIMARY KEY, p INTEGER REFERENCES p(id)) WITHOUT ROWID",
            "INSERT INTO c VALUES (5, 1)",
            "INSERT INTO w VALUES ('k', 2)",
        )
    ) as connection:
        assert facts.foreign_key_violations(connection) == {
            ("c", 5, "p", 0),
            ("w", None, "p", 0),
        }


def test_a_foreign_key_that_cannot_be_checked_hides_no_other() -> None:
    with closing(
        connection_with(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE a (name TEXT REFERENCES p(name))",
            "CREATE TABLE b (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id))",
            "INSERT INTO a VALUES ('x')",
            "INSERT INTO b VALUES (1, 9)",
        )
    ) as connection:
        found = facts.foreign_key_violations(connection)
    assert ("b", 1, "p", 0) in found
    assert [(table, index) for table, _, _, index in found if index == -1] == [("a", -1)]
