"""H13, every kind of thing that a rebuild by batch mode can lose: what becomes of it here.

Kept by Alembic; put back in the same transaction, and said; refused unless declared; or Alembic
itself fails, and the database is as before. What a revision changes by name is not in its way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.preloaded import orchctl
from tests.support.projects import Project, execute, query

REBUILD = """
with op.batch_alter_table("t") as batch:
    batch.alter_column("w", type_=sa.Text)
"""
COUNTING = REBUILD.replace('"t"', '"t", table_kwargs={"sqlite_autoincrement": True}')
PARENT = "CREATE TABLE p (id INTEGER PRIMARY KEY);"
COLUMNS = "id INTEGER PRIMARY KEY, w VARCHAR(9)"
KEYED = "CREATE TABLE t (k TEXT PRIMARY KEY, w VARCHAR(9));"
WORDS = "INSERT INTO t VALUES ('a', 'alpha'), ('b', 'beta'), ('c', 'gamma');"
GAP = f"{WORDS} DELETE FROM t WHERE k = 'a';"


def table(more: str = "", *, options: str = "", columns: str = COLUMNS) -> str:
    return f"CREATE TABLE t ({columns}{', ' if more else ''}{more}) {options};"


def full_text(options: str, *, id_: str = "rowid") -> str:
    return (
        f"CREATE VIRTUAL TABLE ft USING fts5(w, {options});"
        f"CREATE TRIGGER ft_in AFTER INSERT ON t BEGIN "
        f"INSERT INTO ft (rowid, w) VALUES (new.{id_}, new.w); END;"
        f"CREATE TRIGGER ft_out AFTER DELETE ON t BEGIN "
        f"INSERT INTO ft (ft, rowid, w) VALUES ('delete', old.{id_}, old.w); END;"
    )


@dataclass(frozen=True)
class Kind:
    """A schema with something in it, and what becomes of that when its table is built again.

    Attributes:
        schema: Made by hand before the revision.
        put_back: What is said to be put back.
        refused: The kinds of schema loss that stop the run.
        fails: What Alembic itself stumbles over.
        body: The revision.
    """

    schema: str
    put_back: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    fails: str = ""
    body: str = REBUILD


KINDS = {
    # -- triggers and views
    "trigger": Kind(
        table() + "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;", ("trigger x",)
    ),
    "trigger on another table": Kind(
        table() + "CREATE TABLE o (id); CREATE TRIGGER x AFTER INSERT ON o "
        "BEGIN DELETE FROM t WHERE id = new.id; END;",
        fails="error in trigger x",
    ),
    "view": Kind(table() + "CREATE VIEW v AS SELECT id FROM t;", fails="error in view v"),
    "trigger on an unrelated view": Kind(
        table() + "CREATE VIEW v AS SELECT 1 AS x;"
        "CREATE TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT 1; END;"
    ),
    # -- indexes
    "index": Kind(table() + "CREATE UNIQUE INDEX ix ON t (w);"),
    "partial index": Kind(table("n INTEGER") + "CREATE INDEX ix ON t (w) WHERE n > 3;"),
    "expression index": Kind(table() + "CREATE INDEX ix ON t (lower(w));", ("index ix",)),
    "operator index": Kind(table("n INTEGER") + "CREATE INDEX ix ON t (n + 1);", ("index ix",)),
    "descending index": Kind(table() + "CREATE INDEX ix ON t (w DESC);", ("index ix",)),
    "collated index": Kind(table() + "CREATE INDEX ix ON t (w COLLATE NOCASE);", ("index ix",)),
    "descending partial index": Kind(
        table("n INTEGER") + "CREATE INDEX ix ON t (n DESC) WHERE n > 3;", ("index ix",)
    ),
    # -- CHECK, UNIQUE, PRIMARY KEY
    "column CHECK": Kind(table("n INTEGER CHECK (n > 0)"), refused=("check",)),
    "table CHECK": Kind(table("n INTEGER, CHECK (n > id)"), refused=("check",)),
    "named CHECK": Kind(table("n INTEGER, CONSTRAINT pos CHECK (n > 0)")),
    "UNIQUE": Kind(table("a TEXT, b TEXT UNIQUE, UNIQUE (a, b)")),
    "collated UNIQUE": Kind(table("a TEXT, UNIQUE (a COLLATE NOCASE)"), refused=("unique",)),
    "collated PRIMARY KEY": Kind(
        table("PRIMARY KEY (k COLLATE NOCASE)", columns="k TEXT, w TEXT"), refused=("primary-key",)
    ),
    # -- columns
    "collation": Kind(table("n TEXT COLLATE NOCASE"), refused=("collation",)),
    "AUTOINCREMENT": Kind(
        table(columns="id INTEGER PRIMARY KEY AUTOINCREMENT, w TEXT"), refused=("autoincrement",)
    ),
    "sequence": Kind(
        table(columns="id INTEGER PRIMARY KEY AUTOINCREMENT, w TEXT")
        + "INSERT INTO t VALUES (1, 'a'), (9, 'b'); DELETE FROM t WHERE id = 9;",
        ("sequence of t",),
        body=COUNTING,
    ),
    "sequence of an emptied table": Kind(
        table(columns="id INTEGER PRIMARY KEY AUTOINCREMENT, w TEXT")
        + "INSERT INTO t VALUES (9, 'b'); DELETE FROM t;",
        ("sequence of t",),
        body=COUNTING,
    ),
    "virtual generated column": Kind(
        table("n INTEGER, g INTEGER GENERATED ALWAYS AS (n * 2) VIRTUAL"), fails="generated column"
    ),
    "stored generated column": Kind(
        table("n INTEGER, g INTEGER AS (n * 2) STORED"), fails="GENERATED ALWAYS AS"
    ),
    "column without a type": Kind(table("x"), fails="specify a type"),
    # -- foreign keys
    "inline ON DELETE": Kind(
        PARENT + table("p INTEGER REFERENCES p (id) ON DELETE CASCADE"), refused=("foreign-key",)
    ),
    "inline ON UPDATE": Kind(
        PARENT + table("p INTEGER REFERENCES p (id) ON UPDATE CASCADE"), refused=("foreign-key",)
    ),
    "inline DEFERRABLE": Kind(
        PARENT + table("p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED"),
        refused=("foreign-key",),
    ),
    "REFERENCES without columns": Kind(
        PARENT + table("p INTEGER REFERENCES p ON DELETE SET NULL"), refused=("foreign-key",)
    ),
    "table-level foreign key": Kind(
        PARENT + table("p INTEGER, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE "
                       "ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED")
    ),
    # -- ON CONFLICT
    "UNIQUE ON CONFLICT": Kind(
        table("u TEXT, UNIQUE (u) ON CONFLICT REPLACE"), refused=("on-conflict",)
    ),
    "inline ON CONFLICT": Kind(
        table("u TEXT UNIQUE ON CONFLICT IGNORE"), refused=("on-conflict",)
    ),
    "NOT NULL ON CONFLICT": Kind(
        table("u TEXT NOT NULL ON CONFLICT IGNORE"), refused=("on-conflict",)
    ),
    "PRIMARY KEY ON CONFLICT": Kind(
        table(columns="id INTEGER PRIMARY KEY ON CONFLICT REPLACE, w TEXT"),
        refused=("on-conflict",),
    ),
    # -- the table
    "STRICT": Kind(table(options="STRICT", columns="id INTEGER PRIMARY KEY, w TEXT")),
    "WITHOUT ROWID": Kind(table(options="WITHOUT ROWID", columns="k TEXT PRIMARY KEY, w TEXT")),
    "STRICT, WITHOUT ROWID": Kind(
        table(options="STRICT, WITHOUT ROWID", columns="k TEXT PRIMARY KEY, w TEXT")
    ),
    "INT PRIMARY KEY": Kind(
        table(columns="id INT PRIMARY KEY, w TEXT"), refused=("rowid-alias",)
    ),
    "INTEGER PRIMARY KEY to BIGINT": Kind(
        table(),
        refused=("rowid-alias",),
        body='with op.batch_alter_table("t") as batch:\n'
        '    batch.alter_column("id", type_=sa.BigInteger)',
    ),
    # -- full text
    "FTS5, external content": Kind(
        table() + full_text("content='t', content_rowid='id'", id_="id"),
        ("trigger ft_in", "trigger ft_out"),
    ),
    "FTS5, external content by a rowid that changes": Kind(
        KEYED + full_text("content=t") + GAP,
        (
            "trigger ft_in",
            "trigger ft_out",
            "full-text index ft, filled again for the new rowids",
        ),
    ),
    "FTS5, external content by a rowid that stays": Kind(
        KEYED + full_text("content=t") + WORDS, ("trigger ft_in", "trigger ft_out")
    ),
    "FTS4, external content by a rowid that changes": Kind(
        KEYED + 'CREATE VIRTUAL TABLE ft USING fts4(w, content="t");'
        + GAP + "INSERT INTO ft (ft) VALUES ('rebuild');",
        ("full-text index ft, filled again for the new rowids",),
    ),
    "FTS5, contentless, by a rowid that changes": Kind(
        KEYED + full_text("content=''").replace("'delete', old.rowid, old.w", "'x', 0, 0")
        .replace("INSERT INTO ft (ft, rowid, w) VALUES ('x', 0, 0)", "SELECT 1") + GAP,
        refused=("full-text",),
    ),
}  # fmt: skip

DROPPED = "batch.drop_constraint({!r}, type_={!r})"
NAMED_KEY = "p INTEGER, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE"


def batch(*operations: str) -> str:
    lines = "\n    ".join(('batch.alter_column("w", type_=sa.Text)', *operations))
    return f'with op.batch_alter_table("t") as batch:\n    {lines}'


# The schema, the revision, and what must not stand in the schema afterwards.
ON_PURPOSE = {
    "drop_index in the batch": (
        table("n INTEGER") + "CREATE INDEX ix ON t (n DESC);",
        batch('batch.drop_index("ix")'),
        "INDEX ix",
    ),
    "drop_index with op.f": (
        table("n INTEGER") + "CREATE INDEX ix ON t (n DESC);",
        batch('batch.drop_index(op.f("ix"))'),
        "INDEX ix",
    ),
    "drop_index beside it": (
        table() + "CREATE INDEX ix ON t (lower(w));",
        batch() + '\nop.drop_index("ix", "t", if_exists=True)',
        "INDEX ix",
    ),
    "another index of that name": (
        table() + "CREATE INDEX ix ON t (w DESC);",
        batch() + '\nop.drop_index("ix", "t")\nop.create_index("ix", "t", ["w"])',
        "DESC",
    ),
    "drop_constraint of a CHECK": (
        table("n INTEGER, CONSTRAINT pos CHECK (n > 0)"),
        batch(DROPPED.format("pos", "check")),
        "CHECK",
    ),
    "drop_constraint of a UNIQUE": (
        table("a TEXT, b TEXT, CONSTRAINT uq UNIQUE (a, b)"),
        batch(DROPPED.format("uq", "unique"), 'batch.drop_column("a")'),
        "UNIQUE",
    ),
    "drop_constraint of a foreign key": (
        PARENT + table(NAMED_KEY),
        batch(DROPPED.format("fk", "foreignkey")),
        "FOREIGN KEY",
    ),
    "a foreign key made anew without ON DELETE": (
        PARENT + table(NAMED_KEY),
        batch(
            DROPPED.format("fk", "foreignkey"), 'batch.create_foreign_key("fk", "p", ["p"], ["id"])'
        ),
        "ON DELETE",
    ),
    "a column with its CHECK": (
        table("n INTEGER CHECK (n > 0)"), batch('batch.drop_column("n")'), "CHECK"
    ),
    "another collation": (
        table("n TEXT COLLATE NOCASE"),
        batch('batch.alter_column("n", type_=sa.Text(collation="RTRIM"))'),
        "NOCASE",
    ),
    "another type": (
        table("n TEXT") + "INSERT INTO t VALUES (1, 'a', '5');",
        batch('batch.alter_column("n", type_=sa.Integer)'),
        "n TEXT",
    ),
    "DROP TRIGGER": (
        table() + "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;",
        'op.execute("DROP TRIGGER x")\n' + batch(),
        "TRIGGER x",
    ),
    "another trigger of that name": (
        table() + "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;",
        batch() + '\nop.execute("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 2; END")',
        "SELECT 1",
    ),
}  # fmt: skip


def _project(tmp_path: Path, schema: str, body: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001")
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, schema)
    project.add("002", body)
    return project


def _schema(project: Project) -> dict[str, str]:
    rows = query(project.database, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: sql for name, sql in rows if name != "t"}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.refused])
def test_h13_kept_or_put_back_or_as_before(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    project = _project(tmp_path, kind.schema, kind.body)
    before, schema = project.dump(), _schema(project)
    done = orchctl(project, "upgrade", "--no-rehearse")
    if kind.fails:
        assert done.returncode == 6, done.stderr
        assert kind.fails in done.stderr
        assert project.dump() == before
        return
    assert done.returncode == 0, done.stderr
    told = [line.partition("rebuild: ")[2] for line in done.stderr.splitlines() if "Put" in line]
    assert sorted(told) == sorted(kind.put_back)
    after = _schema(project)
    assert after.keys() == schema.keys()
    assert {name: " ".join(sql.split()) for name, sql in after.items() if name != "ix"} == {
        name: " ".join(sql.split()) for name, sql in schema.items() if name != "ix"
    }
    if kind.put_back == ("index ix",):
        assert after["ix"] == schema["ix"]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.refused])
def test_h13_refused_unless_declared(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    project = _project(tmp_path, kind.schema, kind.body)
    before = project.dump()
    refused = orchctl(project, "upgrade", "--no-rehearse", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "schema-loss"
    assert {loss["kind"] for loss in error["details"]["losses"]} == set(kind.refused)
    assert project.dump() == before
    flags = error["hint"].partition(", or in the revision")[0].partition(": ")[2]
    declared = orchctl(project, "upgrade", "--no-rehearse", *flags.replace("'", "").split(" ", 1))
    assert declared.returncode == 0, declared.stderr


@pytest.mark.parametrize("name", ON_PURPOSE)
def test_h13_what_a_revision_changes_by_name_is_not_in_its_way(tmp_path: Path, name: str) -> None:
    schema, body, gone = ON_PURPOSE[name]
    project = _project(tmp_path, schema, body)
    done = orchctl(project, "upgrade", "--no-rehearse")
    assert done.returncode == 0, done.stderr
    assert "Put back" not in done.stderr or "made" in name
    assert gone not in project.dump()


def test_h13_a_name_in_the_downgrade_is_no_purpose_of_the_upgrade(tmp_path: Path) -> None:
    schema = table() + "CREATE INDEX ix ON t (w DESC);"
    project = _project(tmp_path, schema, REBUILD)
    project.revisions.pop()
    project.add("002", REBUILD, 'op.drop_index("ix", "t")')
    done = orchctl(project, "upgrade", "--no-rehearse")
    assert "Put back, dropped by a table rebuild: index ix" in done.stderr


@pytest.mark.parametrize(
    "name", [name for name in KINDS if "rowid that" in name and "less" not in name]
)
def test_h13_full_text_search_finds_the_same_rows(tmp_path: Path, name: str) -> None:
    project = _project(tmp_path, KINDS[name].schema, REBUILD)
    search = "SELECT t.k FROM ft JOIN t ON t.rowid = ft.rowid WHERE ft MATCH 'gamma'"
    assert query(project.database, search) == [("c",)]
    assert orchctl(project, "upgrade", "--no-rehearse").returncode == 0
    assert query(project.database, search) == [("c",)]
    execute(project.database, "INSERT INTO t VALUES ('d', 'delta')")


def test_h13_a_sequence_goes_on(tmp_path: Path) -> None:
    for name in ("sequence", "sequence of an emptied table"):
        project = _project(tmp_path / name, KINDS[name].schema, COUNTING)
        assert orchctl(project, "upgrade", "--no-rehearse").returncode == 0
        execute(project.database, "INSERT INTO t (w) VALUES ('next')")
        assert query(project.database, "SELECT max(id) FROM t") == [(10,)]
