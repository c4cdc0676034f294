"""Reading leaves no trace, whatever state a file is in."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchctl.database.open import ask, reading, reading_beside, writing
from orchctl.errors import LockHeld, OperationFailed, Refused
from tests.support.sqlite_files import (
    HOLD,
    bytes_beside,
    leave_hot_journal,
    leave_wal,
    make,
    ordinary_user,
    process,
    run_sql,
)


def idle_rollback(path: Path) -> int:
    make(path)
    return 50


def idle_wal(path: Path) -> int:
    make(path, "wal")
    return 50


def empty_wal_left(path: Path) -> int:
    make(path, "wal")
    path.with_name(path.name + "-wal").touch()
    return 50


def killed_wal(path: Path) -> int:
    make(path, "wal")
    leave_wal(path)
    return 51


def killed_wal_without_shm(path: Path) -> int:
    killed_wal(path)
    path.with_name(path.name + "-shm").unlink()
    return 51


def killed_wal_with_blank_shm(path: Path) -> int:
    killed_wal(path)
    path.with_name(path.name + "-shm").write_bytes(b"")
    return 51


def killed_as_it_began_the_wal_anew(path: Path) -> int:
    killed_wal(path)
    with path.with_name(path.name + "-wal").open("r+b") as wal:
        wal.seek(16)
        wal.write(b"new salt")
    return 50


def killed_shm_without_wal(path: Path) -> int:
    killed_wal(path)
    path.with_name(path.name + "-wal").unlink()
    return 50


def hot_journal(path: Path) -> int:
    make(path, rows=500)
    leave_hot_journal(path)
    return 500


def persistent_journal(path: Path) -> int:
    make(path)
    run_sql(path, "PRAGMA journal_mode=PERSIST", "INSERT INTO parent (name) VALUES ('one more')")
    assert path.with_name(path.name + "-journal").exists()
    return 51


STATES = [
    idle_rollback,
    idle_wal,
    empty_wal_left,
    killed_wal,
    killed_wal_without_shm,
    killed_wal_with_blank_shm,
    killed_as_it_began_the_wal_anew,
    killed_shm_without_wal,
    hot_journal,
    persistent_journal,
]


@pytest.mark.parametrize("state", STATES)
def test_leaves_no_trace_and_reads_what_is_committed(
    state: Callable[[Path], int], tmp_path: Path
) -> None:
    path = tmp_path / "app.db"
    rows = state(path)
    before = bytes_beside(path)
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (rows,)
        half = connection.execute("SELECT count(*) FROM child WHERE body LIKE 'half%'").fetchone()
        assert half == (0,)
    assert bytes_beside(path) == before


@pytest.mark.parametrize("state", STATES)
def test_leaves_no_temporary_copy(
    state: Callable[[Path], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(tmp_path / "app.db")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with reading(tmp_path / "app.db"):
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("state", STATES)
def test_cannot_write(state: Callable[[Path], int], tmp_path: Path) -> None:
    state(tmp_path / "app.db")
    with (
        pytest.raises((Refused, sqlite3.OperationalError)),
        reading(tmp_path / "app.db") as connection,
    ):
        connection.execute("DELETE FROM child")


@pytest.mark.parametrize("state", [idle_rollback, idle_wal, killed_wal])
def test_reads_in_a_directory_that_may_not_be_written(
    state: Callable[[Path], int], open_folder: Path
) -> None:
    path = open_folder / "app.db"
    rows = state(path)
    for one in open_folder.iterdir():
        one.chmod(0o444)
    open_folder.chmod(0o555)
    try:
        with ordinary_user(), reading(path) as connection:
            assert connection.execute("SELECT count(*) FROM parent").fetchone() == (rows,)
    finally:
        open_folder.chmod(0o755)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_reads_beside_a_live_writer(mode: str, tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", mode)
    with process(HOLD, path, "BEGIN IMMEDIATE;DELETE FROM parent") as writer:
        assert writer.line() == "ready"
        with reading(path) as connection:
            assert connection.execute("SELECT count(*) FROM parent").fetchone() == (50,)
        writer.end()


def test_a_link_is_followed_to_the_sidecars(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    killed_wal(tmp_path / "volume" / "app.db")
    (tmp_path / "app.db").symlink_to(tmp_path / "volume" / "app.db")
    with reading(tmp_path / "app.db") as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (51,)


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "who?.db", "a#b.db", "ä.db", "x&y=z.db"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    with reading(tmp_path / name) as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (50,)


def test_an_empty_file_is_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.touch()
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert path.stat().st_size == 0


def test_all_that_is_read_is_one_state(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    with process(HOLD, path, "SELECT 1 FROM parent") as other:
        assert other.line() == "ready"
        with reading(path) as connection:
            with process(HOLD, path, "INSERT INTO parent (name) VALUES ('later')") as writer:
                assert writer.line() == "ready"
            assert connection.execute("SELECT count(*) FROM parent").fetchone() == (50,)


def test_a_writer_that_comes_while_an_idle_wal_database_is_read_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    with pytest.raises(OperationFailed) as caught, reading(path):
        run_sql(path, "INSERT INTO parent (name) VALUES ('later')")
    assert caught.value.code == "database-changed"


def test_ask_asks_again_when_a_writer_came(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", "wal")
    asked = []

    def question(connection: sqlite3.Connection, header: object) -> int:
        if not asked:
            run_sql(path, "INSERT INTO parent (name) VALUES ('later')")
        asked.append(header)
        return int(connection.execute("SELECT count(*) FROM parent").fetchone()[0])

    assert ask(path, question) == 51
    assert len(asked) == 2


def test_no_room_for_a_copy_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hot_journal(tmp_path / "app.db")
    monkeypatch.setattr("orchctl.database.space.SPARE", 1 << 62)
    with pytest.raises(Refused) as caught, reading(tmp_path / "app.db"):
        pass
    assert caught.value.code == "no-space"


def test_an_exclusive_lock_is_told_with_its_holder(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with process(HOLD, path, "BEGIN EXCLUSIVE") as holder:
        assert holder.line() == "ready"
        with pytest.raises(LockHeld) as caught, reading(path, timeout=0.1):
            pass
        assert caught.value.code == "database-locked"
        assert [one["pid"] for one in caught.value.details["holders"]] == [holder.pid]


def refusal(path: Path) -> Refused:
    with pytest.raises(Refused) as caught, reading(path) as connection:
        connection.execute("SELECT count(*) FROM parent").fetchone()
    assert caught.value.hint
    return caught.value


def test_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.db").code == "database-missing"


def test_a_missing_directory(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none" / "app.db")
    assert error.code == "no-directory"
    assert f"mkdir -p {tmp_path / 'none'}" in str(error.hint)


def test_a_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "cannot-open"


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").code == "cannot-open"


@pytest.mark.parametrize("text", [b"hello\n", b"x" * 5000, b"SQLite format 3", b"\0" * 4096])
def test_a_file_that_is_no_database(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(text)
    assert refusal(tmp_path / "app.db").code == "not-a-database"


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("size", [50, 100, 4096, 9000])
def test_a_truncated_database(mode: str, size: int, tmp_path: Path) -> None:
    path = make(tmp_path / "app.db", mode)
    os.truncate(path, size)
    error = refusal(path)
    assert error.code == ("not-a-database" if size < 100 else "database-damaged")


def test_a_file_of_somebody_else(open_folder: Path) -> None:
    path = make(open_folder / "app.db")
    path.chmod(0o000)
    with ordinary_user() as uid:
        error = refusal(path)
    assert error.code == "cannot-open"
    assert f"uid {uid}" in error.message
    assert "0000" in error.message
    assert str(error.hint).startswith(("chmod", "sudo chown"))


def test_beside_opens_nothing_but_sqlite(tmp_path: Path) -> None:
    """S10: closing any descriptor of the file would drop the first connection's locks."""
    path = make(tmp_path / "app.db")
    first = writing(path, timeout=1)
    first.execute("BEGIN IMMEDIATE")
    with reading_beside(path) as second:
        assert second.execute("SELECT count(*) FROM parent").fetchone() == (50,)
    with process(HOLD, path, "PRAGMA busy_timeout=0;BEGIN IMMEDIATE") as other:
        assert other.line() == ""
    first.close()


def test_the_test_above_would_notice(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    first = writing(path, timeout=1)
    first.execute("BEGIN IMMEDIATE")
    path.read_bytes()
    with process(HOLD, path, "PRAGMA busy_timeout=0;BEGIN IMMEDIATE") as other:
        assert other.line() == "ready"
    first.close()


def test_writing_wants_an_existing_file(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        writing(tmp_path / "none.db", timeout=1)
    assert caught.value.code == "database-missing"
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_question_is_not_told_as_a_broken_file(tmp_path: Path) -> None:
    path = make(tmp_path / "app.db")
    with pytest.raises(sqlite3.OperationalError, match="no such table"), reading(path) as reader:
        reader.execute("SELECT * FROM nowhere")


def test_a_copied_pair_of_database_and_wal_is_read_as_one(tmp_path: Path) -> None:
    killed_wal(tmp_path / "app.db")
    (tmp_path / "copy").mkdir()
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"app.db{end}", tmp_path / "copy" / f"app.db{end}")
    with reading(tmp_path / "copy" / "app.db") as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (51,)
