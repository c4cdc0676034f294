"""Ctrl-C and SIGTERM in the middle of every step of an upgrade.

Whatever was going on: exit 130, the database is what the message says (as before, or committed),
nothing is left lying about but a finished snapshot, and the next run just works.
"""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from orchctl.upgrade.interruption import Interruption
from tests.support.env_shapes import SHAPES, STOCK, url_for
from tests.support.preloaded import Run, orchctl, start
from tests.support.processes import holding, wait_until
from tests.support.projects import Project, execute, query

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x"))'
TABLE = TABLE.replace('"x"', '"x", sa.Text')
ADD = "op.execute(\"INSERT INTO t (x) VALUES ('new')\")\n"
READY = "import pathlib, time; pathlib.Path('ready').touch()\n"
LONG_QUERY = (
    'op.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) '
    'SELECT count(*) FROM n")'
)
SIGNALS = [signal.SIGINT, signal.SIGTERM]
NO_REHEARSAL = ("upgrade", "--no-rehearse")


def _project(tmp_path: Path, revision: str, *, shape: str = "stock", size: int = 0) -> Project:
    """At 001 with rows in it; 002 is still to come."""
    project = Project(tmp_path / "project", url=url_for(shape), env=SHAPES[shape])
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "INSERT INTO t (x) VALUES ('old'), (NULL)")
    if size:
        execute(project.database, f"INSERT INTO t (x) VALUES (zeroblob({size}))")
    project.add("002", revision)
    return project


def _ready(project: Project) -> Callable[[Run], bool]:
    return lambda _: (project.folder / "ready").exists()


def _interrupted(
    project: Project, words: tuple[str, ...], number: int, when: Callable[[Run], object]
) -> None:
    """Run, send the signal when something is the case, and see how it ends."""
    before = _content(project)
    run = start(project, *words)
    wait_until(lambda: when(run))
    run.send_signal(number)
    done = run.finished()
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert "error: Interrupted\nstate: The database is as before" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert project.heads() == ["001"]
    assert _content(project) == before
    _nothing_lies_about(project)


def _content(project: Project) -> str | bytes:
    large = project.database.stat().st_size > 1_000_000
    return project.database.read_bytes() if large else project.dump()


def _nothing_lies_about(project: Project) -> None:
    names = {path.name for path in project.folder.iterdir()}
    known = {"alembic.ini", "migrations", "app.db", "app.db.orchctl-lock", "backups", "ready"}
    assert names - known - {"app.db-wal", "app.db-shm", "__pycache__"} == set()
    for path in (project.folder / "backups").glob("*"):
        assert re.fullmatch(r"journal\.jsonl|app\.db\..*\.(snapshot|json)", path.name)
        if path.suffix == ".snapshot":
            assert path.with_suffix(".json").exists()
    listed = orchctl(project, "backup", "list", "--json").stdout
    assert "partial" not in listed
    assert "damaged" not in listed


def _next_run_works(project: Project, revision: str = ADD) -> None:
    project.revisions.remove("002")
    project.add("002", revision)
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["002"]
    assert query(project.database, "SELECT count(*) FROM t WHERE x = 'new'") == [(1,)]


@pytest.mark.parametrize("number", SIGNALS)
def test_while_another_orchctl_is_waited_for(tmp_path: Path, number: int) -> None:
    project = _project(tmp_path, ADD + READY + "time.sleep(60)")

    def second_waits(first: Run) -> bool:
        if not _ready(project)(first):
            return False
        second = start(project, *NO_REHEARSAL)
        wait_until(lambda: "Waiting for process" in second.stderr())
        second.send_signal(number)
        done = second.finished()
        assert done.returncode == 130, done.stderr
        assert "error: Interrupted\nstate: The database is as before" in done.stderr
        return True

    _interrupted(project, NO_REHEARSAL, number, second_waits)
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_while_a_writer_is_waited_for(tmp_path: Path, lock: str, number: int) -> None:
    project = _project(tmp_path, ADD)
    before = project.dump()

    def waits(run: Run) -> bool:
        if lock == "BEGIN IMMEDIATE":
            return "Rehearsed" in run.stderr()
        files = [file for file in Path(f"/proc/{run.pid}/fd").iterdir() if file.is_symlink()]
        return any(str(file.readlink()) == str(project.database) for file in files)

    with holding(project.database, lock):
        run = start(project, "upgrade")
        wait_until(lambda: waits(run))
        run.send_signal(number)
        done = run.finished()
    assert done.returncode == 130, done.stderr
    assert "error: Interrupted" in done.stderr
    assert project.dump() == before
    _nothing_lies_about(project)
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("rehearse", ["--rehearse", "--no-rehearse"])
def test_in_the_snapshot(tmp_path: Path, rehearse: str, number: int) -> None:
    project = _project(tmp_path, ADD, size=60_000_000)
    backups = project.folder / "backups"
    words = ("upgrade", rehearse)
    _interrupted(project, words, number, lambda _: list(backups.glob("*.partial")))
    assert list(backups.glob("*.snapshot")) == []
    execute(project.database, "DELETE FROM t WHERE length(x) > 1000; VACUUM")
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("rehearse", ["--rehearse", "--no-rehearse"])
def test_inside_a_python_revision(tmp_path: Path, rehearse: str, number: int) -> None:
    project = _project(tmp_path, ADD + READY + "time.sleep(60)")
    _interrupted(project, ("upgrade", rehearse), number, _ready(project))
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("shape", ["stock", "async", "swallows-errors", "in-a-thread"])
def test_inside_one_long_statement(tmp_path: Path, shape: str, number: int) -> None:
    project = _project(tmp_path, ADD + READY + LONG_QUERY, shape=shape)
    _interrupted(project, NO_REHEARSAL, number, _ready(project))
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_destructor_where_python_drops_it(tmp_path: Path, number: int) -> None:
    drops = f"""
class Dropped:
    def __del__(self):
        signal.raise_signal({int(number)})
        time.sleep(0)


Dropped()
"""
    module = f"import signal, sys, time{drops}"
    project = _project(tmp_path, ADD)
    env = project.folder / "migrations" / "env.py"
    env.write_text(f"{module}time.sleep(60)\n{env.read_text()}")
    done = orchctl(project, "upgrade", "--no-backup")
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert project.heads() == ["001"]


