"""Restores into files in every state, beside other processes, and killed in the middle."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchctl.database.digest import dump_digest
from orchctl.errors import LockHeld, OperationFailed, OrchctlError, Refused, RestoreFailed
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.exchange import exchange
from orchctl.snapshots.live import overwrite
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.restore import restore
from orchctl.snapshots.take import take
from tests.support.sqlite_files import (
    HOLD,
    SIDECARS,
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
CHANGES = (
    "DELETE FROM child WHERE id % 3 = 0",
    "UPDATE alembic_version SET version_num = '004'",
    "ALTER TABLE parent ADD COLUMN added TEXT",
    "CREATE TABLE newer (x)",
)


@pytest.fixture(params=MODES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(tmp_path / "app.db", request.param, rows=500)


def snap(database: Path) -> Snapshot:
    return take(database, database.parent / "backups", reason="pre-upgrade")


def files(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.is_file())


def check(database: Path, before: list[str], mode: str) -> None:
    assert dump(database) == before
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


def test_the_dump_is_the_same_again(database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    inode = database.stat().st_ino
    run_sql(database, *CHANGES)
    done = restore(snapshot, database, timeout=5)
    assert (done.way, done.confirmed, done.kept) == ("overwritten", True, ())
    assert done.journal_mode == snapshot.journal_mode
    check(database, before, snapshot.journal_mode)
    assert database.stat().st_ino == inode
    assert files(database.parent) == ["app.db"]


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more AS SELECT * FROM child UNION ALL SELECT * FROM child",
        "DELETE FROM child",
    ],
)
def test_into_a_file_that_grew_or_shrank(change: str, database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    run_sql(database, change, "VACUUM")
    restore(snapshot, database, timeout=5)
    check(database, before, snapshot.journal_mode)
    assert database.stat().st_size == snapshot.size


@pytest.mark.parametrize("page_size", [512, 8192])
def test_into_a_file_of_another_page_size(page_size: int, tmp_path: Path, database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    mode = snapshot.journal_mode
    run_sql(
        database,
        "PRAGMA journal_mode=DELETE",
        f"PRAGMA page_size={page_size}",
        "VACUUM",
        f"PRAGMA journal_mode={mode}",
    )
    seen: list[object] = []
    done = restore(
        snapshot,
        database,
        timeout=5,
        guard=lambda present: seen.append(present.execute("PRAGMA page_size").fetchone()),
    )
    assert done.confirmed
    check(database, before, mode)
    assert seen == [(page_size,)]
    assert scalar(database, "PRAGMA page_size") == snapshot.page_size


@pytest.mark.parametrize("now", MODES)
def test_the_journal_mode_is_the_snapshots_again(now: str, database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    run_sql(database, f"PRAGMA journal_mode={now}", *CHANGES)
    done = restore(snapshot, database, timeout=5)
    assert done.journal_mode == snapshot.journal_mode
    check(database, before, snapshot.journal_mode)
    assert files(database.parent) == ["app.db"]


def test_an_empty_snapshot(tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    database.touch()
    snapshot = snap(database)
    make(database, "wal")
    seen: list[object] = []
    restore(snapshot, database, timeout=5, guard=seen.append)
    assert dump(database) == dump(snapshot.path)
    assert len(seen) == 1


def test_into_an_empty_file(database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    os.truncate(database, 0)
    assert restore(snapshot, database, timeout=5).way == "overwritten"
    check(database, before, snapshot.journal_mode)


def test_s02_a_wal_left_by_a_killed_process_does_not_come_back(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal", rows=500)
    before, snapshot = dump(database), snap(database)
    leave_wal(database)
    restore(snapshot, database, timeout=5)
    check(database, before, "wal")
    assert scalar(database, "SELECT count(*) FROM parent WHERE name = 'in the wal'") == 0


def test_s02_a_hot_journal_does_not_come_back(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", rows=500)
    before, snapshot = dump(database), snap(database)
    run_sql(database, "DELETE FROM child WHERE id < 100")
    leave_hot_journal(database)
    restore(snapshot, database, timeout=5)
    check(database, before, "delete")
    assert files(tmp_path) == ["app.db"]


def test_s02_sidecars_of_a_database_that_is_gone(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal", rows=500)
    before, snapshot = dump(database), snap(database)
    leave_wal(database)
    wal = database.with_name("app.db-wal").read_bytes()
    database.unlink()
    done = restore(snapshot, database, timeout=5)
    assert done.way == "created"
    check(database, before, "wal")
    # What was in it is not lost.
    assert [path.name[-4:] for path in done.kept] == ["-wal", "-shm"]
    assert done.kept[0].read_bytes() == wal


def test_s02_sidecars_that_a_process_still_writes_stop_the_restore(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal")
    snapshot = snap(database)
    with process(HOLD, database, "INSERT INTO parent (name) VALUES ('x')") as holder:
        assert holder.line() == "ready"
        database.unlink()
        with pytest.raises(LockHeld) as caught:
            restore(snapshot, database, timeout=0.1)
        assert f"process {holder.pid}" in caught.value.message
    assert not database.exists()


def test_a_missing_file_comes_back_with_owner_and_mode(database: Path) -> None:
    database.chmod(0o640)
    owner = (1234, 1235) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    if os.geteuid() == 0:
        os.chown(database, *owner)
    before, snapshot = dump(database), snap(database)
    database.unlink()
    done = restore(snapshot, database, timeout=5)
    assert (done.way, done.kept) == ("created", ())
    check(database, before, snapshot.journal_mode)
    facts = database.stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (*owner, 0o640)
    assert files(database.parent) == ["app.db"]


def no_database(path: Path) -> None:
    path.write_bytes(b"hello" * 1000)


def truncated(path: Path) -> None:
    os.truncate(path, 9000)


def first_page_gone(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"\0" * 4096)


def broken_schema(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff" * 300)


@pytest.mark.parametrize("spoil", [no_database, truncated, first_page_gone, broken_schema])
def test_a_damaged_file_is_replaced_and_kept(spoil: Callable[[Path], None], database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    mode = database.stat().st_mode
    spoil(database)
    damaged = database.read_bytes()
    done = restore(snapshot, database, timeout=5)
    assert done.way == "replaced"
    assert done.kept[0].read_bytes() == damaged
    assert done.kept[0].name.startswith("app.db.damaged-")
    check(database, before, snapshot.journal_mode)
    assert database.stat().st_mode == mode


@pytest.mark.parametrize("spoil", [no_database, truncated])
def test_a_damaged_file_that_is_in_use_is_not_replaced(
    spoil: Callable[[Path], None], database: Path
) -> None:
    snapshot = snap(database)
    spoil(database)
    before = bytes_beside(database)
    program = 'import sys; file = open(sys.argv[1]); print("ready", flush=True); sys.stdin.read()'
    with process(program, database) as holder:
        assert holder.line() == "ready"
        with pytest.raises(LockHeld):
            restore(snapshot, database, timeout=0.1)
    assert bytes_beside(database) == before


def test_damage_in_the_middle_is_written_over(database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    with database.open("r+b") as stream:
        stream.seek(4096 * 5)
        stream.write(os.urandom(4096 * 20))
    restore(snapshot, database, timeout=5)
    check(database, before, snapshot.journal_mode)


# -- beside other processes ------------------------------------------------------------------------


def test_readers_keep_their_state_in_wal_mode(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal", rows=500)
    snapshot = snap(database)
    run_sql(database, "DELETE FROM parent")
    reader = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN")
    print(connection.execute("SELECT count(*) FROM parent").fetchone()[0], flush=True)
    sys.stdin.readline()
    print(connection.execute("SELECT count(*) FROM parent").fetchone()[0], flush=True)
    connection.execute("COMMIT")
    print(connection.execute("SELECT count(*) FROM parent").fetchone()[0], flush=True)
    sys.stdin.readline()
    """
    with process(reader, database) as other:
        assert other.line() == "0"
        done = restore(snapshot, database, timeout=5)
        assert done.journal_mode == "wal"
        other.say()
        assert [other.line(), other.line()] == ["0", "500"]
        other.say()


