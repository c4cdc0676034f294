"""H07: what may not be written: a file system remounted read-only, a file, a directory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.failures import json_error
from tests.support.machine import NOBODY, as_nobody, mounted, remount
from tests.support.preloaded import orchctl, start
from tests.support.processes import wait_until
from tests.support.projects import Project, clean_environment, dump, execute, query
from tests.support.sqlite_files import reachable_folder

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
WAIT = """
import os, time
if "orchctl-rehearsal" not in str(op.get_bind().exec_driver_sql("PRAGMA database_list").all()):
    open("reached", "a").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
op.execute("INSERT INTO t VALUES (2)")
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "size=16m") as place:
        yield place


def _project(folder: Path, database: Path, mode: str, body: str) -> Project:
    project = Project(folder, url=f"sqlite:///{database}")
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    query(database, f"PRAGMA journal_mode={mode}")
    execute(database, "INSERT INTO t VALUES (1)")
    project.add("002", body)
    return project


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_h07_mounted_read_only_before_the_run(tmp_path: Path, disk: Path, mode: str) -> None:
    project = _project(tmp_path / "project", disk / "app.db", mode, WAIT)
    (project.folder / "go").touch()
    remount(disk, "ro")
    before = (disk / "app.db").read_bytes()
    error = json_error(orchctl(project, "--json", "upgrade"), 5)
    assert error["code"] == "not-writable"
    assert "read-only" in error["message"]
    assert (disk / "app.db").read_bytes() == before
    remount(disk, "rw")
    assert orchctl(project, "upgrade").returncode == 0


def test_h07_remounted_read_only_during_the_run(tmp_path: Path, disk: Path) -> None:
    """A kernel does so when a disk fails; here the mount is made so as soon as it lets itself."""
    project = _project(tmp_path / "project", disk / "app.db", "delete", WAIT)
    before = dump(disk / "app.db")
    running = start(project, "upgrade", "--no-backup")
    wait_until((project.folder / "reached").exists)
    # With files open for writing the kernel refuses; then nothing has changed, and it goes through.
    try:
        remount(disk, "ro")
        refused = False
    except subprocess.CalledProcessError:
        refused = True
    (project.folder / "go").touch()
    done = running.finished()
    if not refused:
        remount(disk, "rw")
    assert "Traceback" not in done.stderr
    assert (dump(disk / "app.db") != before) is (done.returncode == 0)
    assert orchctl(project, "upgrade").returncode == 0


@pytest.mark.parametrize("what", ["file", "directory", "snapshot directory"])
def test_h07_no_right_to_write(what: str) -> None:
    with reachable_folder() as folder:
        project = _project(folder / "project", folder / "project" / "app.db", "delete", "pass")
        backups = project.folder / "backups"
        for path in (project.folder, *project.folder.rglob("*")):
            _give(path)
        culprit = {"file": project.database, "directory": project.folder}.get(what, backups)
        culprit.chmod(0o444 if culprit.is_file() else 0o555)
        before = project.database.read_bytes()
        done = subprocess.run(
            [*as_nobody(), sys.executable, "-m", "orchctl", "--json", "upgrade"],
            cwd=project.folder,
            env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        error = json_error(done, 5)
        assert error["code"] == "not-writable"
        assert str(culprit) in error["message"]
        assert "chmod" in error["hint"] or "chown" in error["hint"]
        assert project.database.read_bytes() == before


def _give(path: Path) -> None:
    import os

    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