@pytest.mark.parametrize("number", SIGNALS)
def test_while_a_connection_is_closed(number: int, caplog: pytest.LogCaptureFixture) -> None:
    class Closing(sqlite3.Connection):
        def close(self) -> None:
            signal.raise_signal(number)
            super().close()

    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(":memory:", factory=Closing),
        poolclass=NullPool,
    )
    before = signal.signal(number, signal.default_int_handler)
    try:
        with Interruption() as interruption:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            assert interruption.seen
    finally:
        signal.signal(number, before)
    assert caplog.records == []


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_revision_that_swallows_it(tmp_path: Path, number: int) -> None:
    swallow = ADD + READY + "try:\n    time.sleep(60)\nexcept BaseException:\n    pass\n"
    project = _project(tmp_path, swallow)
    _interrupted(project, NO_REHEARSAL, number, _ready(project))
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("shape", ["stock", "async"])
def test_while_the_commit_waits_for_a_reader(tmp_path: Path, shape: str, number: int) -> None:
    project = _project(tmp_path, ADD, shape=shape)
    with holding(project.database, "BEGIN", "SELECT * FROM t"):
        _interrupted(project, NO_REHEARSAL, number, lambda run: "Proof" in run.stderr())
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
def test_in_env_py_after_the_migrations(tmp_path: Path, number: int) -> None:
    project = _project(tmp_path, ADD)
    project.set_env(STOCK + READY + "time.sleep(60)")
    _interrupted(project, NO_REHEARSAL, number, _ready(project))
    project.set_env(STOCK)
    _next_run_works(project)


@pytest.mark.parametrize("number", SIGNALS)
def test_after_the_commit(tmp_path: Path, number: int) -> None:
    """With an async env.py the commit comes when the connection is closed."""
    project = _project(tmp_path, ADD, shape="async")
    project.set_env(SHAPES["async"] + READY + "time.sleep(60)")
    run = start(project, *NO_REHEARSAL)
    wait_until(lambda: _ready(project)(run))
    run.send_signal(number)
    _committed(project, run)


GRAB = """
import sqlite3, subprocess, sys, time
connection = sqlite3.connect("app.db", isolation_level=None, timeout=0)
def committed():
    try:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0] == "002"
    except sqlite3.OperationalError:
        return False
while not committed():
    pass
connection.execute("PRAGMA busy_timeout=20000")
connection.execute("BEGIN EXCLUSIVE")
print("grabbed", flush=True)
time.sleep(1)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_while_the_result_is_being_confirmed(tmp_path: Path, number: int) -> None:
    """Somebody takes the database exclusively as soon as it is committed."""
    project = _project(tmp_path, ADD, shape="async")
    other = subprocess.Popen(
        [sys.executable, "-c", GRAB], cwd=project.folder, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    with other:
        project.set_env(SHAPES["async"] + "import time\ntime.sleep(0.5)")
        run = start(project, *NO_REHEARSAL)
        assert other.stdout.readline() == "grabbed\n"
        run.send_signal(number)
        _committed(project, run)


def _committed(project: Project, run: Run) -> None:
    """Too late to undo: it says so, and the journal knows, so that `rollback` can."""
    done = run.finished()
    assert done.returncode == 130, done.stderr
    assert "state: The upgrade is done and committed" in done.stderr
    assert project.heads() == ["002"]
    _nothing_lies_about(project)
    project.set_env(SHAPES["async"])
    rolled_back = orchctl(project, "rollback", "--accept-data-loss")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert project.heads() == ["001"]


def test_at_random_moments(tmp_path: Path) -> None:
    """What is said about the database is true, wherever the signal comes."""
    project = _project(tmp_path, ADD, size=3_000_000)
    original = project.database.read_bytes()
    random_ = random.Random(20240501)
    ends = []
    for _ in range(30):
        run = start(project, "upgrade")
        time.sleep(random_.uniform(0, 0.35))
        run.send_signal(random_.choice(SIGNALS))
        done = run.finished()
        ends.append(done.returncode)
        assert done.returncode in (0, 130, -signal.SIGTERM), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        committed = project.heads() == ["002"]
        told = done.returncode == 0 or "done and committed" in done.stderr
        assert committed == told, done.stderr
        project.database.write_bytes(original)
        for path in (project.folder / "backups").glob("*"):
            path.unlink()
    assert 130 in ends
    _next_run_works(project)
    _nothing_lies_about(project)


def test_a_second_signal_while_the_first_is_dealt_with(tmp_path: Path) -> None:
    project = _project(tmp_path, ADD + READY + "time.sleep(60)")
    before = project.dump()
    run = start(project, *NO_REHEARSAL)
    wait_until(lambda: _ready(project)(run))
    for _ in range(3):
        run.send_signal(signal.SIGINT)
    done = run.finished()
    assert done.returncode == 130, done.stderr
    assert project.dump() == before
    _next_run_works(project)
