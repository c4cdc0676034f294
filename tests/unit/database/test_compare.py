"""Schemas compared: what is written differently is equal, what differs is seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import given, settings
from hypothesis import strategies as st

from orchctl.database.compare import SchemaDifference, compare, schema_of, sequences
from orchctl.database.schema import Schema
from tests.support.random_tables import Style, Table, changes, tables, written

ANY = settings(max_examples=60, deadline=None)


def schema(*statements: str) -> Schema:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements:
            connection.executescript(statement)
        return schema_of(connection)


def differences(before: str, after: str) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in compare(schema(before), schema(after))]


def only(before: str, after: str) -> SchemaDifference:
    (one,) = compare(schema(before), schema(after))
    return one


@ANY
@given(tables(), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_one_table_written_twice_is_equal(table: Table, one: int, other: int, inline: bool) -> None:
    left = schema(*written(table, Style(one, inline)))
    right = schema(*written(table, Style(other, not inline)))
    assert compare(left, right) == ()
    assert "statement" not in {fact.kind for fact in left.facts}


@ANY
@given(tables(), st.integers(0, 10**6), st.data())
def test_one_change_is_always_seen(table: Table, seed: int, data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from([one for one in changes(table) if one != table]))
    left = schema(*written(table, Style(seed, inline=bool(seed % 2))))
    right = schema(*written(changed, Style(seed + 1, inline=bool(seed // 2 % 2))))
    found = compare(left, right)
    assert found
    assert all(str(one) for one in found)
    back = compare(right, left)
    assert {(one.kind, one.before, one.after) for one in back} == {
        (one.kind, one.after, one.before) for one in found
    }


@ANY
@given(tables(), st.integers(0, 10**6))
def test_columns_and_foreign_keys_are_those_that_sqlite_sees(table: Table, seed: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in written(table, Style(seed)):
            connection.execute(statement)
        found = schema_of(connection)
        names = tuple(row[1] for row in connection.execute("PRAGMA table_xinfo(t)"))
        keys = connection.execute("PRAGMA foreign_key_list(t)").fetchall()
        assert found.columns == {"t": names}
        assert len(keys) == len([fact for fact in found.facts if fact.kind == "foreign-key"])


EQUAL = {
    "inline or not": (
        (
            "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, "
            "p INT REFERENCES p (id) ON DELETE CASCADE, u TEXT UNIQUE, c INT CHECK (c > 0))"
        ),
        (
            "CREATE TABLE p (id INTEGER NOT NULL, PRIMARY KEY (id)); "
            "CREATE TABLE t (id INTEGER NOT NULL, p INT, u TEXT, c INT, CHECK (c > 0), UNIQUE (u), "
            "FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE, PRIMARY KEY (id))"
        ),
    ),
    "the parent's key left out": (
        (
            "CREATE TABLE p (a INT, b INT, PRIMARY KEY (b, a)); "
            "CREATE TABLE t (x INT, y INT, FOREIGN KEY (x, y) REFERENCES p)"
        ),
        (
            "CREATE TABLE p (a INT, b INT, PRIMARY KEY (b, a)); "
            "CREATE TABLE t (x INT, y INT, FOREIGN KEY (x, y) REFERENCES P (B, A))"
        ),
    ),
    "defaults that are one": (
        (
            "CREATE TABLE t (a DEFAULT 100, b DEFAULT CURRENT_TIMESTAMP, c DEFAULT abc, d DEFAULT "
            "NULL, e DEFAULT ((datetime('now'))))"
        ),
        (
            "CREATE TABLE t (a DEFAULT (100), b DEFAULT (current_timestamp), c DEFAULT 'abc', d, "
            "e DEFAULT (DATETIME( 'now' )))"
        ),
    ),
    "defaults of actions": (
        "CREATE TABLE t (a INT NOT NULL UNIQUE REFERENCES t (a))",
        (
            "CREATE TABLE t (a INT NOT NULL ON CONFLICT ABORT UNIQUE ON CONFLICT ABORT REFERENCES "
            "t (a) ON DELETE NO ACTION ON UPDATE NO ACTION NOT DEFERRABLE INITIALLY IMMEDIATE)"
        ),
    ),
    "collations that are the column's": (
        "CREATE TABLE t (a TEXT COLLATE NOCASE, UNIQUE (a)); CREATE INDEX i ON t (a ASC)",
        (
            "CREATE TABLE t (a TEXT COLLATE nocase, UNIQUE (a COLLATE NoCase)); "
            "CREATE INDEX i ON t (a COLLATE NOCASE)"
        ),
    ),
    "a primary key that says NOT NULL by itself": (
        "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t (a TEXT NOT NULL, PRIMARY KEY (a)) WITHOUT ROWID",
    ),
    "virtual is what generated columns are": (
        "CREATE TABLE t (a INT, b INT AS (a + 1))",
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1) VIRTUAL)",
    ),
    "options in any order": (
        "CREATE TABLE t (a INT PRIMARY KEY) STRICT, WITHOUT ROWID",
        "CREATE TABLE t (a INT PRIMARY KEY) without rowid, strict",
    ),
    "views and triggers": (
        (
            "CREATE TABLE t (a INT, b TEXT); CREATE VIEW v AS SELECT a AS Total, b FROM t; "
            "CREATE TRIGGER g AFTER UPDATE OF a ON t BEGIN DELETE FROM t WHERE b = 'x;y'; END"
        ),
        (
            'create table t ("a" int, [b] text); '
            'create view v as select "a" as Total , `b` from "t"; '
            "create trigger if not exists main.g after update of A on T -- soon\n"
            "begin delete from T where B='x;y' ; end"
        ),
    ),
    "virtual tables": (
        "CREATE VIRTUAL TABLE f USING fts5(title, body, tokenize = 'porter ascii')",
        "CREATE VIRTUAL TABLE f USING fts5 ( title,body,  tokenize='porter ascii' )",
    ),
    "names of clauses that have none in SQLite": (
        "CREATE TABLE t (a INT CONSTRAINT n NOT NULL CONSTRAINT d DEFAULT 5)",
        "CREATE TABLE t (a INT NOT NULL DEFAULT 5)",
    ),
    "the same index in another order": (
        "CREATE TABLE t (a, b); CREATE INDEX i ON t (a); CREATE INDEX j ON t (b)",
        "CREATE TABLE t (a, b); CREATE INDEX j ON t (b); CREATE INDEX i ON t (a)",
    ),
    "statistics": (
        "CREATE TABLE t (a); CREATE INDEX i ON t (a)",
        "CREATE TABLE t (a); CREATE INDEX i ON t (a); ANALYZE",
    ),
}


@pytest.mark.parametrize(("before", "after"), EQUAL.values(), ids=EQUAL.keys())
def test_what_is_only_written_differently_is_equal(before: str, after: str) -> None:
    assert compare(schema(before), schema(after)) == ()


T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT)"
DIFFERENT = {
    "default as a string": (
        "CREATE TABLE t (a INT DEFAULT 100)",
        "CREATE TABLE t (a INT DEFAULT '100')",
        [("column", "a")],
    ),
    "a table": ("", T + "; CREATE INDEX i ON t (a)", [("table", "")]),
    "a table's spelling": ("CREATE TABLE t (a)", "CREATE TABLE T (a)", [("table", "")]),
    "a column": (T, T.replace(", b INT", ""), [("column", "b")]),
    "a column's spelling": (T, T.replace(" a ", " A "), [("column", "A")]),
    "a column's type": (T, T.replace("b INT", "b BIGINT"), [("column", "b")]),
    "a table's column order": (
        T,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b INT, a TEXT, c INT)",
        [("column-order", ""), ("column", "c")],
    ),
    "a trigger": (
        T + "; CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
        T,
        [("trigger", "g")],
    ),
    "a trigger's body": (
        T + "; CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 'x'; END",
        T + "; CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 'X'; END",
        [("trigger", "g")],
    ),
    "a trigger's string in double quotes": (
        T + '; CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = "x"; END',
        T + '; CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = "X"; END',
        [("trigger", "g")],
    ),
    "a view": (T + "; CREATE VIEW v AS SELECT a FROM t", T, [("view", "")]),
    "a view's column": (
        T + "; CREATE VIEW v AS SELECT a AS Total FROM t",
        T + "; CREATE VIEW v AS SELECT a AS total FROM t",
        [("view", "")],
    ),
    "a view's columns": (
        T + "; CREATE VIEW v (x) AS SELECT a FROM t",
        T + "; CREATE VIEW v (X) AS SELECT a FROM t",
        [("view", "")],
    ),
    "a view in a table's place": (
        T,
        "CREATE VIEW t AS SELECT 1 AS id",
        [("table", ""), ("view", "")],
    ),
    "an index": (T + "; CREATE INDEX i ON t (a)", T, [("index", "i")]),
    "a partial index": (
        T + "; CREATE INDEX i ON t (a) WHERE b > 0",
        T + "; CREATE INDEX i ON t (a)",
        [("index", "i")],
    ),
    "an expression index": (
        T + "; CREATE INDEX i ON t (lower(a))",
        T + "; CREATE INDEX i ON t (a)",
        [("index", "i")],
    ),
    "a descending index": (
        T + "; CREATE INDEX i ON t (a DESC)",
        T + "; CREATE INDEX i ON t (a)",
        [("index", "i")],
    ),
    "an index's collation": (
        T + "; CREATE INDEX i ON t (a COLLATE NOCASE)",
        T + "; CREATE INDEX i ON t (a)",
        [("index", "i")],
    ),
    "an expression's collation": (
        T + "; CREATE INDEX i ON t (lower(a) COLLATE NOCASE)",
        T + "; CREATE INDEX i ON t (lower(a))",
        [("index", "i")],
    ),
    "a check": ("CREATE TABLE t (a CHECK (a > 0))", "CREATE TABLE t (a)", [("check", "")]),
    "a check's name": (
        "CREATE TABLE t (a CONSTRAINT c CHECK (a))",
        "CREATE TABLE t (a CHECK (a))",
        [("check", ""), ("check", "c")],
    ),
    "a collation": (
        "CREATE TABLE t (a TEXT COLLATE NOCASE)",
        "CREATE TABLE t (a TEXT)",
        [("collation", "a")],
    ),
    "autoincrement": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        [("autoincrement", "id")],
    ),
    "an action": (
        "CREATE TABLE t (a REFERENCES p (x) ON DELETE CASCADE)",
        "CREATE TABLE t (a REFERENCES p (x))",
        [("foreign-key", "(a)")],
    ),
    "a deferral": (
        "CREATE TABLE t (a REFERENCES p (x) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE t (a REFERENCES p (x))",
        [("foreign-key", "(a)")],
    ),
    "a match": (
        "CREATE TABLE t (a REFERENCES p (x) MATCH FULL)",
        "CREATE TABLE t (a REFERENCES p (x))",
        [("foreign-key", "(a)")],
    ),
    "one of two equal foreign keys": (
        "CREATE TABLE t (a REFERENCES p (x) REFERENCES p (x))",
        "CREATE TABLE t (a REFERENCES p (x))",
        [("foreign-key", "(a)")],
    ),
    "a conflict clause": (
        "CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)",
        "CREATE TABLE t (a UNIQUE)",
        [("on-conflict", "UNIQUE (a)")],
    ),
    "a conflict clause of NOT NULL": (
        "CREATE TABLE t (a NOT NULL ON CONFLICT IGNORE)",
        "CREATE TABLE t (a NOT NULL)",
        [("on-conflict", "a NOT NULL")],
    ),
    "stored or virtual": (
        "CREATE TABLE t (a, b AS (a) STORED)",
        "CREATE TABLE t (a, b AS (a))",
        [("generated", "b")],
    ),
    "generated or not": (
        "CREATE TABLE t (a, b AS (a))",
        "CREATE TABLE t (a, b)",
        [("generated", "b")],
    ),
    "strict": (
        "CREATE TABLE t (a INT) STRICT",
        "CREATE TABLE t (a INT)",
        [("table-option", "STRICT")],
    ),
    "without rowid": (
        "CREATE TABLE t (a INT NOT NULL PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t (a INT NOT NULL PRIMARY KEY)",
        [("table-option", "WITHOUT ROWID")],
    ),
    "INT or INTEGER": (
        "CREATE TABLE t (a INT PRIMARY KEY)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY)",
        [("column", "a"), ("rowid-alias", "a")],
    ),
    "a descending key is no rowid": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY DESC)",
        "CREATE TABLE t (a INTEGER, PRIMARY KEY (a DESC))",
        [("rowid-alias", "a")],
    ),
    "a key's columns": (
        "CREATE TABLE t (a, b, PRIMARY KEY (a, b))",
        "CREATE TABLE t (a, b, PRIMARY KEY (a))",
        [("primary-key", "")],
    ),
    "a constraint's name": (
        "CREATE TABLE t (a CONSTRAINT u UNIQUE)",
        "CREATE TABLE t (a UNIQUE)",
        [("unique", "(a)")],
    ),
    "unique index or constraint": (
        "CREATE TABLE t (a UNIQUE)",
        "CREATE TABLE t (a); CREATE UNIQUE INDEX i ON t (a)",
        [("index", "i"), ("unique", "(a)")],
    ),
    "a virtual table's arguments": (
        "CREATE VIRTUAL TABLE f USING fts5(a, tokenize='ascii')",
        "CREATE VIRTUAL TABLE f USING fts5(a, tokenize='porter')",
        [("virtual-table", "")],
    ),
    "a virtual table": ("CREATE VIRTUAL TABLE f USING fts4(a)", "", [("virtual-table", "")]),
}


@pytest.mark.parametrize(("before", "after", "expected"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_a_difference_is_seen(before: str, after: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(differences(before, after)) == sorted(expected)
    assert sorted(kind for kind, _ in differences(after, before)) == sorted(
        kind for kind, _ in expected
    )


def test_a_difference_reads_well() -> None:
    told = only("CREATE TABLE Users (name VARCHAR(50))", "CREATE TABLE Users (name varchar(100))")
    assert str(told) == "column Users.name: VARCHAR(50) -> VARCHAR(100)"
    told = only("CREATE TABLE t (a)", "CREATE TABLE t (a, b INT NOT NULL DEFAULT 1)")
    assert str(told) == "column t.b is new: INT NOT NULL DEFAULT 1"
    told = only("CREATE TABLE t (a REFERENCES p (x))", "CREATE TABLE t (a)")
    assert str(told) == "foreign-key t (a) is gone: REFERENCES p (x)"
    told = only("CREATE TABLE t (a, B)", "")
    assert str(told) == "table t is gone: (a, B)"
    told = only("CREATE TABLE t (a, b)", "CREATE TABLE t (b, a)")
    assert str(told) == "column-order t: a, b -> b, a"


def test_the_version_table_is_left_out_and_others_where_asked() -> None:
    before = schema("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    after = schema("CREATE TABLE other (a); CREATE INDEX i ON other (a)")
    assert [one.table for one in compare(before, after)] == ["other"]
    assert compare(before, after, ignore={"Alembic_Version", "OTHER"}) == ()
    assert [one.table for one in compare(before, after, ignore=())] == ["alembic_version", "other"]


def test_a_temporary_table_of_the_same_name_is_not_looked_at() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a INT)")
        before = schema_of(connection)
        connection.execute("CREATE TEMP TABLE t (z TEXT)")
        assert compare(before, schema_of(connection)) == ()


def test_what_a_transaction_changed_is_seen_before_its_commit() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a INT)")
        before = schema_of(connection)
        connection.execute("BEGIN")
        connection.execute("ALTER TABLE t ADD COLUMN b INT")
        assert [one.name for one in compare(before, schema_of(connection))] == ["b"]


def test_a_virtual_table_whose_module_is_missing_is_told_all_the_same() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            """
            CREATE TABLE t (a);
            PRAGMA writable_schema = ON;
            INSERT INTO sqlite_schema VALUES
              ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING nowhere(a, b)');
            """
        )
        connection.execute("PRAGMA writable_schema = RESET")
        kinds = {(fact.kind, fact.table): fact.text for fact in schema_of(connection).facts}
    assert kinds["virtual-table", "v"] == "USING nowhere(a, b)"


def test_the_sequence_of_autoincrement_is_told() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert sequences(connection) == {}
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE u (a);"
            "INSERT INTO t VALUES (41); INSERT INTO t VALUES (NULL); DELETE FROM t;"
        )
        assert sequences(connection) == {"t": 42}


FULL = """
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE t (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT COLLATE NOCASE NOT NULL ON CONFLICT IGNORE,
  state TEXT CHECK (state IN ('a', 'b')),
  code TEXT UNIQUE ON CONFLICT REPLACE,
  parent_id INTEGER REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  other INT
);
CREATE INDEX by_lower ON t (lower(name));
CREATE INDEX by_name ON t (name DESC);
CREATE INDEX by_code ON t (code COLLATE NOCASE);
CREATE TRIGGER stamp AFTER INSERT ON t BEGIN UPDATE t SET other = 1 WHERE id = new.id; END;
"""


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sqlalchemy.exc.SAWarning")
def test_everything_that_alembics_batch_mode_drops_is_seen() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.executescript(FULL)
        before = schema_of(raw)
        with Operations(MigrationContext.configure(connection)).batch_alter_table("t") as batch:
            batch.alter_column("other", new_column_name="renamed")
        found = {(one.kind, one.name) for one in compare(before, schema_of(raw))}
    engine.dispose()
    assert found >= {
        ("autoincrement", "id"),
        ("collation", "name"),
        ("check", ""),
        ("on-conflict", "name NOT NULL"),
        ("on-conflict", "UNIQUE (code)"),
        ("foreign-key", "(parent_id)"),
        ("index", "by_lower"),
        ("index", "by_name"),
        ("index", "by_code"),
        ("trigger", "stamp"),
    }
