"""H10: env.py never commits (autobegin before configure)."""

from __future__ import annotations

from pathlib import Path

from tests.support.env_shapes import SHAPES
from tests.support.projects import Project, query


def _project(tmp_path: Path, env: str) -> Project:
    project = Project(tmp_path / "project", env=env)
    project.add(
        "001", "op.execute(\"CREATE TABLE t (id)\")\nop.execute('INSERT INTO t VALUES (1)')"
    )
    return project


def test_h10_plain_alembic_loses_the_rows_with_exit_0(tmp_path: Path) -> None:
    project = _project(tmp_path, SHAPES["autobegin-before-configure"])
    assert project.alembic("upgrade", "head").returncode == 0
    assert query(project.database, "SELECT count(*) FROM t") == [(0,)]


def test_h10_orchctl_commits_what_the_run_did(tmp_path: Path) -> None:
    project = _project(tmp_path, SHAPES["autobegin-before-configure"])
    assert project.orchctl("upgrade").returncode == 0
    assert project.heads() == ["001"]
    assert query(project.database, "SELECT count(*) FROM t") == [(1,)]


def test_h10_an_env_that_runs_nothing_fails_and_says_so(tmp_path: Path) -> None:
    project = _project(tmp_path, SHAPES["stock"].replace("context.run_migrations()", "pass"))
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    assert "never ran the migrations" in failed.stderr


def test_h10_an_env_that_swallows_the_failure_is_seen_through(tmp_path: Path) -> None:
    project = _project(tmp_path, SHAPES["swallows-errors"])
    project.add("002", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    failed = project.orchctl("upgrade")
    assert failed.returncode == 6
    assert "Revision 002" in failed.stderr
    assert not project.database.exists()
