"""current: Alembic's answer, from the files alone where they prove it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import answers
from tests.support.branched import LAYOUTS, PLAIN_ENV
from tests.support.env_shapes import SHAPES
from tests.support.projects import Project, bytes_of, clean_environment, execute

HEADS = ["last1", "need3"]
OTHER_DIALECT = """\
from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class Other(SQLiteDialect_pysqlite):
    name = "other"
    supports_statement_cache = True


class OtherImpl(SQLiteImpl):
    __dialect__ = "other"


registry.register("other", __name__, "Other")
"""


def stamp(project: Project, *revisions: str, table: str = "alembic_version") -> None:
    execute(project.database, f"CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL);")
    for revision in revisions:
        execute(project.database, f"INSERT INTO {table} VALUES ('{revision}')")


@pytest.fixture
def branched(tmp_path: Path) -> Project:
    return LAYOUTS["stock"](tmp_path)


def told(project: Project, *words: str) -> dict[str, object]:
    done = project.orchctl(*words, "current", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "stamped",
    [("root2",), ("api2", "web1", "need1"), ("need3",), ("need3", "last1"), ("side1",), ()],
)
def test_the_answer_is_alembics(branched: Project, stamped: tuple[str, ...]) -> None:
    stamp(branched, *stamped)
    questions = [["current"], ["current", "-v"], ["current", "--verbose"]]
    theirs = answers.alembic(branched.folder, questions)
    ours = answers.orchctl(branched.folder, questions)
    assert _parts(ours[0].stdout, "\n") == _parts(theirs[0].stdout, "\n")
    for their, our in zip(theirs[1:], ours[1:], strict=True):
        assert our.stdout.startswith("Current revision(s) for sqlite:///app.db:\n")
        assert _parts(our.stdout, "\nRev: ") == _parts(their.stdout, "\nRev: ")


def _parts(text: str, separator: str) -> list[str]:
    """What Alembic prints in the order of a set."""
    return sorted(part.strip() for part in answers.settled(text).split(separator))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "elsewhere"])
def test_every_layout(tmp_path: Path, layout: str) -> None:
    project = LAYOUTS[layout](tmp_path)
    stamp(project, *HEADS)
    assert told(project) == {
        "database": str(tmp_path / "app.db"),
        "revisions": HEADS,
        "heads": HEADS,
        "at_head": True,
    }
    shown = project.orchctl("current", "--check-heads")
    assert shown.returncode == 0, shown.stderr
    assert "last1 (head)\n" in shown.stdout
    assert "need3 (head)\n" in shown.stdout


@pytest.mark.parametrize("layout", ["stock", "here", "two-locations", "recursive", "async"])
def test_neither_alembic_nor_sqlalchemy_is_imported_where_the_files_are_proof(
    tmp_path: Path, layout: str
) -> None:
    project = LAYOUTS[layout](tmp_path)
    stamp(project, "root2")
    before = bytes_of(project.database)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchctl", "current"],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "root2 (branchpoint)\n")
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "orchctl.upgrade.current" in modules
    assert not {"alembic", "sqlalchemy", "aiosqlite", "rich"} & modules
    assert bytes_of(project.database) == before


def test_a_database_that_does_not_exist_is_empty(branched: Project) -> None:
    found = told(branched)
    assert (found["revisions"], found["at_head"]) == ([], False)
    shown = branched.orchctl("current")
    assert shown.stdout == ""
    assert shown.stderr == f"{branched.database} is at no revision yet\n"
    assert branched.orchctl("--quiet", "current").stderr == ""
    assert not branched.database.exists()


@pytest.mark.parametrize("stamped", [(), ("root1",), ("last1",), ("last1", "side2", "need2")])
def test_check_heads_is_no_before_the_heads(branched: Project, stamped: tuple[str, ...]) -> None:
    stamp(branched, *stamped)
    done = branched.orchctl("current", "-c", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["revisions"] == sorted(stamped)
    error = json.loads(done.stderr)["error"]
    assert (error["code"], error["hint"]) == ("not-at-head", "orchctl upgrade")


def test_a_head_that_another_one_depends_on_is_not_in_the_version_table(
    branched: Project,
) -> None:
    """Alembic's own --check-heads never says yes here, since side2 is a head too."""
    assert branched.orchctl("upgrade", "heads", "--no-backup").returncode == 0
    assert branched.heads() == HEADS
    assert branched.orchctl("current", "--check-heads").returncode == 0
    assert branched.alembic("current", "--check-heads").returncode != 0


