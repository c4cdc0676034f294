"""`orchctl wait-db` on SQLite files: what counts as usable, and that looking leaves no trace."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchctl.database import lock
from tests.support.failures import refused
from tests.support.machine import as_nobody
from tests.support.preloaded import orchctl, start
from tests.support.processes import holding, wait_until
from tests.support.projects import Project, bytes_of, clean_environment, execute

SHORT = ("--timeout", "60ms", "--interval", "20ms")


def test_a_database_that_is_there(begun: Project) -> None:
    done = orchctl(begun, "wait-db")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{begun.database} is there (0.")
    assert done.stderr == ""
    told = json.loads(orchctl(begun, "wait-db", "--json").stdout)
    assert told.pop("seconds") < 60
    assert told == {
        "ok": True,
        "database": str(begun.database),
        "found": f"{begun.database} is there",
        "attempts": 1,
    }


def test_a_database_that_is_still_to_be_made(project: Project) -> None:
    done = orchctl(project, "wait-db")
    assert done.returncode == 0
    assert "there is no app.db yet" in done.stdout
    assert sorted(path.name for path in project.folder.iterdir()) == ["alembic.ini", "migrations"]


def test_no_project_is_needed(tmp_path: Path, project: Project) -> None:
    project.folder = tmp_path
    url = {"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    assert orchctl(project, "wait-db", env=url).returncode == 0
    done = orchctl(project, "wait-db")
    assert done.returncode == 3


def test_a_database_that_only_env_py_names(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", url=None)
    project.set_env(
        "import sqlalchemy\nfrom alembic import context\n"
        "engine = sqlalchemy.create_engine('sqlite:///own.db')\n"
        "with engine.connect() as connection:\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    done = orchctl(project, "wait-db")
    assert done.returncode == 0, done.stderr
    assert "own.db" in done.stdout


def test_a_directory_that_comes_later(project: Project) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    run = start(project, "wait-db", "--interval", "20ms", env=url)
    wait_until(lambda: "Waiting: Cannot create" in run.stderr())
    (project.folder / "volume").mkdir()
    done = run.finished()
    assert done.returncode == 0
    assert done.stderr.count("Waiting") == 1


def test_what_is_in_the_way_is_said_in_the_end(project: Project) -> None:
    folder = project.folder
    (folder / "notes.db").write_text("not a database, but long enough to be looked at" * 9)
    (folder / "folder.db").mkdir()
    for name, says in (
        ("volume/app.db", "there is no directory"),
        ("notes.db", "is not a SQLite database"),
        ("folder.db", "it is not a file"),
    ):
        error = _late(project, name)
        assert says in error["message"]
        assert error["details"]["attempts"] > 1


def _late(project: Project, name: str) -> dict:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/{name}"}
    # Long enough for a second look on a machine that is busy.
    words = ("wait-db", "--timeout", "250ms", "--interval", "20ms")
    return refused(project, *words, exit_code=10, code="database-not-ready", says="", env=url)


def test_a_timeout_of_zero_looks_once(project: Project) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    done = orchctl(project, "wait-db", "--timeout", "0s", "--json", env=url)
    assert done.returncode == 10
    assert json.loads(done.stderr)["error"]["details"]["attempts"] == 1


def test_a_directory_without_the_right_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [*as_nobody(), sys.executable, "-m", "orchctl", "wait-db", *SHORT],
        cwd="/",
        env=clean_environment() | {"DATABASE_URL": f"sqlite:///{folder}/app.db"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 10, done.stderr
    assert "no right to write to its directory" in done.stderr
    assert "chown" in done.stderr or "chmod" in done.stderr


def test_a_locked_file_is_waited_for(begun: Project) -> None:
    with holding(begun.database, "BEGIN EXCLUSIVE"):
        done = orchctl(begun, "wait-db", *SHORT)
        assert done.returncode == 10
        assert "is locked by process" in done.stderr
        run = start(begun, "wait-db", "--interval", "20ms")
        wait_until(lambda: "Waiting" in run.stderr())
    assert run.finished().returncode == 0


def test_a_writer_that_leaves_readers_alone_is_not_in_the_way(begun: Project) -> None:
    with holding(begun.database, "BEGIN IMMEDIATE", "DELETE FROM t"):
        assert orchctl(begun, "wait-db", *SHORT).returncode == 0


def test_another_orchctl_at_work_is_waited_for(begun: Project) -> None:
    with lock.hold(begun.database, timeout=0, purpose="upgrade to head"):
        done = orchctl(begun, "wait-db", *SHORT)
        assert done.returncode == 10
        assert "is held by process" in done.stderr
        assert "upgrade to head" in done.stderr
    assert orchctl(begun, "wait-db", *SHORT).returncode == 0


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_nothing_is_written(begun: Project, mode: str) -> None:
    execute(begun.database, f"PRAGMA journal_mode={mode}")
    shutil.rmtree(begun.folder / "backups", ignore_errors=True)
    (begun.folder / "app.db.orchctl-lock").unlink()
    before = bytes_of(begun.database), sorted(begun.folder.rglob("*"))
    assert orchctl(begun, "wait-db").returncode == 0
    assert (bytes_of(begun.database), sorted(begun.folder.rglob("*"))) == before


def test_interrupted(project: Project) -> None:
    url = {"DATABASE_URL": f"sqlite:///{project.folder}/volume/app.db"}
    run = start(project, "wait-db", env=url)
    wait_until(lambda: "Waiting" in run.stderr())
    run.send_signal(signal.SIGTERM)
    done = run.finished()
    assert done.returncode == 130
    assert "error: Interrupted" in done.stderr


@pytest.mark.parametrize("command", [("wait-db",), ("wait-db", "--timeout", "0s")])
def test_other_databases_cannot_be_asked(project: Project, command: tuple[str, ...]) -> None:
    url = {"DATABASE_URL": "mysql+pymysql://app:hunter2-s3cret@db/app"}
    error = refused(
        project, *command, exit_code=3, code="cannot-wait", says="mysql+pymysql://app:***@", env=url
    )
    assert "hunter2" not in str(error)


def test_wrong_durations(project: Project) -> None:
    for option in ("--timeout", "--interval"):
        refused(project, "wait-db", option, "soon", exit_code=2, code="usage", says="duration")


@pytest.mark.parametrize("place", ["db:99999", "db:0", "db:-1", "db..net", "d" * 64, "[::1]:70000"])
def test_a_server_that_can_t_be_looked_up(project: Project, place: str) -> None:
    words = ("--url", f"postgresql://me:S3CRET@{place}/app", "wait-db")
    error = refused(project, *words, exit_code=3, code="bad-url")
    assert "S3CRET" not in json.dumps(error)
