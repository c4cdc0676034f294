"""An env.py that computes the name of its version table is asked for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.projects import Project

ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
engine = engine_from_config(
    config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool
)
with engine.connect() as connection:
    context.configure(connection=connection, version_table="_".join(["versions", "of", "app"]))
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", env=ENV)
    project.add("001", 'op.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")')
    assert project.orchctl("upgrade").returncode == 0
    return project


def test_at_head_there_is_no_snapshot(project: Project) -> None:
    done = project.orchctl("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert "at 001 already" in done.stdout
    assert not list(project.folder.glob("backups/*.snapshot"))


def test_status_snapshot_and_plan_know_the_revision(project: Project) -> None:
    project.add("002", 'op.execute("CREATE TABLE u (id INTEGER PRIMARY KEY)")')
    status = json.loads(project.orchctl("status", "--json").stdout)
    assert status["revisions"] == ["001"]
    assert [step["revision"] for step in status["pending"]] == ["002"]
    plan = json.loads(project.orchctl("upgrade", "--dry-run", "--json").stdout)
    assert [step["revision"] for step in plan["steps"]] == ["002"]
    assert project.orchctl("upgrade").returncode == 0
    (snapshot,) = json.loads(project.orchctl("backup", "list", "--json").stdout)["snapshots"]
    assert snapshot["heads"] == ["001"]


def test_a_snapshot_needs_no_env_py_that_runs(project: Project) -> None:
    project.set_env(f"raise RuntimeError('not here')\n{ENV}")
    assert project.orchctl("backup", "create").returncode == 0
