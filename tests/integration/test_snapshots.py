"""Snapshots of real files: what is in them, and that nothing else is left."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchctl.database.open import writing
from orchctl.errors import LockHeld, OperationFailed, Refused, UsageError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.take import take
from orchctl.snapshots.verify import verify
from tests.support.sqlite_files import (
    HOLD,
    WRITE,
    bytes_beside,
    dump,
    leave_hot_journal,
    leave_wal,
    make,
    ordinary_user,
    process,
    reachable_folder,
    run_sql,
    scalar,
)

MODES = ["delete", "wal"]


def snap(database: Path, reason: str = "manual") -> Snapshot:
    return take(database, database.parent / "backups", reason=reason)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.parametrize("mode", MODES)
def test_the_manifest_tells_everything(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode)
    run_sql(database, "PRAGMA user_version=3", "PRAGMA application_id=77")
    database.chmod(0o640)
    before = datetime.now(UTC)
    snapshot = take(
        database,
        tmp_path / "backups",
        reason="pre-upgrade",
        chain={"revisions": {"002": "abc"}},
    )
    content = json.loads(snapshot.manifest.read_text())
    assert content["format"] == 1
    assert content["file"] == snapshot.path.name
    assert content["id"] == snapshot.id
    taken = datetime.fromisoformat(content["created_at"])
    assert taken.utcoffset() == timedelta(0)
    assert before - timedelta(seconds=1) <= taken <= datetime.now(UTC) + timedelta(seconds=1)
    assert content["reason"] == "pre-upgrade"
    assert content["database"] == str(database)
    assert content["size"] == snapshot.path.stat().st_size
    assert content["sha256"] == hashlib.sha256(snapshot.path.read_bytes()).hexdigest()
    assert content["page_size"] * content["page_count"] == content["size"]
    assert content["journal_mode"] == mode
    assert (content["user_version"], content["application_id"]) == (3, 77)
    assert content["heads"] == ["002"]
    assert len(content["schema_hash"]) == 64
    assert content["row_counts"] == {"alembic_version": 1, "child": 200, "parent": 50}
    assert content["versions"]["sqlite"] == sqlite3.sqlite_version
    assert content["versions"]["orchctl"]
    assert (content["status"], content["pinned"]) == ("complete", False)
    assert content["chain"] == {"revisions": {"002": "abc"}}
    assert content["owner"] == [os.getuid(), database.stat().st_gid, 0o640]
    assert Catalog(tmp_path / "backups", database).list() == (snapshot,)


@pytest.mark.parametrize("mode", MODES)
def test_the_content_is_the_databases(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode)
    snapshot = snap(database)
    assert dump(snapshot.path) == dump(database)


def test_modes_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        snapshot = snap(make(tmp_path / "app.db"))
    finally:
        os.umask(before)
    assert snapshot.path.stat().st_mode & 0o777 == 0o600
    assert snapshot.manifest.stat().st_mode & 0o777 == 0o600
    assert snapshot.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_owner_of_the_database_can_read_what_root_took(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    if os.geteuid() == 0:
        os.chown(database, 1234, 1234)
    snapshot = snap(database)
    for path in (snapshot.path, snapshot.manifest, snapshot.path.parent):
        assert path.stat().st_uid == database.stat().st_uid


@pytest.mark.parametrize("mode", MODES)
def test_a_snapshot_opens_without_a_file_beside_it(mode: str, tmp_path: Path) -> None:
    snapshot = snap(make(tmp_path / "app.db", mode))
    before = bytes_beside(snapshot.path)
    with closing(sqlite3.connect(f"file:{snapshot.path}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (50,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert bytes_beside(snapshot.path) == before


@pytest.mark.parametrize("mode", MODES)
def test_the_database_is_untouched(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode)
    before = bytes_beside(database)
    snap(database)
    assert bytes_beside(database) == before


def test_s01_rows_that_are_only_in_the_wal_are_in_the_snapshot(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal")
    insert = "INSERT INTO parent (name) VALUES ('in the wal')"
    with process(HOLD, database, f"PRAGMA wal_autocheckpoint=0;{insert}") as writer:
        assert writer.line() == "ready"
        snapshot = snap(database)
        writer.end()
    assert snapshot.row_counts["parent"] == 51
    assert scalar(snapshot.path, "SELECT count(*) FROM parent WHERE name = 'in the wal'") == 1


def test_s01_a_wal_left_by_a_killed_process(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal")
    leave_wal(database)
    assert snap(database).row_counts["parent"] == 51


def test_a_hot_journal_is_undone_first(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", rows=500)
    leave_hot_journal(database)
    snapshot = snap(database)
    assert scalar(snapshot.path, "SELECT count(*) FROM child WHERE body LIKE 'half%'") == 0
    assert verify(snapshot, full=True).ok


@pytest.mark.parametrize("mode", MODES)
def test_s04_under_a_steady_writer(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode, rows=5000)
    with process(WRITE, database, 0.001) as writer:
        assert writer.line() == "ready"
        taken = [snap(database) for _ in range(5)]
        writer.say()
        assert writer.end() == 0
    counts = []
    for snapshot in taken:
        assert verify(snapshot).problems == ()
        counts.append(snapshot.row_counts["log"])
        # Every row up to one moment, and none from after it.
        assert scalar(snapshot.path, "SELECT coalesce(max(n) + 1, 0) FROM log") == counts[-1]
        assert scalar(snapshot.path, "SELECT count(*) FROM log WHERE twice != 2 * n") == 0
    assert counts == sorted(counts)
    assert scalar(database, "SELECT count(*) FROM log") >= counts[-1]


def test_s04_beside_an_open_transaction_of_another_process(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    with process(HOLD, database, "BEGIN IMMEDIATE;DELETE FROM parent") as writer:
        assert writer.line() == "ready"
        snapshot = snap(database)
        writer.end()
    assert snapshot.row_counts["parent"] == 50


def test_a_database_locked_for_good_is_named_with_its_holder(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    with process(HOLD, database, "BEGIN EXCLUSIVE") as holder:
        assert holder.line() == "ready"
        with pytest.raises(LockHeld) as caught:
            take(database, tmp_path / "backups", reason="manual", timeout=0.1)
        assert f"process {holder.pid}" in caught.value.message
    assert names(tmp_path / "backups") == []


@pytest.mark.parametrize("mode", MODES)
def test_s10_beside_a_connection_that_holds_the_write_lock(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode)
    with closing(writing(database, timeout=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO parent (name) VALUES ('not committed')")
        snapshot = take(database, tmp_path / "backups", reason="pre-upgrade", beside=True)
        # The lock is still there: nothing but SQLite opened the file.
        with process(HOLD, database, "PRAGMA busy_timeout=0;BEGIN IMMEDIATE") as other:
            assert other.line() == ""
        connection.execute("COMMIT")
    assert snapshot.row_counts["parent"] == 50
    assert scalar(database, "SELECT count(*) FROM parent") == 51


def test_through_a_connection_of_the_callers(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal")
    with closing(writing(database, timeout=1)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM parent").fetchone()
        with process(HOLD, database, "DELETE FROM parent") as other:
            assert other.line() == "ready"
            other.end()
        snapshot = take(database, tmp_path / "backups", reason="manual", source=connection)
    assert snapshot.row_counts["parent"] == 50


def test_out_of_a_writing_transaction_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    with closing(writing(database, timeout=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockHeld):
            take(database, tmp_path / "backups", reason="manual", source=connection)
    assert names(tmp_path / "backups") == []


def test_an_empty_database(tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    database.touch()
    snapshot = snap(database)
    assert snapshot.heads == ()
    assert dict(snapshot.row_counts) == {}
    assert verify(snapshot, full=True).ok


@pytest.mark.parametrize("page_size", [512, 65536])
def test_any_page_size(page_size: int, tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    run_sql(database, f"PRAGMA page_size={page_size}", "CREATE TABLE t (x)")
    snapshot = snap(database)
    assert snapshot.page_size == page_size
    assert verify(snapshot, full=True).ok


def test_progress_goes_up_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    database = make(tmp_path / "app.db", rows=20_000)
    take(database, tmp_path / "b", reason="manual", progress=lambda *pair: told.append(pair))
    done = [pair[0] for pair in told]
    assert done == sorted(done)
    assert len(set(done)) > 4
    assert {pair[1] for pair in told} == {2 * database.stat().st_size}
    assert told[-1][0] == told[-1][1]


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    with reachable_folder() as folder:
        database = make(folder / "app.db")
        database.chmod(0o644)
        (folder / "backups").mkdir(mode=0o555)
        with ordinary_user() as uid, pytest.raises(Refused) as caught:
            snap(database)
        assert caught.value.code == "not-writable"
        assert f"uid {uid}" in caught.value.message
        assert str(folder / "backups") in str(caught.value.hint)


def test_the_owner_of_what_lies_above_is_never_to_be_changed() -> None:
    """A hint is copied: what lies above a missing directory may be /var, or /."""
    with reachable_folder() as folder:
        database = make(folder / "app.db")
        database.chmod(0o644)
        wanted = folder / "a b" / "backups"
        with ordinary_user() as uid, pytest.raises(Refused) as caught:
            take(database, wanted, reason="manual")
    hint = str(caught.value.hint)
    assert hint.startswith(f"sudo install -d -m 700 -o {uid} ")
    assert f"'{wanted}'" in hint
    assert "chown" not in hint


def test_somebody_elses_database_can_be_snapshotted_elsewhere(tmp_path: Path) -> None:
    with reachable_folder() as folder, reachable_folder() as mine:
        database = make(folder / "app.db", "wal")
        mine.chmod(0o777)
        with ordinary_user():
            snapshot = take(database, mine / "backups", reason="manual")
            assert verify(snapshot, full=True).ok
        assert snapshot.journal_mode == "wal"
        assert names(folder) == ["app.db"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.unlink(), "database-missing"),
        (lambda path: path.write_bytes(b"hello" * 1000), "not-a-database"),
        (lambda path: os.truncate(path, 9000), "database-damaged"),
    ],
)
def test_what_is_no_database_gives_no_snapshot(spoil: object, code: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    spoil(database)  # type: ignore[operator]
    with pytest.raises(Refused) as caught:
        snap(database)
    assert caught.value.code == code
    assert not (tmp_path / "backups").exists() or names(tmp_path / "backups") == []


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make(tmp_path / "app.db")
    monkeypatch.setattr("orchctl.database.space.SPARE", 1 << 62)
    with pytest.raises(Refused) as caught:
        snap(database)
    assert caught.value.code == "no-space"
    assert names(tmp_path) == ["app.db"]


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from orchctl.errors import OrchctlError
from orchctl.snapshots.take import take
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    take(Path(sys.argv[1]), Path(sys.argv[1]).parent / "backups", reason="manual")
except OrchctlError as error:
    print(type(error).__name__, error.code, error.exit_code, flush=True)
"""


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_write_that_fails_half_way_leaves_nothing(share: float, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", rows=2000)
    before = bytes_beside(database)
    with process(FILE_LIMIT, database, int(database.stat().st_size * share)) as taker:
        name, _, exit_code = taker.line().split()
        taker.end()
    assert (name, exit_code) == (OperationFailed.__name__, "6")
    assert names(tmp_path / "backups") == []
    assert bytes_beside(database) == before


@pytest.mark.parametrize("at", [0, 1, 3, 6])
def test_ctrl_c_leaves_nothing(at: int, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", rows=20_000)
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) > at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(database, tmp_path / "backups", reason="manual", progress=interrupt)
    assert names(tmp_path / "backups") == []
    assert threading.active_count() == 1


def test_s09_two_snapshots_in_one_second(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    ids = [snap(database).id for _ in range(5)]
    assert len(set(ids)) == 5
    assert ids == sorted(ids)


def test_s09_processes_that_take_snapshots_at_once(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    program = """
    import sys
    from pathlib import Path
    from orchctl.snapshots.take import take
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        take(Path(sys.argv[1]), Path(sys.argv[1]).parent / "backups", reason="manual")
    """
    with (
        process(program, database) as one,
        process(program, database) as two,
        process(program, database) as three,
    ):
        for taker in (one, two, three):
            assert taker.line() == "ready"
        for taker in (one, two, three):
            taker.say()
        assert [one.end(), two.end(), three.end()] == [0, 0, 0]
    found = Catalog(tmp_path / "backups", database).list()
    assert len(found) == 30
    assert {snapshot.status for snapshot in found} == {"complete"}


TAKE_AND_STOP = """
import sys
from pathlib import Path
from orchctl.snapshots import take as taking
wanted, database = sys.argv[1], Path(sys.argv[2])
def stop(*_arguments, **_named):
    print("ready", flush=True)
    sys.stdin.read()
if wanted == "copy":
    taking.take(database, database.parent / "backups", reason="manual", progress=stop)
else:
    setattr(taking, wanted, stop)
    taking.take(database, database.parent / "backups", reason="manual")
"""


def test_a_half_written_snapshot_is_named_as_such_and_cleared_away(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    catalog = Catalog(tmp_path / "backups", database)
    with process(TAKE_AND_STOP, "copy", database) as taker:
        assert taker.line() == "ready"
        (partial,) = catalog.list()
        assert (partial.status, partial.note) == ("partial", "being taken")
        whole = snap(database)  # beside the other, and leaves it alone
        assert [one.status for one in catalog.list()] == ["partial", "complete"]
        taker.kill()
    partial, _ = catalog.list()
    assert (partial.status, partial.note) == ("partial", "it was never finished")
    assert not partial.usable
    assert catalog.get("latest") == whole
    with pytest.raises(Refused):
        verify(partial)
    snap(database)
    assert [one.status for one in catalog.list()] == ["complete", "complete"]


def test_s07_stopped_between_the_file_and_its_manifest(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    catalog = Catalog(tmp_path / "backups", database)
    with process(TAKE_AND_STOP, "write_manifest", database) as taker:
        assert taker.line() == "ready"
        (found,) = catalog.list()
        assert (found.status, found.note) == ("partial", "being taken")
        taker.kill()
    (found,) = catalog.list()
    assert (found.status, found.note) == ("damaged", "it has no manifest")
    assert not found.usable
    with pytest.raises(UsageError):
        catalog.get("latest")
    assert not verify(found).ok


def test_the_next_snapshot_gets_the_next_name(tmp_path: Path) -> None:
    """An id is never used twice, though its file was removed or its clock stood still."""
    database = make(tmp_path / "app.db")
    first = snap(database)
    first.manifest.unlink()
    second = snap(database)
    assert first.path.exists()
    assert second.path != first.path
