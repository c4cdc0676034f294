"""H11: a revision turns foreign_keys on, changes journal_mode, ATTACHes, VACUUMs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.env_shapes import SHAPES, url_for
from tests.support.projects import Project, query

FORBIDDEN = {
    "foreign_keys": "PRAGMA foreign_keys=ON",
    "foreign_keys call": "pragma main.foreign_keys(1)",
    "journal_mode": "PRAGMA journal_mode = WAL",
    "attach": "ATTACH DATABASE 'other.db' AS other",
    "detach": "DETACH other",
    "vacuum": "VACUUM",
    "vacuum into": "/* why */ VACUUM INTO 'copy.db'",
}


OWN_ENGINE = """
engine = sa.create_engine("sqlite:///app.db", connect_args={"timeout": 20})
with engine.begin() as own:  # here
    own.execute(sa.text("INSERT INTO t VALUES (9)"))
"""
OWN = {
    "engine": OWN_ENGINE,
    "engine that only reads": """
engine = sa.create_engine(op.get_bind().engine.url)
engine.connect()  # here
""",
    "engine, swallowed": """
try:
    sa.create_engine("sqlite:///app.db").connect()  # here
except Exception:
    pass
op.execute("INSERT INTO t VALUES (5)")
""",
    "raw": """
import sqlite3
own = sqlite3.connect("app.db")  # here
""",
    "raw, by a path": """
import pathlib, sqlite3
own = sqlite3.connect(pathlib.Path("../project/app.db").resolve())  # here
""",
    "raw, read-only": """
import sqlite3
own = sqlite3.connect("file:app.db?mode=ro", uri=True)  # here
""",
    "through a link": """
