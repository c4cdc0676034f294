"""The main job: a database with rows at 002 goes to 004, back, byte for byte, and up again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support import field_database
from tests.support.projects import clean_environment, dump, query, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The orchestrator's project with a field database at 002."""
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    (tmp_path / "data").mkdir()
    field_database.build(tmp_path / "data" / "llm_orchestrator.db", "002")
    return tmp_path


def _orchctl(folder: Path, *words: str) -> dict:
    done = run("orchctl", ["--json", *words], folder, clean_environment())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def _findable(database: Path, config: dict, provider_id: int) -> dict:
    """What is left of a provider's config: its two columns, and the extras."""
    (row,) = query(
        database,
        "SELECT p.api_key, p.base_url, e.config FROM providers p "
        "LEFT JOIN provider_config_extras e ON e.provider_id = p.id WHERE p.id = ?",
        provider_id,
    )
    found = json.loads(row[2]) if row[2] else {}
    found |= {"api_key": row[0]} if "api_key" in config else {}
    return found | ({"base_url": row[1]} if "base_url" in config else {})


def test_every_row_and_config_key_survives_the_way_up_back_and_up(folder: Path) -> None:
    database = folder / "data" / "llm_orchestrator.db"
    before = dump(database)
    configs = {
        id_: json.loads(text) for id_, text in query(database, "SELECT id, config FROM providers")
    }
    counts = {
        table: query(database, f"SELECT count(*) FROM {table}")
        for table in (
            "models",
            "model_providers",
            "request_logs",
            "provider_health",
            "provider_stats",
        )
    }
    assert configs
    assert all(count != [(0,)] for count in counts.values())

    done = _orchctl(folder, "upgrade")
    assert (done["from"], done["to"], done["revisions"]) == ("002", "004", ["003", "004"])
    for id_, config in configs.items():
        assert _findable(database, config, id_) == config
    for table, count in counts.items():
        assert query(database, f"SELECT count(*) FROM {table}") == count
    after = dump(database)

    back = _orchctl(folder, "rollback")
    assert (back["from"], back["to"]) == ("004", "002")
    assert back["snapshot"]["id"] == done["snapshot"]["id"]
    assert dump(database) == before

    again = _orchctl(folder, "upgrade")
    assert again["revisions"] == ["003", "004"]
    assert dump(database) == after


def test_rolled_back_by_downgrades_keeps_rows_written_since(folder: Path) -> None:
    database = folder / "data" / "llm_orchestrator.db"
    _orchctl(folder, "upgrade")
    connection = sqlite3.connect(database)
    connection.execute("INSERT INTO request_logs (model) VALUES ('later')")
    connection.commit()
    connection.close()
    _orchctl(folder, "rollback", "--downgrade", "--yes")
    assert query(database, "SELECT version_num FROM alembic_version") == [("002",)]
    assert query(database, "SELECT count(*) FROM request_logs WHERE model = 'later'") == [(1,)]


def test_the_models_agree_with_the_chain(folder: Path) -> None:
    _orchctl(folder, "upgrade")
    assert _orchctl(folder, "check")["ok"] is True
