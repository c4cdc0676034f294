"""H08: a live writer holds the database."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.projects import Project, execute, query

# Holds the write lock for 0.2 s at a time, with next to no pause between.
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
written = 0
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO log (at) VALUES (?)", (time.time(),))
    time.sleep(float(sys.argv[3]))
    connection.execute("COMMIT")
    written += 1
    with open(sys.argv[2], "w") as file:
        file.write(str(written))
    time.sleep(0.001)
"""


@contextmanager
def _writing(project: Project, hold: float) -> Iterator[subprocess.Popen[bytes]]:
    told = project.folder / "written"
    words = [sys.executable, "-c", WRITER, project.database, told, str(hold)]
    writer = subprocess.Popen(words)
    try:
        if hold < 10:
            wait_until(told.exists)
        else:
            time.sleep(1)
        yield writer
    finally:
        writer.kill()
        writer.wait()


def _project(tmp_path: Path, mode: str) -> Project:
    project = Project(tmp_path / "project")
    project.add(
        "001",
        'op.create_table("log", sa.Column("id", sa.Integer, primary_key=True), '
        'sa.Column("at", sa.Float))',
    )
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, f"PRAGMA journal_mode={mode}")
    project.add("002", 'op.add_column("log", sa.Column("note", sa.Text))')
    return project


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_h08_gets_in_between_and_no_write_is_lost(tmp_path: Path, mode: str) -> None:
    project = _project(tmp_path, mode)
    with _writing(project, 0.2) as writer:
        done = project.orchctl("upgrade", "--lock-timeout", "60s")
        assert done.returncode == 0, done.stderr
        assert writer.poll() is None
    written = int((project.folder / "written").read_text())
    assert project.heads() == ["002"]
    (rows,) = query(project.database, "SELECT count(*) FROM log")[0]
    assert rows >= written > 0


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_h08_waits_then_exit_4_naming_who_holds_it(tmp_path: Path, mode: str) -> None:
    project = _project(tmp_path, mode)
    with _writing(project, 600) as writer:
        held = project.orchctl("upgrade", "--lock-timeout", "1s")
        assert held.returncode == 4, held.stderr
        assert str(writer.pid) in held.stderr
        assert "locked" in held.stderr
    assert project.heads() == ["001"]
    assert project.orchctl("upgrade").returncode == 0
