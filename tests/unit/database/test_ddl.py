"""CREATE statements taken apart: the odd ones that SQLite accepts as well."""

from __future__ import annotations

import sqlite3

import pytest

from orchctl.database.ddl import UnreadableDdlError, parse_index, parse_table
from orchctl.database.schema import schema_of
from orchctl.database.tokens import expression, tokens, unwrapped, verbatim

ODD = {
    "names in every quote": """CREATE TABLE "a b" ([c d] INT, `e``f` TEXT, 'g''h' REAL, "i""j")""",
    "a bracket in a name": 'CREATE TABLE t ("a]b" INT, "c)d" TEXT, "e,f" INT, "g(h" INT)',
    "comments": "CREATE TABLE t (a INT -- , b TEXT\n, /* ( */ b /* x */ TEXT /* ) */)",
    "comment at the end": "CREATE TABLE t (a INT, b TEXT -- the last\n)",
    "keywords as names": 'CREATE TABLE "select" ("table" INT, "check" TEXT, "primary" REAL)',
    "keywords as bare names": "CREATE TABLE t (key INT, desc TEXT, match INT, action INT, no INT)",
    "nested parentheses": "CREATE TABLE t (a INT CHECK (((a + (1)) > 0) OR (a IN (1, (2), 3))))",
    "strings with commas": "CREATE TABLE t (a TEXT CHECK (a IN ('x,y', ')', '(', 'it''s')), b)",
    "strings with comments": "CREATE TABLE t (a TEXT DEFAULT '-- no', b TEXT DEFAULT '/* no')",
    "no types": "CREATE TABLE t (a, b, c PRIMARY KEY, d NOT NULL, e DEFAULT 1, f UNIQUE)",
    "types of several words": "CREATE TABLE t (a UNSIGNED BIG INT, b DOUBLE PRECISION (1, 2))",
    "types with signs": "CREATE TABLE t (a NUMERIC(+10, -2), b VARCHAR (  10 ), c 'odd', d [e f])",
    "no commas between constraints": "CREATE TABLE t (a, b, UNIQUE (a) CHECK (b > 0) UNIQUE (b))",
    "constraint without anything": "CREATE TABLE t (a INT CONSTRAINT x, b, CONSTRAINT y)",
    "constraint named twice": "CREATE TABLE t (a INT CONSTRAINT x CONSTRAINT y NOT NULL, b)",
    "everything on a column": (
        "CREATE TABLE t (a INTEGER CONSTRAINT p PRIMARY KEY ASC ON CONFLICT ROLLBACK AUTOINCREMENT "
        "CONSTRAINT n NOT NULL ON CONFLICT FAIL CONSTRAINT u UNIQUE ON CONFLICT IGNORE CHECK (a) "
        "DEFAULT -1 COLLATE NOCASE REFERENCES t (a) ON DELETE SET NULL ON UPDATE NO ACTION "
        "MATCH FULL NOT DEFERRABLE INITIALLY DEFERRED)"
    ),
    "deferrable apart from its key": (
        "CREATE TABLE t (a INT REFERENCES t (b) UNIQUE DEFERRABLE INITIALLY DEFERRED, b UNIQUE)"
    ),
    "autoincrement in parentheses": "CREATE TABLE t (a INTEGER, PRIMARY KEY (a AUTOINCREMENT))",
    "terms in parentheses": "CREATE TABLE t (a, b, UNIQUE ((a) COLLATE NOCASE DESC, (b)))",
    "terms as strings": "CREATE TABLE t ('a', b, PRIMARY KEY ('a' COLLATE nocase), UNIQUE (\"b\"))",
    "null as a constraint": "CREATE TABLE t (a NULL, b INT NULL ON CONFLICT IGNORE DEFAULT NULL)",
    "generated": "CREATE TABLE t (a, b INT GENERATED ALWAYS AS (a * 2) STORED, c AS (a || ','))",
    "a column called generated": "CREATE TABLE t (generated GENERATED, always ALWAYS)",
    "defaults": (
        "CREATE TABLE t (a DEFAULT +5, b DEFAULT (1 + (2)), c DEFAULT abc, d DEFAULT \"a b\", "
        "e DEFAULT x'00ff', f DEFAULT 1e-5, g DEFAULT current_timestamp, h DEFAULT (random()), "
        "i DEFAULT .5, j DEFAULT 0xFF, k DEFAULT true)"
    ),
    "options": "CREATE TABLE t (a TEXT PRIMARY KEY, b ANY) STRICT, WITHOUT ROWID",
    "a semicolon inside": "CREATE TABLE t (a TEXT DEFAULT ';', b TEXT CHECK (b <> ';'));",
    "other languages": "CREATE TABLE größe (straße TEXT, \"日 本\" INT, näme INT UNIQUE)",
    "operators": "CREATE TABLE t (a CHECK (a->>'$' == 1 AND a<<2 >= 3 AND a||'' != 'x' OR -a))",
    "case": "CREATE TABLE t (a CHECK (CASE WHEN a THEN 1 ELSE 2 END BETWEEN 0 AND 9), b)",
    "match and raise words": "CREATE TABLE t (a CHECK (a LIKE 'x%' ESCAPE '!' AND a NOT NULL), b)",
    "tabs and form feeds": "CREATE\tTABLE\nt\f(\ra\tINT\n,\nb)",
    "many columns": f"CREATE TABLE t ({', '.join(f'c{i} INT DEFAULT {i}' for i in range(300))})",
}  # fmt: skip


