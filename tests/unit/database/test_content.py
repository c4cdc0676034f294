"""The content hash: the same for the same rows in every journal mode, another for another value."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from orchctl.database.content import content_hash
from tests.support.projects import bytes_of


def _made(path: Path, mode: str) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    connection.executemany("INSERT INTO t (x) VALUES (?)", [("a" * 100,)] * 500)
    connection.commit()
    connection.close()
    return path


def test_journal_mode_does_not_count(tmp_path: Path) -> None:
    database = _made(tmp_path / "a.db", "delete")
    before = content_hash(database)
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert before is not None
    assert content_hash(database) == before


def test_what_stands_in_the_wal_counts_and_untouched_leaves_every_byte(tmp_path: Path) -> None:
    database = _made(tmp_path / "a.db", "wal")
    before = content_hash(database)
    connection = sqlite3.connect(database)
    connection.execute("UPDATE t SET x = replace(x, 'a', 'b') WHERE id = 7")
    connection.commit()
    files = bytes_of(database)
    assert files["a.db-wal"]
    changed = content_hash(database, untouched=True)
    assert {name: data for name, data in bytes_of(database).items() if name != "a.db-shm"} == {
        name: data for name, data in files.items() if name != "a.db-shm"
    }
    connection.close()
    assert changed not in (None, before)
    assert content_hash(database) == changed


def test_in_use_cannot_be_told(tmp_path: Path) -> None:
    database = _made(tmp_path / "a.db", "wal")
    reader = sqlite3.connect(database, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchone()
    writer = sqlite3.connect(database)
    writer.execute("DELETE FROM t WHERE id = 1")
    writer.commit()
    assert content_hash(database) is None
    reader.close()
    writer.close()