import os, sqlite3
os.symlink("app.db", "link.db")
own = sqlite3.connect("link.db")  # here
""",
}
OTHER_WAYS = {
    "bind": 'op.get_bind().exec_driver_sql("VACUUM")',
    "cursor": 'op.get_bind().connection.cursor().execute("VACUUM")',
    "driver": 'op.get_bind().connection.dbapi_connection.execute("VACUUM")',
    "script": 'op.get_bind().connection.executescript("SELECT 1; VACUUM")',
    "engine": 'op.get_bind().engine.connect().exec_driver_sql("VACUUM")',
    "swallowed": 'import contextlib; exec("with contextlib.suppress(Exception):'
    " op.execute('VACUUM')\", globals() | {'contextlib': contextlib})",
}
# Whether --unsafe would help.
EXITS = {
    "sys.exit()": True,
    "sys.exit(0)": True,
    "raise SystemExit": True,
    "exit()": True,
    "os._exit(0)": True,
    "sys.exit('no')": False,
    "os._exit(1)": False,
}


def _project(tmp_path: Path, body: str, shape: str = "stock") -> Project:
    project = Project(tmp_path / "project", env=SHAPES[shape], url=url_for(shape))
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    project.add("002", f"op.execute('INSERT INTO t VALUES (1)')\n{body}")
    return project


def _assert_refused(project: Project, *, line: int, statement: str) -> dict[str, Any]:
    """Refused by revision, line and statement, at once, nothing kept."""
    before = project.dump()
    refused = project.orchctl("upgrade", "--no-rehearse", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "outside-transaction"
    told = error["details"]
    assert (told["revision"], told["line"]) == ("002", line)
    assert told["statement"].strip() == statement
    assert f"002_step.py:{line}" in error["message"]
    assert " ".join(statement.split()) in error["message"]
    assert project.dump() == before
    assert project.heads() == ["001"]
    return error


@pytest.mark.parametrize("case", FORBIDDEN)
def test_h11_refused_by_revision_line_and_statement(tmp_path: Path, case: str) -> None:
    statement = FORBIDDEN[case]
    project = _project(tmp_path, f"op.execute({statement!r})")
    before = project.dump()
    refused = project.orchctl("upgrade", "--json")
    assert refused.returncode == 5, refused.stderr
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "outside-transaction"
    assert error["details"]["revision"] == "002"
    assert error["details"]["line"] == 19
    assert error["details"]["statement"] == statement
    assert "orchctl upgrade --unsafe 002" in error["hint"]
    assert project.dump() == before
    assert not (project.folder / "other.db").exists()


def test_h11_what_reaches_sqlite_around_the_guard_is_denied_there(tmp_path: Path) -> None:
    body = "op.get_bind().connection.dbapi_connection.real.execute('COMMIT')"
    project = _project(tmp_path, body)
    before = project.dump()
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    assert "not authorized" in failed.stderr
    assert project.dump() == before


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_h11_refused_on_every_way_to_sqlite(tmp_path: Path, way: str) -> None:
    _assert_refused(_project(tmp_path, OTHER_WAYS[way]), line=19, statement="VACUUM")


@pytest.mark.parametrize("exit_", EXITS)
def test_h11_an_exit_is_refused_by_revision_line_and_statement(tmp_path: Path, exit_: str) -> None:
    project = _project(tmp_path, f"import os, sys\n{exit_}")
    error = _assert_refused(project, line=20, statement=exit_)
    # What it does not mean to go through, --unsafe would only put back.
    assert ("--unsafe 002" in error["hint"]) == EXITS[exit_]


@pytest.mark.parametrize("way", OWN)
def test_h11_another_connection_to_the_file_is_refused_before_it_is_made(
    tmp_path: Path, way: str
) -> None:
    lines = OWN[way].strip().splitlines()
    number = next(n for n, line in enumerate(lines) if "# here" in line)
    project = _project(tmp_path, "\n".join(lines))
    error = _assert_refused(project, line=19 + number, statement=lines[number].strip())
    assert "op.get_bind()" in error["hint"]
    assert "orchctl upgrade --unsafe 002" in error["hint"]


@pytest.mark.parametrize("case", ["vacuum", "exit", "own"])
def test_h11_the_rehearsal_refuses_them_first(tmp_path: Path, case: str) -> None:
    body = {"vacuum": "op.execute('VACUUM')", "exit": "import os\nos._exit(0)", "own": OWN_ENGINE}
    project = _project(tmp_path, body[case])
    before = project.dump()
    refused = project.orchctl("upgrade")
    assert refused.returncode == 5, refused.stderr
    assert "Revision 002" in refused.stderr
    assert project.dump() == before
    assert project.orchctl("rehearse").returncode == 5


def test_h11_in_an_async_env_too(tmp_path: Path) -> None:
    project = _project(tmp_path, "import sqlite3\nsqlite3.connect('app.db')", shape="async")
    _assert_refused(project, line=20, statement="sqlite3.connect('app.db')")


def test_h11_other_files_are_the_revisions_own_business(tmp_path: Path) -> None:
    body = """
import contextlib, sqlite3, subprocess, sys
with contextlib.closing(sqlite3.connect("old.db")) as old:
    rows = old.execute("SELECT 7").fetchall()
op.get_bind().exec_driver_sql("INSERT INTO t VALUES (?)", rows[0])
with op.get_bind().engine.begin() as ours:
    ours.execute(sa.text("INSERT INTO t VALUES (8)"))
child = subprocess.run([sys.executable, "-c", "import os; os._exit(3)"])
op.execute(f"INSERT INTO t VALUES ({child.returncode})")
pid = os.fork() if (os := __import__("os")) else None
if pid == 0:
    os._exit(4)
op.execute(f"INSERT INTO t VALUES ({os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})")
"""
    project = _project(tmp_path, body)
    done = project.orchctl("upgrade", "--no-rehearse")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT id FROM t") == [(1,), (3,), (4,), (7,), (8,)]


def test_h11_the_usual_pair_around_a_batch_is_allowed(tmp_path: Path) -> None:
    project = _project(
        tmp_path,
        "op.execute('PRAGMA foreign_keys=OFF')\n"
        "with op.batch_alter_table('t') as batch:\n"
        "    batch.add_column(sa.Column('x', sa.Integer))\n"
        "op.execute('PRAGMA foreign_keys=ON')",
    )
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT id FROM t") == [(1,)]