HOLDERS = {
    "delete": ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN;SELECT count(*) FROM parent"],
    "wal": ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"],
}


@pytest.mark.parametrize(
    ("mode", "lock"), [(mode, lock) for mode, locks in HOLDERS.items() for lock in locks]
)
def test_a_holder_is_waited_for_then_named_and_nothing_changed(
    mode: str, lock: str, tmp_path: Path
) -> None:
    database = make(tmp_path / "app.db", mode, rows=500)
    snapshot = snap(database)
    run_sql(database, *CHANGES)
    before = dump(database)
    called: list[object] = []
    with process(HOLD, database, lock) as holder:
        assert holder.line() == "ready"
        with pytest.raises(LockHeld) as caught:
            restore(snapshot, database, timeout=0.5, guard=called.append)
        assert caught.value.exit_code == 4
        assert f"process {holder.pid}" in caught.value.message
        holder.end()
    assert dump(database) == before
    assert called == []
    assert files(tmp_path) == ["app.db"]
    assert scalar(database, "PRAGMA journal_mode") == mode


@pytest.mark.parametrize(
    ("mode", "lock"), [(mode, lock) for mode, locks in HOLDERS.items() for lock in locks]
)
def test_a_holder_that_lets_go_in_time(mode: str, lock: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode, rows=500)
    before, snapshot = dump(database), snap(database)
    run_sql(database, *CHANGES)
    program = HOLD.replace("sys.stdin.read()", "import time; time.sleep(0.5); connection.close()")
    with process(program, database, lock) as holder:
        assert holder.line() == "ready"
        restore(snapshot, database, timeout=30)
        holder.end()
    check(database, before, mode)


