"""A stamp is written where the schema bears it out; the chain on a scratch file says what it is."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from orchctl.config import Settings, load
from orchctl.database.compare import Schema, compare, schema_of
from orchctl.errors import LockHeld, Refused, UpgradeFailed, UsageError
from orchctl.upgrade.report import Listener
from orchctl.upgrade.scratch import (
    build_scratch,
    built,
    fitting_revisions,
    table_ddl,
    version_table,
)
from orchctl.upgrade.stamp import refuse, stamping, write_stamps
from orchctl.upgrade.stamp_plan import StampPlan, plan_stamp
from tests.support.env_shapes import SHAPES, STOCK, url_for
from tests.support.projects import Project, bytes_of, execute, query

TABLE = """
op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text))
print("a revision talks")
"""
COLUMN = 'op.add_column("t", sa.Column("y", sa.Integer, server_default="0"))'
ROWS = "op.execute(\"INSERT INTO t (x) VALUES ('a')\")"
BRANCH = 'op.create_table("b", sa.Column("id", sa.Integer, primary_key=True))'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Three revisions: a table, rows only, a column."""
    project = Project(tmp_path / "project")
    project.add("aaaa01", TABLE)
    project.add("aaaa02", ROWS)
    project.add("aaaa03", COLUMN)
    monkeypatch.chdir(project.folder)
    return project


def settings_of(project: Project, **flags: object) -> Settings:
    return load({name.replace("_", "-"): value for name, value in flags.items()}, {},
                project.folder)  # fmt: skip


def plan(project: Project, *revisions: str, purge: bool = False) -> StampPlan:
    return plan_stamp(settings_of(project), revisions, project.database, purge=purge)


def schema_at(settings: Settings, revision: str | tuple[str, ...]) -> Schema:
    return built(settings, revision).schema


def silent() -> Listener:
    @contextlib.contextmanager
    def bar(title: str) -> Iterator[object]:
        yield lambda done, total: None

    return Listener(step=str, running=str, warning=str, bar=bar)


def stamp(project: Project, *revisions: str, purge: bool = False) -> StampPlan:
    settings = settings_of(project)
    with stamping(settings, [project.database], silent()):
        made = plan(project, *revisions, purge=purge)
        refuse(made)
        write_stamps(settings, [made], silent())
    return made


def make_t(project: Project, columns: str = "id INTEGER PRIMARY KEY, x TEXT") -> None:
    execute(project.database, f"CREATE TABLE t ({columns})")


def version_row(project: Project, *revisions: str) -> None:
    rows = "".join(f"INSERT INTO alembic_version VALUES ('{one}');" for one in revisions)
    table = (
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
    )
    execute(project.database, f"{table} DELETE FROM alembic_version; {rows}")


# -- the scratch file ------------------------------------------------------------------------------


