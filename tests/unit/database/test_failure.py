"""What SQLite's errors mean, each provoked for real."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from orchctl.database.failure import explain
from orchctl.database.open import connect
from orchctl.errors import LockHeld, OperationFailed, OrchctlError, Refused
from tests.support.sqlite_files import HOLD, make, ordinary_user, process


def failure(path: Path, *statements: str, query: str = "mode=rw") -> OrchctlError:
    *before, last = statements
    with closing(connect(path, query, timeout=0.05)) as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(last)
    return explain(caught.value, path, doing="write to")


def test_locked(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with process(HOLD, path, "BEGIN IMMEDIATE") as holder:
        assert holder.line() == "ready"
        error = failure(path, "BEGIN IMMEDIATE")
        assert isinstance(error, LockHeld)
        assert error.code == "database-locked"
        assert f"process {holder.pid}" in error.message
        assert "--lock-timeout" in str(error.hint)


def test_a_full_database(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    error = failure(
        path, "PRAGMA max_page_count=1", "INSERT INTO child (body) VALUES (zeroblob(1000000))"
    )
    assert isinstance(error, OperationFailed)
    assert error.code == "disk-full"
    assert "free" in error.message


def test_read_only(tmp_path: Path) -> None:
    error = failure(make(tmp_path / "app.db"), "DELETE FROM child", query="mode=ro")
    assert isinstance(error, Refused)
    assert error.code == "not-writable"


def test_a_directory_without_write_permission(open_folder: Path) -> None:
    path = make(open_folder / "app.db")
    path.chmod(0o666)
    open_folder.chmod(0o555)
    try:
        with ordinary_user() as uid:
            error = failure(path, "DELETE FROM child")
    finally:
        open_folder.chmod(0o755)
    assert error.code == "not-writable"
    assert str(open_folder) in error.message
    assert f"uid {uid}" in error.message
    assert str(open_folder) in str(error.hint)


def test_sidecars_that_root_left(open_folder: Path) -> None:
    path = make(open_folder / "app.db", "wal")
    path.chmod(0o666)
    open_folder.chmod(0o777)
    for end in ("-wal", "-shm"):
        sidecar = path.with_name(path.name + end)
        sidecar.write_bytes(b"")
        sidecar.chmod(0o000)
    with ordinary_user():
        error = failure(path, "DELETE FROM child")
    assert error.code == "cannot-open"
    assert "app.db-wal" in error.message
    assert "app.db-wal" in str(error.hint)


def test_anything_else_keeps_sqlites_words(tmp_path: Path) -> None:
    error = failure(make(tmp_path / "app.db"), "INSERT INTO alembic_version VALUES ('002')")
    assert isinstance(error, OperationFailed)
    assert error.code == "sqlite-error"
    assert "UNIQUE" in error.message
    assert "SQLITE_CONSTRAINT" in error.message
