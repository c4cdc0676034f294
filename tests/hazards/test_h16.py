"""H16: an older image meets a newer database."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.projects import Project


def _project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))')
    assert project.orchctl("upgrade").returncode == 0
    project.add("002", 'op.add_column("t", sa.Column("x", sa.Text))')
    return project


def test_h16_says_where_it_comes_from_and_which_snapshot_fits(tmp_path: Path) -> None:
    project = _project(tmp_path)
    done = json.loads(project.orchctl("upgrade", "--json").stdout)
    newer = project.folder / "migrations" / "versions" / "002_step.py"
    text = newer.read_text()
    newer.unlink()
    before = project.dump()
    for words in (("upgrade",), ("downgrade", "001", "--yes"), ("upgrade", "--dry-run")):
        refused = project.orchctl(*words)
        assert refused.returncode == 5, refused.stderr
        assert "at revision 002, which this chain does not have" in refused.stderr
        assert "a chain of 2 revisions up to 002" in refused.stderr
        assert (
            f"orchctl rollback --to {done['snapshot']['id']} --accept-data-loss" in refused.stderr
        )
    assert project.dump() == before
    back = project.orchctl("rollback", "--to", done["snapshot"]["id"], "--accept-data-loss")
    assert back.returncode == 0, back.stderr
    assert project.heads() == ["001"]
    newer.write_text(text)
    assert project.orchctl("upgrade").returncode == 0