def test_a_scratch_file_is_the_chain_from_empty_and_nothing_else_is_made(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = build_scratch(settings_of(project), "aaaa02", tmp_path / "scratch.db")
    assert query(path, "SELECT id, x FROM t") == [(1, "a")]
    assert query(path, "SELECT version_num FROM alembic_version") == [("aaaa02",)]
    assert sorted(one.name for one in project.folder.iterdir()) == ["alembic.ini", "migrations"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_env_py_looks_like_the_database_is_not_touched(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project", url=url_for(shape), env=SHAPES[shape])
    project.add("aaaa01", TABLE)
    monkeypatch.chdir(project.folder)
    settings = settings_of(project)
    assert schema_at(settings, "head").columns["t"] == ("id", "x")
    assert not project.database.exists()
    make_t(project, "other INT")
    before = bytes_of(project.database)
    assert schema_at(settings, "head").columns["t"] == ("id", "x")
    assert bytes_of(project.database) == before


def test_an_env_py_that_switches_to_wal_leaves_no_database_behind(
    project: Project, tmp_path: Path
) -> None:
    wal = "context.configure(connection=connection"
    pragma = 'connection.exec_driver_sql("PRAGMA journal_mode=WAL")'
    project.set_env(STOCK.replace(f"    {wal}", f"    {pragma}\n        {wal}"))
    assert pragma in (project.folder / "migrations" / "env.py").read_text()
    schema_at(settings_of(project), "head")
    assert sorted(one.name for one in project.folder.iterdir()) == ["alembic.ini", "migrations"]


def test_base_is_the_empty_schema(project: Project) -> None:
    assert schema_at(settings_of(project), "base").facts == ()


def test_several_revisions_are_built_together(project: Project) -> None:
    project.add("bbbb01", BRANCH, down=None)
    schema = schema_at(settings_of(project), ("aaaa01", "bbbb01"))
    assert sorted(schema.columns) == ["alembic_version", "b", "t"]


def test_a_chain_that_fails_from_empty_says_where(project: Project) -> None:
    project.add("aaaa04", 'op.execute("SELECT * FROM nowhere")')
    with pytest.raises(UpgradeFailed) as caught:
        schema_at(settings_of(project), "head")
    assert caught.value.details["revision"] == "aaaa04"
    assert not project.database.exists()


def test_the_schema_of_a_table_is_told_with_its_indexes(project: Project) -> None:
    project.add("aaaa04", 'op.create_index("ix_t_y", "t", ["y"])')
    settings = settings_of(project)
    assert "y INTEGER" in table_ddl(settings, "head", "T")
    assert table_ddl(settings, "head", "t").endswith(";\nCREATE INDEX ix_t_y ON t (y);\n")
    assert " y " not in table_ddl(settings, "aaaa02", "t")
    with pytest.raises(UsageError, match="has no table 'nowhere'") as caught:
        table_ddl(settings, "head", "nowhere")
    assert caught.value.hint == "It has: alembic_version, t"
    with pytest.raises(UsageError):
        table_ddl(settings, "nothing", "t")


def test_the_revisions_whose_schema_fits_are_found(project: Project) -> None:
    settings = settings_of(project)
    for revision, expected in (
        ("base", ((),)),
        ("aaaa01", (("aaaa01",), ("aaaa02",))),
        ("aaaa03", (("aaaa03",),)),
    ):
        assert fitting_revisions(settings, schema_at(settings, revision), ignore=()) == expected


def test_a_failing_revision_ends_the_search_but_not_what_came_before(project: Project) -> None:
    project.add("aaaa04", 'op.execute("SELECT * FROM nowhere")')
    settings = settings_of(project)
    wanted = schema_at(settings, "aaaa02")
    assert fitting_revisions(settings, wanted, ignore=()) == (("aaaa01",), ("aaaa02",))


def test_a_long_chain_is_not_searched(project: Project) -> None:
    for number in range(4, 52):
        project.add(f"aaaa{number:02}")
    settings = settings_of(project)
    assert fitting_revisions(settings, schema_at(settings, "base"), ignore=()) == ()


def test_the_version_table_is_known_also_where_its_name_is_computed(project: Project) -> None:
    settings = settings_of(project)
    assert version_table(settings) == "alembic_version"
    computed = 'version_table="_".join(("my", "versions")))'
    project.set_env(STOCK.replace("target_metadata=target_metadata)", computed))
    assert version_table(settings) == "my_versions"
    make_t(project)
    stamp(project, "aaaa01")
    assert project.heads("my_versions") == ["aaaa01"]


# -- the stamp -------------------------------------------------------------------------------------


def test_a_schema_that_fits_is_stamped(project: Project) -> None:
    make_t(project)
    made = stamp(project, "aaaa02")
    assert (made.before, made.after, made.differences) == ((), ("aaaa02",), ())
    assert project.heads() == ["aaaa02"]
    assert query(project.database, "SELECT count(*) FROM t") == [(0,)]  # nothing ran
    (line,) = (project.folder / "backups" / "journal.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["before"], entry["after"]) == ("stamp", [], ["aaaa02"])
    assert (entry["ok"], entry["database"]) == (True, str(project.database))


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_env_py_looks_like_the_stamp_is_written(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project", url=url_for(shape), env=SHAPES[shape])
    project.add("aaaa01", TABLE)
    project.add("aaaa02", ROWS)
    monkeypatch.chdir(project.folder)
    make_t(project)
    stamp(project, "head")
    assert project.heads() == ["aaaa02"]
    stamp(project, "aaaa01", purge=True)
    assert project.heads() == ["aaaa01"]


def test_a_schema_that_does_not_fit_is_refused_with_what_differs(project: Project) -> None:
    make_t(project)
    before = bytes_of(project.database)
    with pytest.raises(Refused) as caught:
        stamp(project, "head")
    error = caught.value
    assert error.code == "schema-differs"
    assert error.details["differences"] == [
        {"kind": "column", "table": "t", "name": "y", "expected": "INTEGER DEFAULT '0'",
         "found": None}
    ]  # fmt: skip
    assert error.details["fitting"] == [["aaaa01"], ["aaaa02"]]
    assert "it is what aaaa01 or aaaa02 makes" in error.message
    assert bytes_of(project.database) == before
    assert not (project.folder / "backups").exists()


def test_the_one_revision_that_fits_is_what_the_hint_says(project: Project) -> None:
    make_t(project, "id INTEGER PRIMARY KEY, x TEXT, y INTEGER DEFAULT '0'")
    with pytest.raises(Refused) as caught:
        stamp(project, "aaaa01")
    assert (caught.value.hint or "").startswith("orchctl stamp aaaa03 fits; ")


def test_a_trigger_that_nobody_knows_is_a_difference(project: Project) -> None:
    make_t(project)
    execute(project.database, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END")
    with pytest.raises(Refused) as caught:
        stamp(project, "aaaa01")
    assert [one["kind"] for one in caught.value.details["differences"]] == ["trigger"]


def test_the_order_of_columns_alone_does_not_forbid_it(project: Project) -> None:
    make_t(project, "x TEXT, id INTEGER NOT NULL, PRIMARY KEY (id)")
    made = stamp(project, "aaaa01")
    assert [one.kind for one in made.differences] == ["column-order"]
    assert project.heads() == ["aaaa01"]


def test_what_an_upgrade_made_fits_its_own_stamp(project: Project) -> None:
    project.add("aaaa04", """
with op.batch_alter_table("t") as batch:
    batch.create_unique_constraint("uq_t_x", ["x"])
    batch.alter_column("y", new_column_name="z", existing_type=sa.Integer)
""")  # fmt: skip
    assert project.alembic("upgrade", "head").returncode == 0
    for revision in ("aaaa04", "head", "heads"):
        assert plan(project, revision).differences == ()
    with contextlib.closing(sqlite3.connect(project.database)) as connection:
        assert compare(schema_at(settings_of(project), "head"), schema_of(connection)) == ()


def test_base_means_the_empty_database(project: Project) -> None:
    version_row(project, "aaaa01")
    stamp(project, "base")
    assert project.heads() == []
    make_t(project)
    with pytest.raises(Refused) as caught:
        stamp(project, "base")
    assert [str(one["table"]) for one in caught.value.details["differences"]] == ["t"]


def test_a_database_that_is_not_there_is_only_stamped_by_force(project: Project) -> None:
    with pytest.raises(Refused) as caught:
        stamp(project, "head")
    assert (caught.value.hint or "").startswith("orchctl upgrade builds it; ")
    assert not project.database.exists()
    stamp(project, "base")
    assert not project.database.exists()
    write_stamps(settings_of(project), [plan(project, "head")], silent())
    assert project.heads() == ["aaaa03"]


def test_branches_are_stamped_together_and_one_by_one(project: Project) -> None:
    project.add("bbbb01", BRANCH, down=None)
    make_t(project)
    execute(project.database, "CREATE TABLE b (id INTEGER PRIMARY KEY)")
    made = stamp(project, "aaaa02", "bbbb01")
    assert made.after == ("aaaa02", "bbbb01")
    assert project.heads() == ["aaaa02", "bbbb01"]
    # What is stamped on the other branch stays, so the whole schema is compared.
    assert stamp(project, "aaaa01").after == ("aaaa01", "bbbb01")
    assert project.heads() == ["aaaa01", "bbbb01"]
    execute(project.database, "DROP TABLE b")
    with pytest.raises(Refused):
        stamp(project, "aaaa02")


def test_the_rows_are_those_that_alembic_writes(project: Project) -> None:
    project.add("bbbb01", BRANCH, down=None)
    project.add("cccc01", down=("aaaa03", "bbbb01"))
    moves = [
        ((), ("aaaa01",), False),
        (("aaaa01",), ("heads",), False),
        (("aaaa03",), ("bbbb01",), False),
        (("aaaa03", "bbbb01"), ("cccc01",), False),
        (("cccc01",), ("aaaa02",), False),
        (("cccc01",), ("aaaa03", "bbbb01"), True),
        (("aaaa02", "bbbb01"), ("aaaa01",), False),
        (("aaaa02",), ("base",), False),
        (("aaaa02", "bbbb01"), ("aaaa03",), True),
        (("nowhere1",), ("aaaa02",), True),
    ]
    for before, revisions, purge in moves:
        version_row(project, *before)
        command.stamp(Config(str(project.folder / "alembic.ini")), revisions, purge=purge)
        expected = project.heads()
        version_row(project, *before)
        made = plan(project, *revisions, purge=purge)
        write_stamps(settings_of(project), [made], silent())
        assert (project.heads(), list(made.after)) == (expected, expected), (before, revisions)


def test_a_vanished_revision_needs_purge(project: Project) -> None:
    make_t(project)
    version_row(project, "gone01")
    with pytest.raises(Refused) as caught:
        stamp(project, "aaaa01")
    assert caught.value.code == "unknown-to-chain"
    assert "--purge aaaa01" in (caught.value.hint or "")
    stamp(project, "aaaa01", purge=True)
    assert project.heads() == ["aaaa01"]


def test_purge_to_base_empties_the_table(project: Project) -> None:
    version_row(project, "gone01", "gone02")
    stamp(project, "base", purge=True)
    assert project.heads() == []


def test_what_alembic_cannot_stamp_is_said_before(project: Project) -> None:
    project.add("bbbb01", BRANCH, down=None)
    project.add("cccc01", down=("aaaa03", "bbbb01"))
    version_row(project, "cccc01")
    with pytest.raises(UsageError) as caught:
        plan(project, "aaaa03", "bbbb01")
    assert caught.value.hint == "orchctl stamp --purge aaaa03 bbbb01"


def test_a_revision_and_its_ancestor_are_not_stamped_together(project: Project) -> None:
    make_t(project)
    with pytest.raises(UsageError, match="aaaa01 is contained in aaaa02"):
        stamp(project, "aaaa01", "aaaa02")
    version_row(project, "aaaa01", "aaaa02")
    with pytest.raises(Refused, match="stamped with aaaa01 and with aaaa02"):
        stamp(project, "aaaa02")
    stamp(project, "aaaa02", "aaaa02", purge=True)
    assert project.heads() == ["aaaa02"]


@pytest.mark.parametrize("revision", ["nowhere", "", "+1", "-1", "aaaa01:aaaa02", "a@b"])
def test_an_unknown_revision_is_a_mistake_of_the_command_line(
    project: Project, revision: str
) -> None:
    with pytest.raises(UsageError) as caught:
        plan(project, revision)
    assert caught.value.code in ("unknown-revision", "ambiguous-revision")


def test_several_heads_are_named(project: Project) -> None:
    project.add("bbbb01", BRANCH, down=None)
    with pytest.raises(UsageError, match="aaaa03, bbbb01"):
        plan(project, "head")


def test_a_chain_that_cannot_be_built_is_no_proof(project: Project) -> None:
    project.add("aaaa04", 'op.execute("SELECT * FROM nowhere")')
    make_t(project)
    made = plan(project, "head")
    assert not made.fits
    with pytest.raises(Refused, match="aaaa04") as caught:
        refuse(made)
    assert caught.value.code == "schema-unknown"
    write_stamps(settings_of(project), [made], silent())
    assert project.heads() == ["aaaa04"]


def test_a_schema_or_stamp_that_changed_since_the_plan_is_not_stamped(project: Project) -> None:
    make_t(project)
    made = plan(project, "aaaa01")
    execute(project.database, "CREATE TABLE other (a)")
    with pytest.raises(Refused, match="its schema") as caught:
        write_stamps(settings_of(project), [made], silent())
    assert caught.value.code == "changed-meanwhile"
    execute(project.database, "DROP TABLE other")
    project.add("bbbb01", BRANCH, down=None)
    version_row(project, "bbbb01")
    with pytest.raises(Refused, match="its stamp"):
        write_stamps(settings_of(project), [made], silent())
    assert project.heads() == ["bbbb01"]


def test_a_plan_writes_nothing(project: Project) -> None:
    make_t(project)
    before = bytes_of(project.database)
    for revision in ("aaaa01", "aaaa03", "base"):
        plan(project, revision)
    assert bytes_of(project.database) == before
    names = sorted(one.name for one in project.folder.iterdir())
    assert names == ["alembic.ini", "app.db", "migrations"]


def test_a_writer_is_waited_for_and_then_named(project: Project) -> None:
    make_t(project)
    settings = settings_of(project, lock_timeout="0.2s")
    made = plan(project, "aaaa01")
    with contextlib.closing(sqlite3.connect(project.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockHeld):
            write_stamps(settings, [made], silent())
    write_stamps(settings, [made], silent())
    assert project.heads() == ["aaaa01"]


def test_an_env_py_that_opens_another_file_is_refused(project: Project) -> None:
    make_t(project)
    made = plan(project, "aaaa01")
    project.set_env(STOCK.replace('prefix="sqlalchemy."', 'prefix="x.", url="sqlite:///b.db"'))
    with pytest.raises(Refused) as caught:
        write_stamps(settings_of(project), [made], silent())
    assert caught.value.code == "wrong-database"
    assert not (project.folder / "b.db").exists()


def test_what_a_rebuild_dropped_and_an_upgrade_put_back_is_the_revision_s_schema(
    project: Project,
) -> None:
    """From empty in one run the trigger is lost, as with Alembic; run by run it is put back."""
    trigger = "CREATE TRIGGER told AFTER INSERT ON t BEGIN SELECT 1; END"
    index = "CREATE INDEX low ON t (lower(x))"
    project.add("aaaa04", f"op.execute({trigger!r})\nop.execute({index!r})")
    project.add("aaaa05", 'with op.batch_alter_table("t") as batch:\n    batch.drop_column("y")')
    for target in ("aaaa04", "head"):
        done = project.orchctl("upgrade", target, "--allow-loss", "t.y")
        assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT sql FROM sqlite_schema WHERE name = 'told'")
    assert plan(project, "aaaa05").fits
    found = json.loads(project.orchctl("doctor", "--json").stdout)["findings"]
    assert "schema-differs" not in [one["id"] for one in found]
    execute(project.database, "CREATE INDEX more ON t (x)")
    assert [one.name for one in plan(project, "aaaa05").differences] == ["more"]


def test_what_a_revision_drops_by_name_is_missed_in_no_database(project: Project) -> None:
    trigger = "CREATE TRIGGER told AFTER INSERT ON t BEGIN SELECT 1; END"
    project.add("aaaa04", f"op.execute({trigger!r})")
    project.add("aaaa05", "op.execute('DROP TRIGGER told')")
    assert project.orchctl("upgrade").returncode == 0
    assert plan(project, "aaaa05").fits
    execute(project.database, trigger)
    assert [one.name for one in plan(project, "aaaa05").differences] == ["told"]
