"""`orchctl verify-chain --db`: databases held against the chain (C16)."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.multidb import populated
from tests.support.preloaded import orchctl
from tests.support.projects import Project, bytes_of, execute

USERS = "op.create_table('users', sa.Column('id', sa.Integer))\nprint('a revision talks')"
LOGS = "op.create_table('logs', sa.Column('id', sa.Integer))"
ROWS = "op.execute('INSERT INTO users VALUES (1)')"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three revisions: a table, rows, another table; the database is at the second."""
    made = Project(tmp_path_factory.mktemp("made") / "project")
    for number, upgrade in enumerate((USERS, ROWS, LOGS), start=1):
        made.add(f"00{number}", upgrade)
    assert made.alembic("upgrade", "002").returncode == 0
    return made


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A copy of it, of the test's own."""
    own = copy.copy(made)
    own.folder = tmp_path / "pro ject"
    shutil.copytree(made.folder, own.folder, ignore=shutil.ignore_patterns("__pycache__"))
    return own


def findings(project: Project, *words: str) -> list[dict[str, Any]]:
    """What is found about databases; the exit code must fit."""
    done = orchctl(project, "verify-chain", "--select", "C", "--json", *words)
    assert done.stderr == ""
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert {one["rule"] for one in found} <= {"C16"}
    assert done.returncode == any(one["severity"] == "error" for one in found)
    return found


def finding(project: Project, *words: str) -> dict[str, Any]:
    (found,) = findings(project, "--db", "app.db", *words)
    return found


def test_databases_that_fit(project: Project) -> None:
    assert project.alembic("upgrade", "head").returncode == 0
    before = bytes_of(project.database)
    done = orchctl(project, "verify-chain", "--select=C", "--db", "sqlite:///app.db", "--db=app.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 revisions, 1 head (003), no findings\n"
    assert bytes_of(project.database) == before


def test_several_databases_each_with_its_own_finding(project: Project) -> None:
    (project.folder / "new.db").write_bytes(b"")
    behind, new = findings(project, "--db", "app.db", "--db", "sqlite:///new.db")
    assert behind["message"] == f"{project.database} is behind: 1 pending (003)"
    assert new["message"] == f"{project.folder / 'new.db'} is at base: 3 pending (001, 002, 003)"
    assert (behind["severity"], new["severity"]) == ("note", "note")
    done = run_suggested(project, behind["suggestion"])
    assert (done.returncode, project.heads()) == (0, ["003"]), done.stderr


def run_suggested(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    program, *words = shlex.split(command)
    assert program == "orchctl"
    return orchctl(project, *words)


STAMPS = {
    "vanished": ("UPDATE alembic_version SET version_num = '009'", "error", "'009'"),
    "two": ("INSERT INTO alembic_version VALUES ('001')", "error", "'002' contains '001'"),
    "empty": ("DELETE FROM alembic_version", "error", "alembic_version is empty"),
    "odd": ("UPDATE alembic_version SET version_num = '002 '", "error", "'002 '"),
    "none": ("DROP TABLE alembic_version", "error", "no version table"),
    "others": (
        "DROP TABLE users; CREATE TABLE x (y); DELETE FROM alembic_version",
        "warning",
        "has 1 table, but",
    ),
}


@pytest.mark.parametrize(("sql", "severity", "words"), STAMPS.values(), ids=list(STAMPS))
def test_stamps_that_do_not_fit(project: Project, sql: str, severity: str, words: str) -> None:
    execute(project.database, sql)
    found = finding(project)
    assert found["severity"] == severity
    assert str(project.database) in found["message"]
    assert words in found["message"]
    text = orchctl(project, "verify-chain", "--select", "C", "--db", "app.db").stdout
    assert text.startswith(f"C16 {severity}: ")


def test_stamped_twice_with_the_same(project: Project) -> None:
    execute(
        project.database,
        "CREATE TABLE v AS SELECT * FROM alembic_version; DROP TABLE alembic_version;"
        "ALTER TABLE v RENAME TO alembic_version; INSERT INTO alembic_version VALUES ('002')",
    )
    twice, behind = findings(project, "--db", "app.db")
    assert "stamped with '002' 2 times" in twice["message"]
    assert behind["severity"] == "note"


# -- a revision that the chain lacks -----------------------------------------------------------


def test_a_database_that_is_ahead_and_the_way_back(project: Project) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    (project.folder / "migrations/versions/003_step.py").unlink()
    found = finding(project)
    assert f"{project.database} is at revision '003'" in found["message"]
    assert "it is ahead by 1 revision after 002; a chain of 3 revisions" in found["message"]
    done = run_suggested(project, found["suggestion"].partition("): ")[2])
    assert (done.returncode, project.heads()) == (0, ["002"]), done.stderr
    assert findings(project, "--db", "app.db") == []


def test_a_revision_that_was_renamed_after_it_ran(project: Project) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    path = project.folder / "migrations/versions/003_step.py"
    path.write_text(path.read_text().replace("003", "033"))
    found = finding(project)
    assert found["severity"] == "error"
    assert found["message"].endswith(", 003 1 after 002")


def test_an_unreadable_journal_spoils_nothing(project: Project) -> None:
    assert orchctl(project, "upgrade").returncode == 0
    (project.folder / "migrations/versions/003_step.py").unlink()
    (project.folder / "backups/journal.jsonl").unlink()
    (project.folder / "backups/journal.jsonl").mkdir()
    assert "ahead by 1 revision" in finding(project)["message"]


# -- no stamp, but tables ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("003", "Its schema is that of 003: "),
        ("001", "Its schema is that of 001 and of 002, which differ in rows only: "),
    ],
)
@pytest.mark.parametrize("sql", ["DROP TABLE alembic_version", "DELETE FROM alembic_version"])
def test_the_revision_whose_schema_it_is(project: Project, at: str, told: str, sql: str) -> None:
    project.database.unlink()
    assert project.alembic("upgrade", at).returncode == 0
    execute(project.database, sql)
    before = bytes_of(project.database)
    found = finding(project)
    assert found["suggestion"].startswith(told)
    assert bytes_of(project.database) == before
    if at == "003":
        done = run_suggested(project, found["suggestion"].partition(": ")[2])
        assert (done.returncode, project.heads()) == (0, ["003"]), done.stderr


