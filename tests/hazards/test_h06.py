"""H06: two to five replicas upgrade at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.preloaded import start
from tests.support.projects import Project, execute, query


def _together(project: Project, replicas: int) -> list[tuple[int, dict, str]]:
    processes = [start(project, "upgrade", "--json") for _ in range(replicas)]
    ended = [process.finished() for process in processes]
    return [(done.returncode, json.loads(done.stdout or "{}"), done.stderr) for done in ended]


@pytest.mark.parametrize("replicas", [2, 5])
@pytest.mark.parametrize("state", ["empty", "populated", "wal"])
def test_h06_one_upgrades_the_others_find_it_done(
    tmp_path: Path, replicas: int, state: str
) -> None:
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    if state != "empty":
        assert project.orchctl("upgrade").returncode == 0
        execute(project.database, "INSERT INTO t VALUES (1)")
    if state == "wal":
        execute(project.database, "PRAGMA journal_mode=WAL")
    for n in range(2, 6):
        project.add(f"{n:03}", f'op.add_column("t", sa.Column("c{n}", sa.Text))')
    results = _together(project, replicas)
    assert [code for code, _, _ in results] == [0] * replicas, results
    assert sorted(len(data["revisions"]) for _, data, _ in results)[:-1] == [0] * (replicas - 1)
    assert project.heads() == ["005"]
    # The others take no snapshot, and rehearse nothing.
    snapshots = list((project.folder / "backups").glob("*.snapshot"))
    assert len(snapshots) == (0 if state == "empty" else 1)
    assert query(project.database, "SELECT count(*) FROM t") == [(0 if state == "empty" else 1,)]
