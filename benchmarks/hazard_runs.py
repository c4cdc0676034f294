"""How a hazard's project is run with a tool, and what is seen in it afterwards."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.support.processes import wait_until
from tests.support.projects import Project, clean_environment, execute, query

Words = tuple[str, ...]
_KILLS = 10
_TRIES = 3

# Holds the write lock for 0.2 s at a time, with next to no pause between.
_WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE parent SET name = name")
    time.sleep(0.2)
    connection.execute("COMMIT")
    open(sys.argv[2], "w").close()
    time.sleep(0.001)
"""
_BACK = """
DROP TABLE IF EXISTS _alembic_tmp_parent;
UPDATE alembic_version SET version_num = '001';
"""


def start(project: Project, words: Words) -> subprocess.Popen[bytes]:
    """Start a tool in the project's folder, and go on."""
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=project.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


# -- running --------------------------------------------------------------------------------------


def once(project: Project, words: Words) -> str:
    """One run."""
    return f"exit {start(project, words).wait()}"


def telling(project: Project, words: Words) -> str:
    """One run, and whether it names a snapshot to go back to."""
    done = project.orchctl(*words[1:]) if words[0] == "orchctl" else project.alembic(*words[1:])
    names = "names a" if re.search(r"--to \d{8}T\d{6}-\d{3}", done.stderr) else "names no"
    return f"exit {done.returncode}; {names} snapshot to go back to"


def five_at_once(project: Project, words: Words) -> str:
    """Five replicas."""
    codes = [process.wait() for process in [start(project, words) for _ in range(5)]]
    return f"{codes.count(0)} of 5 exit 0"


def beside_a_writer(project: Project, words: Words) -> str:
    """Runs in turn beside a process that goes on writing."""
    codes = []
    for _ in range(_TRIES):
        with _writing(project):
            codes.append(start(project, words).wait())
        execute(project.database, _BACK)
    start(project, words).wait()
    return f"{codes.count(0)} of {_TRIES} exit 0"


@contextlib.contextmanager
def _writing(project: Project) -> Iterator[None]:
    told = project.folder / "written"
    told.unlink(missing_ok=True)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, project.database, told])
    try:
        wait_until(told.exists)
        yield
    finally:
        writer.kill()
        writer.wait()


def killed(project: Project, words: Words) -> str:
    """kill -9 at random moments, each followed by the next run."""
    pristine, chance = project.database.read_bytes(), random.Random(3)
    before = project.dump()
    began = time.monotonic()
    assert start(project, words).wait() == 0
    whole, after = time.monotonic() - began, project.dump()
    between = stuck = 0
    for _ in range(_KILLS):
        for path in project.folder.glob("app.db*"):
            path.unlink()
        project.database.write_bytes(pristine)
        process = start(project, words)
        time.sleep(chance.uniform(0.4, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        between += project.dump() not in (before, after)
        stuck += start(project, words).wait() != 0
    return f"{between} of {_KILLS} left half-way; {stuck} of {_KILLS} next runs failed"


# -- looking --------------------------------------------------------------------------------------

Look = Callable[[Project], str]


def heads(project: Project) -> str:
    """The revision that the database says it is at."""
    try:
        return "at " + (", ".join(project.heads()) or "base")
    except sqlite3.OperationalError:
        return "at base"


def count(table: str) -> Look:
    """How many rows a table has."""

    def look(project: Project) -> str:
        (rows,) = query(project.database, f"SELECT count(*) FROM {table}")[0]
        return f"{heads(project)}; {rows} rows in {table}"

    return look


def tables(project: Project) -> str:
    """Which tables there are besides those of the beginning."""
    rows = query(project.database, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    known = {"alembic_version", "parent", "child"}
    found = sorted({row[0] for row in rows} - known)
    return f"{heads(project)}; left behind: {', '.join(found) or 'nothing'}"


def links(project: Project) -> str:
    """How many children lost their parent."""
    (rows,) = query(project.database, "SELECT count(*) FROM child WHERE parent_id IS NULL")[0]
    return f"{heads(project)}; {rows} of 3 links nulled"


def names(project: Project) -> str:
    """What the parents are called."""
    rows = query(project.database, "SELECT name FROM parent ORDER BY id")
    return f"{heads(project)}; names {', '.join(repr(row[0]) for row in rows)}"


def words_left(*wanted: str) -> Look:
    """Which words still stand in the schema."""

    def look(project: Project) -> str:
        text = " ".join(
            row[0] or "" for row in query(project.database, "SELECT sql FROM sqlite_schema")
        )
        left = [word for word in wanted if word in text]
        return f"{heads(project)}; left: {', '.join(left) or 'nothing'}"

    return look


def search(project: Project) -> str:
    """Which row a full-text search for `gamma` finds."""
    sql = "SELECT n.k FROM ft JOIN n ON n.rowid = ft.rowid WHERE ft MATCH 'gamma'"
    try:
        found = [row[0] for row in query(project.database, sql)]
    except sqlite3.DatabaseError as error:
        return f"{heads(project)}; search: {error}"
    return f"{heads(project)}; search finds {', '.join(found) or 'nothing'}"


def other(project: Project) -> str:
    """What became of the database that env.py opens instead."""
    rows = query(project.folder / "other.db", "SELECT name FROM sqlite_schema WHERE name = 'one'")
    return f"the other database {'is migrated' if rows else 'is as before'}"


def attached(project: Project) -> str:
    """What stands in the database that a revision attaches."""
    execute(project.folder / "other.db", "CREATE TABLE IF NOT EXISTS log (id)")
    (rows,) = query(project.folder / "other.db", "SELECT count(*) FROM log")[0]
    return f"{heads(project)}; {rows} rows in the other file"


def env_runs(project: Project) -> str:
    """Whether env.py was run."""
    return f"{heads(project)}; env.py {'ran' if (project.folder / 'ran').exists() else 'not run'}"