def test_a_writer_in_mid_transaction_can_commit_beside_a_waiting_restore(database: Path) -> None:
    before, snapshot = dump(database), snap(database)
    writer = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM child")
    print("ready", flush=True)
    sys.stdin.readline()
    connection.execute("COMMIT")
    print("committed", flush=True)
    """
    with process(writer, database) as other, ThreadPoolExecutor(1) as pool:
        assert other.line() == "ready"
        restoring = pool.submit(restore, snapshot, database, timeout=30)
        time.sleep(1.5)  # several attempts at the lock
        other.say()
        assert other.line() == "committed"
        assert restoring.result().way == "overwritten"
    check(database, before, snapshot.journal_mode)


def test_beside_a_steady_writer(database: Path) -> None:
    with process(WRITE, database, 0.0005) as writer:
        assert writer.line() == "ready"
        snapshot = snap(database)
        done = restore(snapshot, database, timeout=60)
        writer.say()
        assert writer.end() == 0
    assert done.way == "overwritten"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (snapshot.journal_mode,)
        assert connection.execute("SELECT count(*) FROM log WHERE twice != 2 * n").fetchone() == (
            0,
        )


def test_the_mode_stays_when_others_keep_the_database_in_wal(tmp_path: Path) -> None:
    database = make(tmp_path / "app.db")
    before, snapshot = dump(database), snap(database)
    run_sql(database, "PRAGMA journal_mode=WAL")
    with process(HOLD, database, "SELECT 1 FROM parent") as holder:
        assert holder.line() == "ready"
        done = restore(snapshot, database, timeout=5)
        assert done.journal_mode == "wal"
        holder.end()
    assert dump(database) == before


# -- the guard -----------------------------------------------------------------------------------


def test_s08_the_guard_sees_the_last_write_and_nobody_writes_after_it(database: Path) -> None:
    snapshot = snap(database)
    run_sql(database, "INSERT INTO parent (name) VALUES ('the last')")
    seen = []

    def guard(present: sqlite3.Connection) -> None:
        seen.append(present.execute("SELECT count(*) FROM parent").fetchone()[0])
        with process(HOLD, database, "PRAGMA busy_timeout=0;BEGIN IMMEDIATE") as other:
            assert other.line() == ""  # locked out

    restore(snapshot, database, timeout=5, guard=guard)
    assert seen == [501]
    assert scalar(database, "SELECT count(*) FROM parent") == 500


def test_a_guard_that_refuses_leaves_everything(database: Path) -> None:
    snapshot = snap(database)
    run_sql(database, *CHANGES)
    before = dump(database)

    def guard(_present: sqlite3.Connection) -> None:
        raise Refused("No", code="would-discard-writes")

    with pytest.raises(Refused) as caught:
        restore(snapshot, database, timeout=5, guard=guard)
    assert caught.value.code == "would-discard-writes"
    assert dump(database) == before
    assert files(database.parent) == ["app.db"]
    assert scalar(database, "PRAGMA journal_mode") == snapshot.journal_mode


def test_a_guard_cannot_write(database: Path) -> None:
    snapshot = snap(database)
    before = dump(database)
    with pytest.raises(OrchctlError):
        restore(
            snapshot,
            database,
            timeout=5,
            guard=lambda present: present.execute("DELETE FROM child"),
        )
    assert dump(database) == before


def test_s08_exchange_puts_every_row_aside_even_beside_a_writer(database: Path) -> None:
    directory = database.parent / "backups"
    with process(WRITE, database, 0.0005) as writer:
        assert writer.line() == "ready"
        snapshot = snap(database)
        done = exchange(snapshot, database, directory, timeout=60)
        writer.say()
        written = int(writer.line())
        assert writer.end() == 0
    assert done.put_aside is not None
    assert done.put_aside.reason == "pre-rollback"
    # Each row that the writer committed is put aside, or was written after the restore: its
    # numbers go on without a gap, though the restore took some of them out of the live file.
    aside = done.put_aside.row_counts["log"]
    assert scalar(done.put_aside.path, "SELECT max(n) + 1 FROM log") == aside
    live = scalar(database, f"SELECT count(*) FROM log WHERE n >= {aside}")
    assert aside + int(str(live)) == written


def test_exchange_without_a_file_puts_nothing_aside(database: Path) -> None:
    snapshot = snap(database)
    database.unlink()
    done = exchange(snapshot, database, database.parent / "backups", timeout=5)
    assert done.put_aside is None
    assert done.restoration.way == "created"


def test_exchange_holds_orchctls_lock(database: Path) -> None:
    from orchctl.database.lock import holder

    snapshot = snap(database)
    seen = []
    exchange(
        snapshot,
        database,
        database.parent / "backups",
        timeout=5,
        look=lambda _present: seen.append(holder(database)),
    )
    assert seen[0] is not None
    assert snapshot.id in seen[0].purpose


# -- failures --------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
from pathlib import Path
from orchctl.errors import OrchctlError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.restore import restore
database = Path(sys.argv[1])
snapshot = Catalog.beside(database).get("latest")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    restore(snapshot, database, timeout=1)
except OrchctlError as error:
    print(type(error).__name__, error.exit_code, error.code, flush=True)
"""


