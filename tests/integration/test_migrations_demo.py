"""The demo's database: realistic, the same every time, and good for the whole chain."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.migration_chain import (
    ROOT,
    SIX,
    configs,
    downgrade,
    dump,
    query,
    rows,
    stamp,
    upgrade,
)

SCRIPT = ROOT / "examples" / "demo" / "database.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_database", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_is_the_same_every_time(demo: ModuleType, tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        demo.build(tmp_path / name, providers=40, models=8, logs=200)
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")
    demo.build(tmp_path / "c.db", providers=40, models=8, logs=200, seed=1)
    assert dump(tmp_path / "a.db") != dump(tmp_path / "c.db")


def test_it_goes_up_and_down_with_everything(demo: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    made = demo.build(path)
    assert stamp(path) == ["002"]
    assert {table: len(found) for table, found in rows(path).items()} == made.rows
    assert all(made.rows[table] > 50 for table in SIX)
    before, children = configs(path), rows(path)

    upgrade(path)
    assert {key for config in before.values() for key in config} >= {
        "api_key",
        "base_url",
        "organization",
        "headers",
    }
    kept = dict(query(path, "SELECT provider_id, config FROM provider_config_extras"))
    for id_, config in before.items():
        for key in config.keys() - {"api_key", "base_url"}:
            assert f'"{key}":' in kept[id_]
    assert query(path, "PRAGMA foreign_key_check") == []

    downgrade(path, "002")
    assert configs(path) == before
    assert {**rows(path), "providers": None} == {**children, "providers": None}


def test_its_command_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "new" / "demo.db")]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (first.returncode, first.stderr) == (0, "")
    assert "demo.db at revision 002: 300 providers, 60 models" in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "is there already; remove it or name another file" in again.stderr
    assert subprocess.run(command[:2], capture_output=True, check=False).returncode == 2