def test_an_abbreviated_stamp_counts(branched: Project) -> None:
    stamp(branched, "last", "need3")
    found = told(branched)
    assert (found["revisions"], found["at_head"]) == (["last", "need3"], True)


def test_a_stamp_that_the_chain_does_not_have(branched: Project) -> None:
    stamp(branched, "future1", "web1")
    shown = branched.orchctl("current")
    assert shown.stdout == "web1\nfuture1 (not in this chain)\n"
    assert branched.orchctl("current", "-c").returncode == 1
    assert told(branched)["at_head"] is False


# -- which database, which table ---------------------------------------------------------------


def test_env_py_with_a_url_of_its_own(branched: Project) -> None:
    """The ini file names no database: env.py is asked."""
    ini = branched.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("sqlalchemy.url = sqlite:///app.db", ""))
    own = "create_engine('sqlite:///' + 'own' + '.db')"
    branched.set_env(
        SHAPES["own-create-engine"].replace(
            'create_engine(config.get_main_option("sqlalchemy.url"))', own
        )
    )
    execute(branched.folder / "own.db", "CREATE TABLE alembic_version (version_num TEXT)")
    execute(branched.folder / "own.db", "INSERT INTO alembic_version VALUES ('web1')")
    found = told(branched)
    assert found["database"] == str(branched.folder / "own.db")
    assert found["revisions"] == ["web1"]


def test_env_py_that_opens_another_database(branched: Project) -> None:
    branched.set_env(
        SHAPES["own-create-engine"].replace(
            'create_engine(config.get_main_option("sqlalchemy.url"))',
            "create_engine('sqlite:///other.db')",
        )
    )
    stamp(branched, "web1")
    done = branched.orchctl("--json", "current")
    assert done.returncode == 5
    assert json.loads(done.stderr)["error"]["code"] == "wrong-database"


@pytest.mark.parametrize("name", ["'my_version'", "'_'.join(['my', 'version'])"])
def test_a_version_table_of_another_name(branched: Project, name: str) -> None:
    branched.set_env(PLAIN_ENV.replace("configure(", f"configure(version_table={name}, "))
    stamp(branched, "root1")
    stamp(branched, "web1", table="my_version")
    assert told(branched)["revisions"] == ["web1"]


def test_the_url_on_the_command_line(branched: Project, tmp_path: Path) -> None:
    stamp(branched, "web1")
    branched.database.rename(tmp_path / "moved.db")
    found = told(branched, "--url", f"sqlite:///{tmp_path}/moved.db")
    assert found["revisions"] == ["web1"]


def test_a_database_that_is_no_sqlite_file(branched: Project, tmp_path: Path) -> None:
    """No server is there: the driver's complaint, and the password nowhere."""
    project = LAYOUTS["elsewhere"](tmp_path / "elsewhere")
    done = project.orchctl("current")
    assert done.returncode == 3
    assert "secret" not in done.stdout + done.stderr
    assert "env.py" in done.stderr


def test_a_database_that_only_alembic_can_ask(tmp_path: Path) -> None:
    """SQLite under the name of another dialect stands for a server."""
    project = LAYOUTS["stock"](tmp_path)
    (project.folder / "other_dialect.py").write_text(OTHER_DIALECT)
    project.set_env("import other_dialect\n" + PLAIN_ENV)
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text().replace("sqlite:///app.db", "other:///app.db"))
    stamp(project, *HEADS)
    assert told(project) == {
        "database": "other:///app.db",
        "revisions": HEADS,
        "heads": HEADS,
        "at_head": True,
    }


# -- what goes wrong ---------------------------------------------------------------------------


def test_no_project(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchctl", "current"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "No alembic.ini" in done.stderr


def test_a_file_that_is_no_database(branched: Project) -> None:
    branched.database.write_text("this is no database at all" * 100)
    done = branched.orchctl("--json", "current")
    assert done.returncode == 5
    assert json.loads(done.stderr)["error"]["code"] == "not-a-database"


def test_a_chain_that_cannot_be_loaded(branched: Project) -> None:
    stamp(branched, "root1")
    (branched.folder / "migrations" / "versions" / "root2_file.py").unlink()
    done = branched.orchctl("current")
    assert done.returncode == 5
    assert "orchctl verify-chain" in done.stderr
