"""Chains of public projects upgrade through orchctl to what plain Alembic makes of them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchctl.database.compare import SchemaDifference, compare, schema_of
from tests.support.commits import counted_commits
from tests.support.project_environments import Environment, installed
from tests.support.projects import dump
from tests.support.public_chains import PROJECTS
from tests.support.public_projects import Checkout, PublicProject, check_out, commits_inside

# The first run on a machine installs what it needs.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name, scope="session"),
]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:")
_NOW = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


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


def test_from_its_start_to_the_schema_that_alembic_gives(plain: Checkout, ours: Checkout) -> None:
    project = ours.project
    if project.lost:
        before = ours.database.read_bytes()
        assert ours.refused() == sorted(project.lost)
        assert ours.database.read_bytes() == before
    _succeeds(plain.alembic("upgrade", "head"))
    told = ours.upgraded(lost=project.lost)
    assert bool(commits_inside(told)) == bool(project.commits)
    _same(plain, ours, told["put_back"])
    snapshots = list(ours.folder.glob("backups/*.snapshot"))
    assert bool(snapshots) == bool(project.start)
    assert "nothing to do" in ours.orchctl("upgrade").stdout
    assert list(ours.folder.glob("backups/*.snapshot")) == snapshots


def test_rows_put_in_half_way_reach_the_head_as_with_alembic_by_one_commit(
    plain: Checkout, ours: Checkout
) -> None:
    lost = ours.project.lost_later
    plain.bring_half_way()
    ours.copy_database(plain)
    before = _rows(ours)
    if lost:
        assert ours.refused() == sorted(lost)
    assert _rows(ours) == before
    _succeeds(plain.alembic("upgrade", "head"))
    with counted_commits(ours.database) as commits:
        told = ours.upgraded(lost=lost)
        assert commits() == 1
    assert bool(commits_inside(told)) == bool(ours.project.commits_later)
    _same(plain, ours, told["put_back"])
    after = _rows(ours)
    filled = {table: len(rows) for table, rows in before.items() if rows and table not in lost}
    assert {table: len(after[table]) for table in filled if table in after} == {
        table: rows for table, rows in filled.items() if table in after
    }


def test_a_failure_in_the_last_revision_leaves_every_byte_as_it_was(ours: Checkout) -> None:
    ours.bring_half_way()
    before = dump(ours.database)
    content = ours.database.read_bytes()
    ours.break_the_last_revision(ours.chain_head())
    failed = ours.orchctl("upgrade", "--no-rehearse")
    assert failed.returncode == 6
    assert "no such table: no_such_table" in failed.stderr
    assert ours.database.read_bytes() == content
    assert dump(ours.database) == before


def _succeeds(run: object) -> None:
    assert run.returncode == 0, run.stderr


def _same(plain: Checkout, ours: Checkout, put_back: list[str]) -> None:
    """The same heads, schema and rows, but for what plain Alembic loses and orchctl put back."""
    assert ours.heads() == plain.heads()
    different = _schema_differences(plain, ours)
    assert sorted(f"{one.kind} {one.name}" for one in different) == sorted(put_back), different
    assert _rows(ours) == _rows(plain)


def _schema_differences(plain: Checkout, ours: Checkout) -> tuple[SchemaDifference, ...]:
    schemas = []
    for checkout in (plain, ours):
        with closing(sqlite3.connect(checkout.database)) as connection:
            schemas.append(schema_of(connection))
    assert schemas[0].facts
    return compare(*schemas, ignore=())


def _rows(checkout: Checkout) -> dict[str, list[tuple]]:
    """The rows of every table in the order of their text, by table.

    What a revision makes up, ids and times, can't be the same in two runs.
    """
    tables = checkout.query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\'"
    )
    return {
        name: sorted((_settled(row) for row in checkout.query(f'SELECT * FROM "{name}"')), key=repr)
        for (name,) in tables
        if name != checkout.project.version_table
    }


def _settled(row: tuple) -> tuple:
    return tuple(
        "made up" if isinstance(value, str) and _made_up(value) else value for value in row
    )


def _made_up(value: str) -> bool:
    return bool(_UUID.fullmatch(value) or (_TIME.match(value) and value >= _NOW))
