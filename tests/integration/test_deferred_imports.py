"""Modules of Alembic that an upgrade of SQLite doesn't need: absent, until somebody asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import Project, clean_environment

_CHILD = """
import json, sys
from orchctl.cli import run
code = run(["upgrade", "--no-backup"])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
_NEEDLESS = {"pygments", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql"}


def _imported(project: Project) -> set[str]:
    """What a process that upgraded the project has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        cwd=project.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, done.stderr
    return set(found["modules"])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_an_upgrade_of_sqlite_loads_nothing_of_other_databases(project: Project) -> None:
    project.add("001", "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))")
    assert not _imported(project) & _NEEDLESS


# The dialect brings Alembic's implementation along, which is looked up by its name.
_DIALECT = """\
from sqlalchemy.dialects import postgresql
from alembic.ddl.impl import DefaultImpl
assert DefaultImpl.get_by_dialect(postgresql.dialect()).__dialect__ == "postgresql"
"""
_CONTEXT = """\
from alembic.runtime.migration import MigrationContext
assert MigrationContext.configure(dialect_name="mysql").impl.__dialect__ == "mysql"
"""
_IMPLEMENTATION = """\
from alembic.ddl import postgresql
assert postgresql.PostgresqlImpl.__dialect__ == "postgresql"
"""
_MAKO = """\
from mako.exceptions import text_error_template
text_error_template()
"""


@pytest.mark.parametrize("body", [_DIALECT, _CONTEXT, _IMPLEMENTATION, _MAKO])
def test_what_a_revision_asks_for_is_there(project: Project, body: str) -> None:
    project.add("001", body)
    _imported(project)


def test_an_operation_imported_by_name_is_there(project: Project) -> None:
    path = project.add("001")
    line = "from alembic.op import create_exclude_constraint\n"
    path.write_text(path.read_text().replace("from alembic import op\n", line, 1))
    _imported(project)