@pytest.mark.parametrize("sql", ODD.values(), ids=ODD.keys())
def test_an_odd_table_is_taken_apart(sql: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(sql)
    facts = schema_of(connection).facts
    assert "statement" not in {fact.kind for fact in facts}
    connection.close()


@pytest.mark.parametrize("sql", ODD.values(), ids=ODD.keys())
def test_an_odd_table_is_the_same_again_after_a_copy(sql: str) -> None:
    one, other = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    one.execute(sql)
    for (statement,) in one.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"):
        if "sqlite_sequence" not in statement:
            other.execute(statement)
    assert set(schema_of(one).facts) == set(schema_of(other).facts)
    one.close()
    other.close()


def test_a_table_made_from_a_select_is_read() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE TABLE a (x INTEGER, "y z" VARCHAR(10), w)')
    connection.execute('CREATE TABLE b AS SELECT x, "y z", w, x + 1, count(*) FROM a')
    schema = schema_of(connection)
    assert len(schema.columns["b"]) == 5
    assert "statement" not in {fact.kind for fact in schema.facts}
    connection.close()


def test_everything_alter_table_writes_is_read() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE t (a INT, b TEXT, CONSTRAINT u UNIQUE (a) -- the end
        );
        ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 1 REFERENCES parent ON DELETE CASCADE;
        ALTER TABLE t ADD COLUMN d INTEGER NOT NULL DEFAULT 2 CHECK (d > 0);
        ALTER TABLE t ADD COLUMN e AS (d + 1);
        ALTER TABLE t RENAME COLUMN a TO "a a";
        ALTER TABLE t RENAME TO "t t";
        ALTER TABLE "t t" DROP COLUMN b;
        """
    )
    schema = schema_of(connection)
    assert schema.columns["t t"] == ("a a", "c", "d", "e")
    facts = {(fact.kind, fact.name): fact.text for fact in schema.facts if fact.table == "t t"}
    assert ("statement", "") not in facts
    assert facts["unique", '("a a")'] == 'CONSTRAINT u UNIQUE ("a a")'
    assert facts["foreign-key", "(c)"] == "REFERENCES parent (id) ON DELETE CASCADE"
    assert facts["generated", "e"] == "(d + 1) VIRTUAL"
    connection.close()


def test_the_parts_of_a_table() -> None:
    table = parse_table(ODD["everything on a column"])
    (key, unique), (foreign,) = table.keys, table.foreign_keys
    assert (key.primary, key.name, key.conflict) == (True, "p", "ROLLBACK")
    assert (unique.primary, unique.name, unique.conflict) == (False, "u", "IGNORE")
    assert table.autoincrement
    assert (table.columns[0].collation, table.columns[0].not_null_conflict) == ("NOCASE", "FAIL")
    assert (foreign.table, foreign.targets, foreign.deferrable) == ("t", ("a",), "")
    assert foreign.actions == ("MATCH FULL", "ON DELETE SET NULL")


def test_a_deferrable_clause_belongs_to_the_last_foreign_key() -> None:
    table = parse_table(ODD["deferrable apart from its key"])
    assert table.foreign_keys[0].deferrable == "DEFERRABLE INITIALLY DEFERRED"


def test_the_parts_of_an_index() -> None:
    index = parse_index(
        "CREATE INDEX i ON t (a, lower(b) COLLATE NOCASE DESC, (c), x || ',') WHERE a > 0 AND b"
    )
    assert [verbatim(term) for term in index.terms] == ["a", "lower(b)", "c", "x || ','"]
    assert index.where is not None
    assert verbatim(index.where) == "a > 0 AND b"


@pytest.mark.parametrize(
    "sql",
    ["", "CREATE TABLE t", "CREATE TABLE t (", "CREATE TABLE t (a FOO (, b)", "CREATE TABLE t ()",
     "CREATE TABLE t (a, UNIQUE)", "CREATE TABLE t (a REFERENCES)", "CREATE TABLE t (a NOT)",
     "CREATE TABLE t (a, PRIMARY KEY (a + 1))", "CREATE TABLE t (a INT ? CHECK (1) 5)"],
)  # fmt: skip
def test_what_is_no_table_is_said_to_be_none(sql: str) -> None:
    with pytest.raises(UnreadableDdlError):
        parse_table(sql)


@pytest.mark.parametrize(
    "sql", ["", "CREATE INDEX i", "CREATE INDEX i ON t", "CREATE INDEX i ON t (a) HAVING b"]
)
def test_what_is_no_index_is_said_to_be_none(sql: str) -> None:
    with pytest.raises(UnreadableDdlError):
        parse_index(sql)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a > 0", "(( A>0 ))"),
        ("a IN ('x', 'y')", "[a] in ('x' , \"y\")"),
        ("lower(a) = 'x'", "LOWER(`A`)='x'"),
        ('"a" IS NOT NULL', "a /* c */ is  not -- d\n null"),
        ("a COLLATE nocase = 1E5", 'a collate "nocase" = 1e5'),
        ("a = x'AB'", "a = X'ab'"),
        ("t.a > 0", '"t"."a" > 0'),
    ],
)
def test_one_expression_written_twice_is_one_expression(one: str, other: str) -> None:
    assert expression(tokens(one), {"a"}) == expression(tokens(other), {"a"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = 'x'", "a = 'X'"),
        ('a = "x"', 'a = "X"'),  # strings, for no column is called x
        ("a > 0", "a > 00"),
        ("a > 10", "a > 1 0"),
        ("a = 100", "a = '100'"),
        ("a = NULL", 'a = "null"'),
        ("(a) + (b)", "a + b"),
        ("a < - b", "a <- b".replace("<-", "<= -")),
        ("a = true", "a = 'true'"),
    ],
)
def test_two_expressions_stay_two(one: str, other: str) -> None:
    columns = {"a", "b"}
    assert expression(tokens(one), columns) != expression(tokens(other), columns)


def test_only_enclosing_parentheses_fall_away() -> None:
    assert verbatim(unwrapped(tokens("((a) AND (b))"))) == "(a) AND (b)"
    assert verbatim(unwrapped(tokens("()"))) == ""
