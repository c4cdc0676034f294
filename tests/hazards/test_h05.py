"""H05: kill -9 at any moment: before or after, never between; the next run just works."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.preloaded import start
from tests.support.projects import Project, dump, execute, query

ROUNDS = 50
CREATE = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="CASCADE")),
)
"""
REBUILD = """
import time
with op.batch_alter_table("parent") as batch:
    batch.add_column(sa.Column("c{n}", sa.Integer))
time.sleep(0.02)
"""


def _project(tmp_path: Path, mode: str) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", CREATE)
    assert project.orchctl("upgrade").returncode == 0
    execute(
        project.database,
        f"PRAGMA journal_mode={mode};"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
        "INSERT INTO parent SELECT i, 'name' || i FROM n;"
        "INSERT INTO child SELECT id, id FROM parent;",
    )
    for n in range(2, 8):
        project.add(f"{n:03}", REBUILD.format(n=n))
    return project


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_h05_killed_at_random_moments(tmp_path: Path, mode: str) -> None:
    project = _project(tmp_path, mode)
    pristine = project.database.read_bytes()
    before = dump(project.database)
    began = time.monotonic()
    assert start(project, "upgrade").wait() == 0
    whole = time.monotonic() - began
    after = dump(project.database)
    chance, killed = random.Random(5), 0
    for _ in range(ROUNDS // 2):
        for path in project.folder.glob("app.db*"):
            path.unlink()
        project.database.write_bytes(pristine)
        process = start(project, "upgrade")
        time.sleep(chance.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert dump(project.database) in (before, after)
        assert query(project.database, "PRAGMA integrity_check") == [("ok",)]
    assert killed > ROUNDS // 10
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert dump(project.database) == after
    assert project.orchctl("backup", "list").returncode == 0


@pytest.mark.parametrize("step", ["first", "middle", "last"])
def test_h05_killed_inside_a_revision(tmp_path: Path, step: str) -> None:
    project = _project(tmp_path, "wal")
    number = {"first": "002", "middle": "004", "last": "007"}[step]
    path = project.folder / "migrations" / "versions" / f"{number}_step.py"
    text = path.read_text()
    path.write_text(
        text.replace(
            "    time.sleep(0.02)",
            "    open('reached', 'a').close()\n    time.sleep(60)",
        )
    )
    before = dump(project.database)
    process = start(project, "upgrade", "--no-rehearse")
    deadline = time.monotonic() + 60
    while not (project.folder / "reached").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert dump(project.database) == before
    path.write_text(text)
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["007"]
    assert query(project.database, "SELECT count(*) FROM child") == [(2000,)]
