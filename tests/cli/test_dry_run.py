"""`--dry-run` writes nothing: the bytes of the database and its sidecars are the same."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import Project, bytes_of, execute

COMMANDS = (
    ("upgrade", "--dry-run"),
    ("downgrade", "base", "--dry-run"),
    ("rollback", "--dry-run"),
    ("backup", "prune", "--dry-run"),
    ("stamp", "002", "--dry-run"),
)
CRASHED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO t (id) VALUES (99)")
connection.commit()
os._exit(9)  # leaves the WAL behind
"""


def _project(tmp_path: Path, mode: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    execute(project.database, f"PRAGMA journal_mode={mode}; INSERT INTO t VALUES (1);")
    project.add("002", 'op.add_column("t", sa.Column("x", sa.Text))')
    assert project.orchctl("upgrade").returncode == 0
    project.add("003", 'op.add_column("t", sa.Column("y", sa.Text))')
    return project


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_byte_changes(tmp_path: Path, words: tuple[str, ...], mode: str) -> None:
    project = _project(tmp_path, mode)
    files = sorted(path.name for path in project.folder.rglob("*") if "pycache" not in str(path))
    before = bytes_of(project.database)
    done = project.orchctl(*words, "--json")
    assert done.returncode in (0, 5), done.stderr
    json.loads(done.stdout or done.stderr)
    assert bytes_of(project.database) == before
    assert files == sorted(
        path.name for path in project.folder.rglob("*") if "pycache" not in str(path)
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_byte_changes_with_a_wal_that_a_killed_process_left(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    project = _project(tmp_path, "wal")
    subprocess.run([sys.executable, "-c", CRASHED, project.database])
    before = bytes_of(project.database)
    assert before["app.db-wal"]
    done = project.orchctl(*words)
    assert done.returncode in (0, 5), done.stderr
    assert bytes_of(project.database) == before


def test_a_live_connection_does_not_disturb_it(tmp_path: Path) -> None:
    project = _project(tmp_path, "wal")
    connection = sqlite3.connect(project.database)
    connection.execute("INSERT INTO t (id) VALUES (5)")
    connection.commit()
    before = {k: v for k, v in bytes_of(project.database).items() if not k.endswith("-shm")}
    assert project.orchctl("upgrade", "--dry-run").returncode == 0
    assert before == {k: v for k, v in bytes_of(project.database).items() if not k.endswith("-shm")}
    connection.close()
