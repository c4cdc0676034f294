"""H05: kill -9 between any two steps of an upgrade; the next run just works."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.preloaded import orchctl, start
from tests.support.projects import Project, execute, query

TABLES = """
op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text))
"""
REBUILD = """
with op.batch_alter_table("t") as batch:
    batch.add_column(sa.Column("y", sa.Integer))
op.execute("UPDATE t SET y = 7")
"""


def _project(tmp_path: Path, mode: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", TABLES)
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "INSERT INTO t (x) VALUES ('a'), ('b')")
    query(project.database, f"PRAGMA journal_mode={mode}")
    project.add("002", REBUILD)
    return project


def _reset(project: Project, pristine: Path) -> None:
    shutil.rmtree(project.folder)
    shutil.copytree(pristine, project.folder)


@pytest.mark.parametrize(("mode", "half"), [("delete", 0), ("wal", 1)])
def test_h05_killed_at_every_boundary(tmp_path: Path, mode: str, half: int) -> None:
    """Every other one in each journal mode: SQL statements, and changes to the file system."""
    project = _project(tmp_path, mode)
    before, pristine = project.dump(), tmp_path / "pristine"
    shutil.copytree(project.folder, pristine)
    log = tmp_path / "log"
    assert start(project, "upgrade", log=log).finished().returncode == 0
    after, boundaries = project.dump(), log.read_text().splitlines()
    assert boundaries.index("fcntl.flock") < boundaries.index("BEGIN IMMEDIATE")
    committed = 0
    for number in range(half, len(boundaries), 2):
        _reset(project, pristine)
        where = f"{number}: {boundaries[number]}"
        died = start(project, "upgrade", dies_at=number).finished()
        assert died.returncode == -signal.SIGKILL, where
        now = project.dump()
        assert now in (before, after), where
        assert query(project.database, "PRAGMA integrity_check") == [("ok",)], where
        if now == after:
            committed += 1
            _can_be_rolled_back(project, before, where)
        _next_run_works(project, after, where)
    assert committed > 2  # it also died between the commit and the journal


def _can_be_rolled_back(project: Project, before: str, where: str) -> None:
    back = orchctl(project, "rollback", "--accept-data-loss")
    assert back.returncode == 0, (where, back.stderr)
    assert project.dump() == before, where


def _next_run_works(project: Project, after: str, where: str) -> None:
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, (where, done.stderr)
    assert project.dump() == after, where
    names = {path.name for path in project.folder.rglob("*")}
    left = [name for name in names if "partial" in name or name.startswith(".orchctl")]
    assert left == [], where
