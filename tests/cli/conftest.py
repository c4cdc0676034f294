"""A small project for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.preloaded import orchctl
from tests.support.projects import Project

TABLE = (
    'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Text))'
)
ROWS = "op.execute(\"INSERT INTO t (x) VALUES ('a'), ('b')\")"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two revisions, no database yet."""
    project = Project(tmp_path / "project")
    project.add("aaaa01", TABLE, "op.drop_table('t')")
    project.add("aaaa02", ROWS, "op.execute('DELETE FROM t')")
    return project


@pytest.fixture
def begun(project: Project) -> Project:
    """The same with a database at the first revision, holding a row."""
    done = orchctl(project, "upgrade", "aaaa01")
    assert done.returncode == 0, done.stderr
    return project