def test_a_schema_that_is_no_revisions(project: Project) -> None:
    execute(project.database, "DROP TABLE alembic_version; CREATE TABLE more (x)")
    assert finding(project)["suggestion"].startswith("Its schema is that of no revision: ")


def test_another_database_than_the_settings_one(project: Project) -> None:
    other = project.folder / "other.db"
    other.write_bytes(project.database.read_bytes())
    execute(other, "DROP TABLE alembic_version")
    (found,) = findings(project, "--db", "other.db")
    assert found["suggestion"].startswith("Its schema is that of 001 and of 002")


OBSTACLES = {
    "env.py needs what is not here": ("import no_such_module\n", "no_such_module"),
    "env.py exits": ("raise SystemExit('shout')\n", "not looked for: "),
    "env.py fails": ("1 / 0\n", "not looked for: "),
}


@pytest.mark.parametrize(("env", "told"), OBSTACLES.values(), ids=list(OBSTACLES))
def test_a_chain_that_cannot_be_run_is_one_line(project: Project, env: str, told: str) -> None:
    execute(project.database, "DROP TABLE alembic_version")
    project.set_env(env + project.env)
    suggestion = finding(project)["suggestion"]
    assert "stamp REVISION, with the revision whose schema it has (not looked for: " in suggestion
    assert told in suggestion
    assert "\n" not in suggestion


def test_a_chain_elsewhere_is_not_run(project: Project, tmp_path: Path) -> None:
    execute(project.database, "DROP TABLE alembic_version")
    other = Project(tmp_path / "other")
    other.add("001")
    found = finding(project, str(other.folder / "migrations"))
    assert "not looked for: PATH is not the chain" in found["suggestion"]


def test_one_of_several_that_env_py_goes_through(tmp_path: Path) -> None:
    project = populated(tmp_path / "several")
    _, second = project.files
    (behind,) = findings(project, "--db", "engine2.db")
    assert (behind["severity"], behind["suggestion"]) == ("note", "orchctl upgrade")
    execute(second, "DROP TABLE alembic_version")
    (found,) = findings(project, "--db", "engine2.db")
    assert found["suggestion"] == "Its schema is that of 001: orchctl stamp 001"
    other = project.folder / "other.db"
    other.write_bytes(second.read_bytes())
    (found,) = findings(project, "--db", "other.db")
    assert "goes through several databases, and it is none of them" in found["suggestion"]


# -- the version table, and what is no database ------------------------------------------------


@pytest.mark.parametrize("name", ["'v'", "'V'.lower()"])
def test_a_version_table_of_another_name(project: Project, name: str) -> None:
    env = project.env.replace(
        "connection=connection,", f"connection=connection, version_table={name},"
    )
    assert env != project.env
    project.database.unlink()
    project.set_env(env)
    assert project.alembic("upgrade", "head").returncode == 0
    assert findings(project, "--db", "app.db") == []
    assert findings(project, "migrations", "--db", "app.db") == []


BAD = {
    "gone": ("gone.db", 3, "There is no database"),
    "no folder": ("gone/app.db", 5, "gone"),
    "a folder": ("migrations", 5, "migrations"),
    "a text": ("alembic.ini", 5, "not a"),
    "nothing": ("", 3, "in memory"),
    "another kind": ("postgresql://u:s3cret@host/x", 3, "not a SQLite database"),
    "other columns": ("odd.db", 5, "has no column version_num"),
}


@pytest.mark.parametrize(("url", "code", "told"), BAD.values(), ids=list(BAD))
def test_bad_input_is_one_clear_line(project: Project, url: str, code: int, told: str) -> None:
    execute(project.folder / "odd.db", "CREATE TABLE alembic_version (x); CREATE TABLE t (y)")
    done = orchctl(project, "verify-chain", "--db", url)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr.splitlines()[0]
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr
