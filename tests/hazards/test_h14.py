"""H14: every shape of env.py (async, own BEGIN, own pool, AUTOCOMMIT …) ends all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES, url_for
from tests.support.preloaded import orchctl
from tests.support.projects import Project, execute, query

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
FILLED = 'op.add_column("t", sa.Column("x", sa.Text))\nop.execute("UPDATE t SET x = \'new\'")'
FAILS = 'op.execute("DELETE FROM t")\nop.execute("INSERT INTO nowhere VALUES (1)")'


@pytest.mark.parametrize("shape", SHAPES)
def test_h14_all_or_nothing(tmp_path: Path, shape: str) -> None:
    project = Project(tmp_path / "project", env=SHAPES[shape], url=url_for(shape))
    project.add("001", TABLE)
    assert orchctl(project, "upgrade").returncode == 0
    execute(project.database, "INSERT INTO t VALUES (1), (2)")
    before = project.dump()
    project.add("002", FILLED)
    broken = project.add("003", FAILS)
    failed = orchctl(project, "upgrade", "--no-rehearse", "--allow-loss", "t")
    assert failed.returncode == 6, failed.stderr
    assert "Revision 003" in failed.stderr
    assert project.dump() == before
    broken.write_text(broken.read_text().replace("nowhere", "t (id)"))
    done = orchctl(project, "upgrade", "--allow-loss", "t")
    assert done.returncode == 0, done.stderr
    assert project.heads() == ["003"]
    assert query(project.database, "SELECT id, x FROM t") == [(1, None)]
