"""`--sql`: the script does what the online upgrade does."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import field_database
from tests.support.migration_chain import (
    configs,
    downgrade,
    dump,
    execute,
    query,
    rows,
    schema,
    script,
    stamp,
    upgrade,
)


@dataclass(frozen=True)
class Ran:
    """What a run of a script in a shell gave."""

    returncode: int
    stderr: str


def shell(path: Path, sql: str, *, bail: bool = False) -> Ran:
    """Statement by statement, as the sqlite3 shell does: on after an error unless told to bail."""
    errors = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        statement = ""
        for line in sql.splitlines(keepends=True):
            statement += line
            if not sqlite3.complete_statement(statement):
                continue
            try:
                connection.execute(statement)
            except sqlite3.Error as error:
                errors.append(str(error))
                if bail:
                    break
            statement = ""
    return Ran(1 if errors else 0, "\n".join(errors))


def content(path: Path) -> list[str]:
    """The dump; Alembic writes spaces into a script where it executes tabs."""
    return [line.replace("\t", "    ") for line in dump(path)]


def unconvertible(path: Path) -> None:
    field_database.build(path, "002")
    execute(path, "UPDATE providers SET config = 'not JSON' WHERE id = 2")


@pytest.mark.parametrize("on", [0, 1], ids=["foreign keys off", "foreign keys on"])
@pytest.mark.parametrize("revision", ["001", "002", "003"])
def test_up_is_what_online_does(tmp_path: Path, revision: str, on: int) -> None:
    online, offline = tmp_path / "online.db", tmp_path / "offline.db"
    field_database.build(online, revision)
    shutil.copy(online, offline)
    upgrade(online)
    with closing(sqlite3.connect(offline)) as connection:
        connection.execute(f"PRAGMA foreign_keys = {on}")
        connection.executescript(script(offline, f"{revision}:head"))
    assert content(offline) == content(online)
    assert configs(offline) == field_database.configs(revision)


@pytest.mark.parametrize("on", [0, 1], ids=["foreign keys off", "foreign keys on"])
@pytest.mark.parametrize("revision", ["003", "002", "001", "base"])
def test_down_is_what_online_does(tmp_path: Path, revision: str, on: int) -> None:
    online, offline = tmp_path / "online.db", tmp_path / "offline.db"
    field_database.build(online, "002")
    upgrade(online)
    shutil.copy(online, offline)
    downgrade(online, revision)
    with closing(sqlite3.connect(offline)) as connection:
        connection.execute(f"PRAGMA foreign_keys = {on}")
        connection.executescript(script(offline, f"004:{revision}"))
    wanted = content(online)
    if revision == "base":
        # Whether the script drops the version table as well differs between Alembic's versions.
        wanted = [line for line in wanted if "alembic_version" not in line]
        execute(offline, "DROP TABLE IF EXISTS alembic_version")
    assert content(offline) == wanted


def test_from_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    done = shell(path, script(path, "base:head"), bail=True)
    assert (done.returncode, done.stderr) == (0, "")
    upgrade(tmp_path / "online.db")
    assert schema(path) == schema(tmp_path / "online.db")
    assert stamp(path) == ["004"]


def test_the_shell_with_bail_does_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    unconvertible(path)
    before = dump(path)
    done = shell(path, script(path, "002:head"), bail=True)
    assert done.returncode != 0
    assert "1 of the providers - id 2 (config is no JSON) - mend" in done.stderr
    assert dump(path) == before


def test_the_shell_without_bail_loses_nothing(tmp_path: Path) -> None:
    """It goes on after the refusal; every provider and every config is still there."""
    path = tmp_path / "x.db"
    unconvertible(path)
    before = rows(path)
    done = shell(path, script(path, "002:head"))
    assert "id 2 (config is no JSON)" in done.stderr
    assert [row["id"] for row in rows(path)["providers"]] == [
        row["id"] for row in before["providers"]
    ]
    sql = "SELECT config FROM provider_config_extras WHERE provider_id = 2"
    assert query(path, sql) == [("not JSON",)]
    assert query(path, "SELECT api_key FROM providers WHERE id = 2") == [("",)]

    downgrade(path, "002")
    assert query(path, "SELECT config FROM providers WHERE id = 2") == [("not JSON",)]
