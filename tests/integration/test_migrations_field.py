"""Databases of the field's own chain go on with ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.support import field_database
from tests.support.migration_chain import (
    check,
    configs,
    downgrade,
    dump,
    execute,
    foreign_keys,
    query,
    rows,
    schema,
    stamp,
    tables,
    upgrade,
)


@pytest.mark.parametrize("on", [False, True], ids=["foreign keys off", "foreign keys on"])
@pytest.mark.parametrize("revision", field_database.REVISIONS)
def test_it_reaches_head(tmp_path: Path, revision: str, on: bool) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, revision)
    before = rows(path)
    with foreign_keys(on):
        upgrade(path)
    upgrade(tmp_path / "ours.db")

    assert stamp(path) == ["004"]
    assert schema(path) == schema(tmp_path / "ours.db")
    assert configs(path) == field_database.configs(revision)
    after = rows(path)
    for table, found in before.items():
        for low, high in zip(found, after[table], strict=True):
            common = low.keys() & high.keys()
            assert {k: high[k] for k in common} == {k: low[k] for k in common}


@pytest.mark.parametrize("revision", field_database.REVISIONS)
def test_check_is_clean(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, revision)
    upgrade(path)
    check(path)


@pytest.mark.parametrize("on", [False, True], ids=["foreign keys off", "foreign keys on"])
@pytest.mark.parametrize("revision", field_database.REVISIONS)
def test_it_goes_down_and_up_again(tmp_path: Path, revision: str, on: bool) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, revision)
    upgrade(path)
    head = rows(path)
    with foreign_keys(on):
        downgrade(path, "001")
        assert configs(path) == field_database.configs(revision)
        upgrade(path)
    again = rows(path)
    for provider in [*head["providers"], *again["providers"]]:
        # What 001 has no place for starts from the defaults again.
        for name in ("priority", "rate_limit"):
            provider[name] = None
    assert again["providers"] == head["providers"]
    assert again["model_providers"] == head["model_providers"]
    assert again["provider_stats"] == head["provider_stats"]


def test_003_of_the_field_goes_down_without_the_extras_table(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, "003")
    downgrade(path, "002")
    assert configs(path) == field_database.configs("003")
    assert "provider_config_extras" not in tables(path)


def test_every_kind_has_the_same_tables_once_004_has_run_here(tmp_path: Path) -> None:
    for revision in ("001", "002", "003"):
        path = tmp_path / f"{revision}.db"
        field_database.build(path, revision)
        upgrade(path)
        assert "provider_config_extras" in tables(path)
    # At 004 there is nothing to run; the table comes with the next step in either direction.
    field_database.build(tmp_path / "004.db", "004")
    upgrade(tmp_path / "004.db")
    assert "provider_config_extras" not in tables(tmp_path / "004.db")
    downgrade(tmp_path / "004.db", "003")
    assert "provider_config_extras" in tables(tmp_path / "004.db")


def test_a_lost_stamp_fails_and_changes_nothing(tmp_path: Path) -> None:
    """The field's 003 could be done with the version still at 002."""
    path = tmp_path / "field.db"
    field_database.build(path, "003", stamp="002")
    before = dump(path)
    with pytest.raises(OperationalError, match="no such column: config"):
        upgrade(path)
    assert dump(path) == before


def test_a_leftover_of_the_field_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, "002")
    execute(path, "CREATE TABLE _alembic_tmp_providers (id INTEGER NOT NULL, PRIMARY KEY (id))")
    upgrade(path)
    assert stamp(path) == ["004"]
    # It may hold somebody's rows: it is not ours to drop.
    assert "_alembic_tmp_providers" in tables(path)


def test_orphans_of_the_field_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    field_database.build(path, "002")
    execute(path, "UPDATE model_providers SET provider_id = 404 WHERE id = 9")
    for on in (True, False):
        with foreign_keys(on):
            upgrade(path)
            downgrade(path, "002")
    assert query(path, "SELECT provider_id FROM model_providers WHERE id = 9") == [(404,)]
