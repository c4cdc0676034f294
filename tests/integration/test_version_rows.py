"""The version table's rows while revisions run: what Alembic would write, after each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.projects import Project

_NOTE = "op.execute('INSERT INTO seen SELECT \"{id}\", group_concat(version_num) FROM {table}')"


def _project(folder: Path, table: str = "alembic_version") -> Project:
    """Two branches and their merge; every revision notes what the version table says."""
    project = Project(folder)
    given = f"connection=connection, version_table={table!r}"
    project.set_env(project.env.replace("connection=connection", given))
    create = "op.create_table('seen', sa.Column('id', sa.Text), sa.Column('rows', sa.Text))"
    project.add("001", create)
    for number, down in (("002", "001"), ("003", "001"), ("004", ("002", "003")), ("005", "004")):
        project.add(number, _NOTE.format(id=number, table=f'"{table}"'), down=down)
    return project


@pytest.mark.parametrize("table", ["alembic_version", "some:odd name"])
def test_every_revision_sees_what_alembic_would_have_written(tmp_path: Path, table: str) -> None:
    ours, plain = _project(tmp_path / "ours", table), _project(tmp_path / "plain", table)
    done = ours.orchctl("upgrade")
    assert done.returncode == 0, done.stderr
    assert plain.alembic("upgrade", "head").returncode == 0
    assert ours.dump() == plain.dump()
    assert ours.orchctl("downgrade", "001", "--yes").returncode == 0
    assert ours.heads(f'"{table}"') == ["001"]


def test_a_row_that_is_gone_is_missed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.add("001")
    project.add("002", "op.execute('DELETE FROM alembic_version')")
    done = project.orchctl("upgrade")
    assert done.returncode != 0
    assert "expected to match one row when updating '001' to '002'" in done.stderr
