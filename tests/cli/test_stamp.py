"""`orchctl stamp`: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.env_shapes import STOCK
from tests.support.projects import Project, bytes_of, execute

# A database that is no SQLite file to orchctl, and yet one in every other way.
ELSEWHERE = """
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class Dialect(SQLiteDialect_pysqlite):
    name = "elsewhere"
    supports_statement_cache = True


class Impl(SQLiteImpl):
    __dialect__ = "elsewhere"


registry.register("elsewhere", "elsewhere", "Dialect")
"""
COLUMNS = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text)'
TABLE = f'op.create_table("t", {COLUMNS})'
COLUMN = 'op.add_column("t", sa.Column("y", sa.Integer))'


@pytest.fixture
def made_by_hand(tmp_path: Path) -> Project:
    """A table, rows, a column as revisions; the database is without a stamp, at the second."""
    project = Project(tmp_path / "project")
    project.add("aaaa01", TABLE)
    project.add("aaaa02", "op.execute(\"INSERT INTO t (x) VALUES ('a')\")")
    project.add("aaaa03", COLUMN)
    execute(project.database, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    return project


def test_a_database_that_fits_is_stamped(made_by_hand: Project) -> None:
    done = made_by_hand.orchctl("stamp", "aaaa02")
    assert (done.returncode, done.stdout) == (
        0,
        "app.db: base -> aaaa02 (stamped; no revision ran)\n",
    )
    assert made_by_hand.heads() == ["aaaa02"]
    again = made_by_hand.orchctl("stamp", "aaaa02")
    assert (again.returncode, again.stdout) == (
        0,
        "app.db is stamped aaaa02 already; nothing to do\n",
    )
    assert made_by_hand.orchctl("upgrade").returncode == 0
    assert made_by_hand.heads() == ["aaaa03"]


def test_a_database_that_does_not_fit_is_refused(made_by_hand: Project) -> None:
    before = bytes_of(made_by_hand.database)
    done = made_by_hand.orchctl("stamp", "head")
    assert done.returncode == 5
    assert done.stdout == "  missing  column t.y: INTEGER\n"
    assert "is not what revision aaaa03 makes: 1 difference; it is what aaaa01" in done.stderr
    assert "orchctl stamp --force head does it all the same" in done.stderr
    assert bytes_of(made_by_hand.database) == before


def test_each_way_of_differing_has_its_word(made_by_hand: Project) -> None:
    execute(
        made_by_hand.database,
        "ALTER TABLE t ADD COLUMN y TEXT; CREATE TABLE more (a); CREATE INDEX i ON t (x)",
    )
    done = made_by_hand.orchctl("stamp", "aaaa03")
    assert done.stdout.splitlines() == [
        "  extra    table more: (a)",
        "  differs  column t.y: TEXT; aaaa03 has INTEGER",
        "  extra    index t.i: (x)",
    ]


def test_force_stamps_all_the_same(made_by_hand: Project) -> None:
    done = made_by_hand.orchctl("stamp", "--force", "head")
    assert done.returncode == 0
    assert done.stdout == (
        "  missing  column t.y: INTEGER\napp.db: base -> aaaa03 (stamped; no revision ran)\n"
    )
    assert "warning: the schema is not the one of aaaa03" in done.stderr
    assert made_by_hand.heads() == ["aaaa03"]


def test_json_of_a_stamp(made_by_hand: Project) -> None:
    done = made_by_hand.orchctl("stamp", "aaaa02", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "ok": True,
        "database": str(made_by_hand.database),
        "from": None,
        "to": "aaaa02",
        "differences": [],
    }


def test_json_of_a_refusal(made_by_hand: Project) -> None:
    difference = {
        "kind": "column",
        "table": "t",
        "name": "y",
        "expected": "INTEGER",
        "found": None,
    }
    done = made_by_hand.orchctl("stamp", "head", "--json")
    assert done.returncode == 5
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["to"], answer["differences"]) == (False, "aaaa03", [difference])
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["exit_code"]) == ("schema-differs", 5)
    assert error["details"]["differences"] == [difference]
    assert error["details"]["fitting"] == [["aaaa01"], ["aaaa02"]]


def test_a_dry_run_writes_nothing_but_answers_the_same(made_by_hand: Project) -> None:
    before = bytes_of(made_by_hand.database)
    fits = made_by_hand.orchctl("stamp", "aaaa01", "--dry-run")
    assert (fits.returncode, fits.stdout) == (0, "app.db: base -> aaaa01 (not written)\n")
    assert json.loads(made_by_hand.orchctl("stamp", "aaaa01", "--dry-run", "--json").stdout)[
        "dry_run"
    ]
    assert made_by_hand.orchctl("stamp", "head", "--dry-run").returncode == 5
    assert bytes_of(made_by_hand.database) == before
    names = sorted(path.name for path in made_by_hand.folder.iterdir())
    assert names == ["alembic.ini", "app.db", "migrations"]


def test_purge_replaces_what_the_chain_does_not_have(made_by_hand: Project) -> None:
    execute(
        made_by_hand.database,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('gone')",
    )
    refused = made_by_hand.orchctl("stamp", "aaaa01")
    assert refused.returncode == 5
    assert "orchctl stamp --purge aaaa01" in refused.stderr
    done = made_by_hand.orchctl("stamp", "--purge", "aaaa01")
    assert done.stdout == "app.db: gone -> aaaa01 (stamped; no revision ran)\n"


def test_several_revisions(made_by_hand: Project) -> None:
    made_by_hand.add(
        "bbbb01", 'op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))', down=None
    )
    execute(made_by_hand.database, "CREATE TABLE b (id INTEGER PRIMARY KEY)")
    done = made_by_hand.orchctl("stamp", "aaaa01", "bbbb01", "--json")
    assert json.loads(done.stdout)["to"] == "aaaa01,bbbb01"
    assert made_by_hand.heads() == ["aaaa01", "bbbb01"]


@pytest.mark.parametrize("words", [["nowhere"], ["+1"], [], ["--sql", "--purge", "head"]])
def test_a_mistake_of_the_command_line(made_by_hand: Project, words: list[str]) -> None:
    done = made_by_hand.orchctl("stamp", *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert " hint: " in done.stderr


def test_sql_is_alembics(made_by_hand: Project) -> None:
    for words in (["head"], ["aaaa01:aaaa02"]):
        ours = made_by_hand.orchctl("stamp", "--sql", *words)
        assert ours.returncode == 0, ours.stderr
        assert ours.stdout == made_by_hand.alembic("stamp", "--sql", *words).stdout
    assert made_by_hand.orchctl("stamp", "--sql", "nowhere").returncode == 2


def test_what_is_no_database_is_refused(made_by_hand: Project) -> None:
    made_by_hand.database.write_text("not a database, " * 100)
    done = made_by_hand.orchctl("stamp", "head")
    assert done.returncode == 5
    assert "is not a SQLite database" in done.stderr


def test_another_database_is_stamped_by_alembic(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "elsewhere:///app.db", "import elsewhere\n" + STOCK)
    (project.folder / "elsewhere.py").write_text(ELSEWHERE)
    project.add("aaaa01")
    project.add("aaaa02")
    dry = project.orchctl("stamp", "head", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "base -> base\n"), dry.stderr
    done = project.orchctl("stamp", "head")
    assert (done.returncode, done.stdout) == (0, "base -> aaaa02\n"), done.stderr
    assert "Not a SQLite file: the schema is not compared" in done.stderr
    assert json.loads(project.orchctl("stamp", "aaaa01", "--purge", "--json").stdout) == {
        "ok": True,
        "database": None,
        "from": "aaaa02",
        "to": "aaaa01",
        "differences": [],
    }
    assert project.heads() == ["aaaa01"]
    assert project.orchctl("stamp", "nowhere").returncode == 2
