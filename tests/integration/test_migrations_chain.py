"""The chain on a populated database: up, down and up again, with foreign keys on and off."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from alembic.util import CommandError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from tests.support import field_database
from tests.support.migration_chain import (
    SIX,
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

STEPS = [("001", "002"), ("002", "003"), ("003", "004")]


@pytest.fixture(params=[False, True], ids=["foreign keys off", "foreign keys on"])
def enforcement(request: pytest.FixtureRequest) -> Any:
    with foreign_keys(request.param):
        yield request.param


@pytest.fixture(params=["sqlite", "sqlite+aiosqlite"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def populated(path: Path, revision: str) -> Path:
    """A database at a revision that our chain made, with the field's rows in it."""
    path.write_bytes(_populated(revision))
    return path


@cache
def _populated(revision: str) -> bytes:
    with TemporaryDirectory() as folder:
        return _populate(Path(folder, "x.db"), revision).read_bytes()


@cache
def _empty(revision: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.db")
        upgrade(path, revision)
        return path.read_bytes()


def _populate(path: Path, revision: str) -> Path:
    with_config = min(revision, "002")
    upgrade(path, with_config)
    source = path.with_suffix(".field")
    field_database.build(source, with_config)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ATTACH ? AS field", [str(source)])
        for table in SIX:
            columns = connection.execute(f"PRAGMA field.table_info({table})")
            names = ", ".join(row[1] for row in columns)
            connection.execute(
                f"INSERT INTO main.{table} ({names}) SELECT {names} FROM field.{table}"
            )
        connection.commit()
    upgrade(path, revision)
    return path


def facts(path: Path) -> dict[str, Any]:
    """All rows and configs, whichever columns hold the configs."""
    found = rows(path)
    for row in found["providers"]:
        row.pop("config", None)
    return {"rows": found, "configs": configs(path), "schema": schema(path)}


def test_head_has_the_tables_of_the_field(tmp_path: Path) -> None:
    upgrade(tmp_path / "ours.db")
    field_database.build(tmp_path / "field.db", "004")
    assert schema(tmp_path / "ours.db") == schema(tmp_path / "field.db")
    assert set(tables(tmp_path / "ours.db")) == {
        *SIX,
        "alembic_version",
        "provider_config_extras",
    }


@pytest.mark.parametrize("revision", field_database.REVISIONS)
def test_every_revision_has_the_tables_of_the_field(tmp_path: Path, revision: str) -> None:
    upgrade(tmp_path / "ours.db", revision)
    field_database.build(tmp_path / "field.db", revision)
    assert schema(tmp_path / "ours.db") == schema(tmp_path / "field.db")


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_up_down_up_keeps_every_row(
    tmp_path: Path, before: str, after: str, enforcement: bool, driver: str
) -> None:
    path = populated(tmp_path / "x.db", before)
    low = facts(path)
    upgrade(path, after, driver=driver)
    high = facts(path)
    assert high["configs"] == low["configs"]

    downgrade(path, before, driver=driver)
    assert facts(path) == low
    assert stamp(path) == [before]
    upgrade(path, after, driver=driver)
    assert facts(path) == high
    assert stamp(path) == [after]
    assert query(path, "PRAGMA foreign_key_check") == []


def test_no_link_is_lost_on_the_way(tmp_path: Path, enforcement: bool) -> None:
    path = populated(tmp_path / "x.db", "001")
    low = rows(path)
    upgrade(path)
    high = rows(path)
    for table in SIX:
        for row_low, row_high in zip(low[table], high[table], strict=True):
            common = row_low.keys() & row_high.keys()
            assert {k: row_high[k] for k in common} == {k: row_low[k] for k in common}
    downgrade(path, "001")
    assert [{**row, "config": ""} for row in rows(path)["providers"]] == [
        {**row, "config": ""} for row in low["providers"]
    ]
    assert {**rows(path), "providers": None} == {**low, "providers": None}


def test_base_is_empty(tmp_path: Path, enforcement: bool) -> None:
    path = populated(tmp_path / "x.db", "004")
    downgrade(path, "base")
    assert tables(path) == ["alembic_version"]
    assert stamp(path) == []
    upgrade(path)
    assert stamp(path) == ["004"]


def test_other_keys_are_kept_beside_the_six_tables(tmp_path: Path) -> None:
    path = populated(tmp_path / "x.db", "002")
    texts = dict(query(path, "SELECT id, config FROM providers"))
    upgrade(path)
    extras = dict(query(path, "SELECT provider_id, config FROM provider_config_extras"))
    # Only where there is something to keep, and no second copy of a key.
    assert sorted(extras) == [3, 5, 13, 21]
    assert json.loads(extras[5]) == {"base_url": None, "region": "eu"}
    for id_, text in texts.items():
        for key in json.loads(text):
            column = key in {"api_key", "base_url"}
            assert column or key in json.loads(extras[id_])
    assert configs(path) == field_database.configs("002")


def test_a_change_at_head_comes_through_the_downgrade(tmp_path: Path) -> None:
    path = populated(tmp_path / "x.db", "004")
    execute(
        path,
        """UPDATE providers SET api_key = 'it''s "new"', base_url = NULL WHERE id = 3;
           UPDATE providers SET base_url = 'https://five.example' WHERE id = 5;
           INSERT INTO providers (id, name, type, api_key) VALUES (99, 'late', 'openai', 'l');""",
    )
    downgrade(path, "002")
    found = configs(path)
    before = field_database.configs("002")[3]
    assert found[3] == {
        **{k: before[k] for k in before if k != "base_url"},
        "api_key": 'it\'s "new"',
    }
    assert found[5] == {"base_url": "https://five.example", "api_key": "demo-5", "region": "eu"}
    assert found[99] == {"api_key": "l"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SHORT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=255)
CONFIG = st.builds(
    lambda others, known: {**others, **known},
    st.dictionaries(st.text(), JSON, max_size=4),
    st.fixed_dictionaries({"api_key": SHORT}, optional={"base_url": SHORT | st.none()}),
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=st.lists(st.tuples(CONFIG, st.booleans()), min_size=1, max_size=12))
def test_any_config_survives(tmp_path: Path, found: list[tuple[dict[str, Any], bool]]) -> None:
    path = tmp_path / "any.db"
    path.write_bytes(_empty("002"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO providers (id, name, type, config) VALUES (?, ?, 'openai', ?)",
            [(n, str(n), json.dumps(c, ensure_ascii=a)) for n, (c, a) in enumerate(found)],
        )
        connection.commit()
    upgrade(path)
    for n, key, url in query(path, "SELECT id, api_key, base_url FROM providers"):
        assert (key, url) == (found[n][0]["api_key"], found[n][0].get("base_url"))
    downgrade(path, "002")
    assert configs(path) == {n: config for n, (config, _) in enumerate(found)}


OBSTACLES: dict[str, tuple[object, str]] = {
    "no JSON": ("{'api_key': 'x'}", "config is no JSON"),
    "empty": ("", "config is no JSON"),
    "cut off": ('{"api_key": "x"', "config is no JSON"),
    "more behind a NUL": ('{"api_key": "x"}\0{"a": 1}', "config is no JSON"),
    "NaN": ('{"api_key": "x", "temperature": NaN}', "config is no JSON"),
    "bytes": (b'{"api_key": "x"}', "config is no text"),
    "array": ('["x"]', "config is no JSON object"),
    "null": ("null", "config is no JSON object"),
    "missing key": ('{"base_url": "https://a.example"}', "no api_key"),
    "null key": ('{"api_key": null}', "api_key is null"),
    "number": ('{"api_key": 17}', "api_key is no text"),
    "object": ('{"api_key": {"env": "KEY"}}', "api_key is no text"),
    "key too long": (json.dumps({"api_key": "k" * 256}), "api_key is over 255 characters"),
    "two keys": ('{"api_key": "a", "api_key": "b"}', "two api_key"),
    "two addresses": ('{"api_key": "a", "base_url": "b", "base_url": "b"}', "two base_url"),
    "address no text": ('{"api_key": "a", "base_url": ["b"]}', "base_url is no text"),
    "address too long": (
        json.dumps({"api_key": "a", "base_url": "u" * 256}),
        "base_url is over 255 characters",
    ),
    "NUL in the key": ('{"api_key": "a\\u0000b"}', "a NUL character"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_a_config_that_cannot_be_converted_stops_003(
    tmp_path: Path, name: str, enforcement: bool
) -> None:
    config, obstacle = OBSTACLES[name]
    path = populated(tmp_path / "x.db", "002")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO providers (id, name, type, config) VALUES (34, 'bad', 'openai', ?)",
            [config],
        )
        connection.commit()
    before = dump(path)
    with pytest.raises(OperationalError) as caught:
        upgrade(path)
    assert f"1 of the providers - id 34 ({obstacle}) - mend" in str(caught.value.orig)
    assert dump(path) == before

    execute(path, 'UPDATE providers SET config = \'{"api_key": "mended"}\' WHERE id = 34')
    upgrade(path)
    assert configs(path)[34] == {"api_key": "mended"}


def test_many_such_configs_are_counted_and_the_first_named(tmp_path: Path) -> None:
    path = populated(tmp_path / "x.db", "002")
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO providers (id, name, type, config) VALUES (?, ?, 'openai', ?)",
            [(n, str(n), "{" if n % 2 else '{"api_key": null}') for n in range(100, 130)],
        )
        connection.commit()
    with pytest.raises(OperationalError) as caught:
        upgrade(path)
    message = str(caught.value.orig)
    assert "30 of the providers - id 100 (api_key is null), id 101 (config is no JSON)," in message
    assert "id 119 (config is no JSON), and more - mend" in message
    assert "id 120" not in message


def test_003_that_fails_late_leaves_nothing_behind(tmp_path: Path, enforcement: bool) -> None:
    """A view on the dropped column makes the rename fail, after the old table is gone."""
    path = populated(tmp_path / "x.db", "002")
    execute(path, "CREATE VIEW keys AS SELECT name, config FROM providers")
    before = dump(path)
    with pytest.raises(OperationalError, match="error in view keys"):
        upgrade(path, "003")
    assert dump(path) == before
    execute(path, "DROP VIEW keys")
    upgrade(path)
    assert stamp(path) == ["004"]


def test_004_fills_from_what_001_stores(tmp_path: Path) -> None:
    path = populated(tmp_path / "x.db", "004")
    sql = """SELECT provider_id, error_message, last_check, consecutive_failures, success_rate,
                    response_time_ms FROM provider_health ORDER BY provider_id"""
    assert query(path, sql) == [
        (1, None, "2025-10-01 08:00:00.000000", 0, 100.0, 0.0),
        (3, "upstream timed out", "2025-10-01 08:00:02.000000", 4, 0.0, 0.0),
        (5, "HTTP 429", "2025-10-01 08:00:03.000000", 0, 75.0, 0.0),
        (8, None, None, 0, 100.0, 0.0),
    ]


def test_defaults_at_head(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    upgrade(path)
    execute(
        path,
        """INSERT INTO providers (name, type, api_key) VALUES ('a', 'openai', 'k');
           INSERT INTO provider_health (provider_id) VALUES (1);""",
    )
    [provider] = rows(path)["providers"]
    assert {
        k: provider[k] for k in ("enabled", "priority", "weight", "max_retries", "timeout")
    } == {
        "enabled": 1,
        "priority": 100,
        "weight": 100,
        "max_retries": 3,
        "timeout": 60,
    }
    [health] = rows(path)["provider_health"]
    assert (health["is_healthy"], health["success_rate"], health["response_time_ms"]) == (1, 100, 0)
    assert health["last_check"] is not None


def test_an_unknown_revision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Can't locate revision"):
        upgrade(tmp_path / "x.db", "005")
