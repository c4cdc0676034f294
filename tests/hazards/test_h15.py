"""H15: the database is at head already."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.projects import Project, bytes_of


def _project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    project.add("002", 'op.add_column("t", sa.Column("x", sa.Text))')
    return project


def test_h15_at_head_there_is_no_snapshot_and_no_lock(tmp_path: Path) -> None:
    project = _project(tmp_path)
    assert project.orchctl("upgrade").returncode == 0
    (project.folder / "app.db.orchctl-lock").unlink()
    files = sorted(path.name for path in project.folder.rglob("*"))
    before = bytes_of(project.database)
    done = project.orchctl("upgrade", "--json")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert (data["from"], data["to"], data["revisions"], data["snapshot"]) == (
        "002",
        "002",
        [],
        None,
    )
    assert bytes_of(project.database) == before
    assert sorted(path.name for path in project.folder.rglob("*")) == files
