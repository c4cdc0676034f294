"""Chains of public projects upgrade through orchctl to what plain Alembic makes of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchctl.database.compare import SchemaDifference, compare, schema_of
from tests.support.project_environments import Environment, installed
from tests.support.projects import dump, execute
from tests.support.public_projects import PROJECTS, Checkout, PublicProject, check_out

# The first run on a machine installs what it needs.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name, scope="session"),
]


@pytest.fixture(scope="session")
def environment(project: PublicProject) -> Environment:
    return installed(project.environment)


@pytest.fixture
def plain(project: PublicProject, environment: Environment, tmp_path: Path) -> Checkout:
    """Where plain Alembic runs."""
    return check_out(project, environment, tmp_path / "plain")


@pytest.fixture
def ours(project: PublicProject, environment: Environment, tmp_path: Path) -> Checkout:
    """Where orchctl runs."""
    return check_out(project, environment, tmp_path / "ours")


def test_an_empty_file_gets_the_schema_that_alembic_gives(plain: Checkout, ours: Checkout) -> None:
    _succeeds(plain.alembic("upgrade", "head"))
    _succeeds(ours.orchctl("upgrade"))
    assert ours.heads() == plain.heads()
    assert _schema_differences(plain, ours) == ()
    at_head = ours.orchctl("upgrade")
    assert "nothing to do" in at_head.stdout
    assert not list(ours.folder.glob("backups/*.snapshot"))


def test_rows_put_in_half_way_reach_the_head_as_with_alembic(
    plain: Checkout, ours: Checkout
) -> None:
    for checkout in (plain, ours):
        _succeeds(checkout.alembic("upgrade", checkout.project.halfway))
        execute(checkout.database, checkout.project.rows)
    before = _rows(ours)
    _succeeds(plain.alembic("upgrade", "head"))
    _succeeds(ours.orchctl("upgrade"))
    assert ours.heads() == plain.heads()
    assert _schema_differences(plain, ours) == ()
    assert _rows(ours) == _rows(plain)
    filled = {table: len(rows) for table, rows in before.items() if rows}
    assert {table: len(_rows(ours)[table]) for table in filled} == filled


def test_a_failure_in_the_last_revision_leaves_all_as_it_was(
    plain: Checkout, ours: Checkout
) -> None:
    _succeeds(plain.alembic("upgrade", "head"))
    _succeeds(ours.alembic("upgrade", ours.project.halfway))
    execute(ours.database, ours.project.rows)
    before = dump(ours.database)
    ours.break_the_last_revision(plain.heads()[0])
    failed = ours.orchctl("upgrade")
    assert failed.returncode == 6
    assert "no such table: no_such_table" in failed.stderr
    assert dump(ours.database) == before


def _succeeds(run: object) -> None:
    assert run.returncode == 0, run.stderr


def _schema_differences(plain: Checkout, ours: Checkout) -> tuple[SchemaDifference, ...]:
    schemas = []
    for checkout in (plain, ours):
        with closing(sqlite3.connect(checkout.database)) as connection:
            schemas.append(schema_of(connection))
    assert schemas[0].facts
    return compare(*schemas, ignore=())


def _rows(checkout: Checkout) -> dict[str, list[tuple]]:
    """The rows of every table in the order of their text, by table."""
    tables = checkout.query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\'"
    )
    return {
        name: sorted(checkout.query(f'SELECT * FROM "{name}"'), key=repr)
        for (name,) in tables
        if name != checkout.project.version_table
    }