@pytest.mark.parametrize("limit", [20_000, 200_000, 500_000])
def test_a_write_that_fails_in_the_middle_leaves_the_old_content(
    limit: int, database: Path
) -> None:
    snapshot = snap(database)
    run_sql(database, "UPDATE child SET body = 'changed'", "ALTER TABLE parent ADD COLUMN added")
    before = dump(database)
    with process(LIMITED, database, limit) as other:
        name, exit_code, _ = other.line().split()
        other.end()
    assert (name, exit_code) == (OperationFailed.__name__, "6")
    assert dump(database) == before
    assert Catalog.beside(database).get(snapshot.id).usable
    restore(snapshot, database, timeout=5)


def test_no_room_is_said_before_anything_is_touched(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = snap(database)
    before = bytes_beside(database)
    monkeypatch.setattr("orchctl.database.space.SPARE", 1 << 62)
    with pytest.raises(Refused) as caught:
        restore(snapshot, database, timeout=5)
    assert caught.value.code == "no-space"
    assert bytes_beside(database) == before


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("at", [0, 1])
def test_ctrl_c_leaves_the_old_content(at: int, missing: bool, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", "wal", rows=20_000)
    snapshot = snap(database)
    run_sql(database, *CHANGES)
    before = dump(database)
    if missing:
        database.unlink()
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) > at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(snapshot, database, timeout=5, progress=interrupt)
    if missing:
        assert files(tmp_path) == []
    else:
        assert dump(database) == before
        assert files(tmp_path) == ["app.db"]


@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_once_the_snapshot_is_back_is_too_late(mode: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode, rows=2_000)
    wanted = dump(database)
    snapshot = snap(database)
    run_sql(database, *CHANGES)

    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    assert restore(snapshot, database, timeout=5, progress=interrupt).confirmed
    assert dump(database) == wanted
    assert files(tmp_path) == ["app.db"]


def test_ctrl_c_right_after_the_commit_is_no_failure(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, snapshot = dump(database), snap(database)
    run_sql(database, *CHANGES)

    def interrupted(*words: Any, **options: Any) -> None:
        overwrite(*words, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr("orchctl.snapshots.restore.overwrite", interrupted)
    assert restore(snapshot, database, timeout=5).way == "overwritten"
    assert dump(database) == wanted


def test_a_directory_without_write_permission() -> None:
    with reachable_folder() as folder:
        database = make(folder / "app.db")
        database.chmod(0o644)
        snapshot = snap(database)
        for path in (snapshot.path.parent, snapshot.path, snapshot.manifest):
            path.chmod(0o755)
        before = dump(database)
        with ordinary_user() as uid, pytest.raises(Refused) as caught:
            restore(snapshot, database, timeout=1)
        assert caught.value.code == "not-writable"
        assert f"uid {uid}" in caught.value.message
        assert dump(database) == before


def test_a_missing_directory(tmp_path: Path) -> None:
    snapshot = snap(make(tmp_path / "app.db"))
    with pytest.raises(Refused) as caught:
        restore(snapshot, tmp_path / "none" / "app.db", timeout=1)
    assert caught.value.code == "no-directory"


def test_s05_a_restore_does_not_use_the_snapshot_up(database: Path) -> None:
    snapshot = snap(database)
    before = bytes_beside(snapshot.path)
    for _ in range(3):
        run_sql(database, "DELETE FROM child")
        restore(snapshot, database, timeout=5)
    database.unlink()
    restore(snapshot, database, timeout=5)
    no_database(database)
    restore(snapshot, database, timeout=5)
    assert bytes_beside(snapshot.path) == before


def test_s05_a_restore_that_fails_keeps_the_snapshot(database: Path) -> None:
    snapshot = snap(database)
    before = bytes_beside(snapshot.path)
    with process(HOLD, database, "BEGIN EXCLUSIVE") as holder:
        assert holder.line() == "ready"
        with pytest.raises(LockHeld):
            restore(snapshot, database, timeout=0)
    assert bytes_beside(snapshot.path) == before


SWAP = """
import sys
from pathlib import Path
from orchctl.snapshots import confirm, live
from orchctl.snapshots.catalog import Catalog
from orchctl.errors import OrchctlError
from orchctl.snapshots.restore import restore
import sqlite3
database = Path(sys.argv[1])
put_back = live._copy
def spoil(job, source, target, *, guard):
    put_back(job, source, target, guard=guard)
    target.execute("DELETE FROM parent")
live._copy = spoil
try:
    restore(Catalog.beside(database).get("latest"), database, timeout=1)
except OrchctlError as error:
    print(type(error).__name__, error.exit_code, error.code, error.hint, flush=True)
"""


def test_what_a_fresh_connection_does_not_confirm_needs_a_person(database: Path) -> None:
    snapshot = snap(database)
    with process(SWAP, database) as other:
        name, exit_code, code, *hint = other.line().split()
        other.end()
    assert (name, exit_code, code) == (RestoreFailed.__name__, "8", "restore-not-confirmed")
    assert f"orchctl backup restore {snapshot.id}" in " ".join(hint)
    assert str(snapshot.path) in " ".join(hint)


# -- kill -9 ---------------------------------------------------------------------------------------

RESTORE_AND_DIE = """
import os, signal, sys, threading, time
from pathlib import Path
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.restore import restore
database, delay = Path(sys.argv[1]), float(sys.argv[2])
snapshot = Catalog.beside(database).get("latest")
print("ready", flush=True)
threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
restore(snapshot, database, timeout=5)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("situation", ["live", "missing", "damaged"])
@pytest.mark.parametrize("mode", MODES)
def test_kill_9_leaves_the_old_or_the_new(mode: str, situation: str, tmp_path: Path) -> None:
    database = make(tmp_path / "app.db", mode, rows=3000)
    snapshot = snap(database)
    with closing(sqlite3.connect(snapshot.path)) as connection:
        new = dump_digest(connection)
    run_sql(database, *CHANGES, "UPDATE child SET body = 'changed'")
    pristine = tmp_path / "pristine.db"
    shutil.copy(database, pristine)
    with closing(sqlite3.connect(database)) as connection:
        old: str | None = dump_digest(connection)
    seed = random.Random(f"{mode} {situation}")
    for _ in range(12):
        for end in ("", *SIDECARS):
            database.with_name(database.name + end).unlink(missing_ok=True)
        if situation == "live":
            shutil.copy(pristine, database)
        elif situation == "damaged":
            no_database(database)
        with process(RESTORE_AND_DIE, database, seed.uniform(0, 0.15)) as other:
            assert other.line() == "ready"
            other.popen.wait()
        found: str | None = None
        if database.exists() and database.read_bytes()[:5] != b"hello":
            with closing(sqlite3.connect(database)) as connection:
                found = dump_digest(connection)
        assert found in ((old, new) if situation == "live" else (None, new))
        # And whatever it was: the next restore just works.
        assert restore(snapshot, database, timeout=5).confirmed
        with closing(sqlite3.connect(database)) as connection:
            assert dump_digest(connection) == new
