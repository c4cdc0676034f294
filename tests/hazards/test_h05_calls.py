"""H05: kill -9 at every single write, sync, rename and removal; and the next run, and the next.

The state that a kill leaves is what the next run begins with, which is killed as well, a call
later: so leftovers of one must not get into the way of another, nor pile up.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import tempfile
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.faults import Fault
from tests.support.preloaded import orchctl
from tests.support.projects import Project, dump, execute, query

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x"))'
TABLE = TABLE.replace('"x"', '"x", sa.Text')
REBUILD = """
with op.batch_alter_table("t") as batch:
    batch.add_column(sa.Column("y", sa.Integer))
op.execute("UPDATE t SET y = 7")
"""


def project_in(tmp_path: Path, mode: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", TABLE)
    if mode != "none":
        assert orchctl(project, "upgrade").returncode == 0
        execute(project.database, "INSERT INTO t (x) VALUES ('a'), ('b')")
        query(project.database, f"PRAGMA journal_mode={mode}")
    project.add("002", REBUILD)
    return project


def content(project: Project) -> str:
    """What is in the database, read from a copy: a reader would undo what a killed run left."""
    with tempfile.TemporaryDirectory() as folder:
        for path in project.folder.glob("app.db*"):
            shutil.copy(path, folder)
        return dump(Path(folder) / "app.db")


def _upgraded(project: Project, where: str, kept: int) -> str:
    """The next run, left alone: it goes through, and clears up after all those before."""
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, (where, done.stderr)
    assert project.heads() == ["002"], where
    tables = query(project.database, "SELECT name FROM sqlite_schema WHERE name LIKE '%tmp%'")
    assert tables == [], where
    names = sorted(path.name for path in project.folder.rglob("*"))
    assert [name for name in names if "partial" in name or name.startswith(".orchctl")] == [], where
    snapshots = [name for name in names if name.endswith(".snapshot")]
    assert len(snapshots) <= kept, (where, snapshots)
    return content(project)


def _snapshots_are_whole(project: Project, where: str) -> None:
    for manifest in (project.folder / "backups").glob("*.json"):
        snapshot = manifest.with_suffix(".snapshot")
        assert query(snapshot, "PRAGMA integrity_check") == [("ok",)], where


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("none", ()),
        ("delete", ("--no-rehearse",)),
        ("wal", ("--no-rehearse",)),
        ("delete", ()),
        ("wal", ()),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_h05_killed_at_every_call_and_again_at_the_next(
    tmp_path: Path, mode: str, words: tuple[str, ...]
) -> None:
    project = project_in(tmp_path, mode)
    before, kills, committed, after, code = content(project), 0, 0, "", -signal.SIGKILL
    while code == -signal.SIGKILL:
        where = f"{mode} {words}: call {kills + 1}"
        died = faults.start(project, "upgrade", *words, fault=Fault(kills + 1)).finished()
        code, kills = died.returncode, kills + 1
        assert code in (0, -signal.SIGKILL), (where, died.stderr)
        try:
            now = content(project)
        except sqlite3.DatabaseError as error:
            raise AssertionError(where) from error
        _snapshots_are_whole(project, where)
        if now != before:
            committed += 1  # each leaves its own snapshot, and one of what the rollback discards
            after = after or now
            assert now == after == _upgraded(project, where, 2 * committed)
            put_back(project, before, where, existed=mode != "none")
    assert kills > 15
    assert committed >= 1


def put_back(project: Project, before: str, where: str, *, existed: bool) -> None:
    if existed:
        undone = orchctl(project, "rollback", "--accept-data-loss")
        assert undone.returncode == 0, (where, undone.stderr)
    else:
        for path in project.folder.glob("app.db*"):
            path.unlink()
    assert content(project) == before, where
