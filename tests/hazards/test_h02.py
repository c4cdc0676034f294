"""H02: batch_alter_table on a parent with foreign_keys=ON and ON DELETE CASCADE children."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.env_shapes import SHAPES, STOCK
from tests.support.projects import Project, execute, query

TABLES = """
op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
op.create_table(
    "child",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parent.id", ondelete="{action}")),
)
"""
REBUILD = """
with op.batch_alter_table("parent") as batch:
    batch.alter_column("name", type_=sa.String(50))
"""


def project_with(tmp_path: Path, action: str, env: str = SHAPES["application-engine"]) -> Project:
    """A parent and children with rows; the application switches foreign keys on."""
    project = Project(tmp_path / "project", env=env)
    project.add("001", TABLES.format(action=action))
    assert project.orchctl("upgrade").returncode == 0
    execute(
        project.database,
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b');"
        "INSERT INTO child VALUES (1, 1), (2, 1), (3, 2);",
    )
    project.add("002", REBUILD)
    return project


def test_h02_plain_alembic_deletes_the_children(tmp_path: Path) -> None:
    project = project_with(tmp_path, "CASCADE")
    assert project.alembic("upgrade", "head").returncode == 0
    assert query(project.database, "SELECT count(*) FROM child") == [(0,)]


@pytest.mark.parametrize("env", [SHAPES["application-engine"], STOCK], ids=["on", "stock"])
def test_h02_orchctl_keeps_every_row_and_link(tmp_path: Path, env: str) -> None:
    project = project_with(tmp_path, "CASCADE", env)
    done = project.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert query(project.database, "SELECT * FROM child") == [(1, 1), (2, 1), (3, 2)]
    assert query(project.database, "SELECT * FROM parent") == [(1, "a"), (2, "b")]


def test_h02_a_revision_that_orphans_rows_is_stopped(tmp_path: Path) -> None:
    project = project_with(tmp_path, "CASCADE")
    assert project.orchctl("upgrade").returncode == 0
    before = project.dump()
    project.add("003", 'op.execute("DELETE FROM parent WHERE id = 2")')
    refused = project.orchctl("upgrade", "--allow-loss", "parent")
    assert refused.returncode == 5
    assert "foreign-key violations: 1 in child (no such parent)" in refused.stderr
    assert project.dump() == before
