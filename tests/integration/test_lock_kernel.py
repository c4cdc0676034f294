"""orchctl's own lock, held by real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchctl.database.holders import Holder
from orchctl.database.lock import hold, holder, lock_file
from orchctl.errors import LockHeld, Refused
from tests.support.sqlite_files import ordinary_user, process, reachable_folder

HOLDER = """
import sys
from pathlib import Path
from orchctl.database.lock import hold
with hold(Path(sys.argv[1]), timeout=30, purpose=sys.argv[2]):
    print("ready", flush=True)
    sys.stdin.readline()
print("done", flush=True)
"""

# Adds one to the number in a file, twenty times, with nothing but the lock to keep others out.
COUNT = """
import sys, time
from pathlib import Path
from orchctl.database.lock import hold
database, counter = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(20):
    with hold(database, timeout=60, purpose="count"):
        number = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(number + 1))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


def test_who_holds_it_is_told(database: Path) -> None:
    assert holder(database) is None
    with process(HOLDER, database, "upgrade to head") as other:
        assert other.line() == "ready"
        found = holder(database)
        assert found is not None
        assert (found.pid, found.purpose, found.host) == (other.pid, "upgrade to head", "")
        assert found.since.endswith("+00:00")
        with pytest.raises(LockHeld) as caught, hold(database, timeout=0, purpose="test"):
            pass
        assert caught.value.code == "lock-held"
        assert caught.value.exit_code == 4
        assert f"process {other.pid}" in caught.value.message
        assert "upgrade to head" in caught.value.message
        assert caught.value.details["holder"]["pid"] == other.pid
        assert "--lock-timeout" in str(caught.value.hint)


def test_a_waiter_gets_it_when_it_is_free(database: Path) -> None:
    waited: list[tuple[Holder, float]] = []

    def on_wait(who: Holder, seconds: float) -> None:
        if not waited:
            other.say()
        waited.append((who, seconds))

    with process(HOLDER, database, "upgrade") as other:
        assert other.line() == "ready"
        with hold(database, timeout=30, purpose="test", on_wait=on_wait):
            assert other.line() == "done"
    assert waited[0][0].pid == other.pid


def test_kill_9_lets_go_of_it(database: Path) -> None:
    with process(HOLDER, database, "upgrade") as other:
        assert other.line() == "ready"
        other.kill()
        assert holder(database) is None
        with hold(database, timeout=0, purpose="test"):
            mine = holder(database)
            assert mine is not None
            assert mine.pid == os.getpid()


def test_only_one_at_a_time(database: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    with (
        process(COUNT, database, counter) as one,
        process(COUNT, database, counter) as two,
        process(COUNT, database, counter) as three,
    ):
        assert [one.end(), two.end(), three.end()] == [0, 0, 0]
    assert counter.read_text() == "60"


def test_the_timeout_is_kept(database: Path) -> None:
    with process(HOLDER, database, "upgrade") as other:
        assert other.line() == "ready"
        began = time.monotonic()
        with pytest.raises(LockHeld), hold(database, timeout=0.3, purpose="test"):
            pass
        assert time.monotonic() - began >= 0.3


def test_asking_who_holds_it_takes_nothing(database: Path) -> None:
    with hold(database, timeout=0, purpose="test"):
        pass
    asker = """
    import sys
    from pathlib import Path
    from orchctl.database.lock import holder
    print("ready", flush=True)
    while True:
        holder(Path(sys.argv[1]))
    """
    with process(asker, database) as other:
        assert other.line() == "ready"
        for _ in range(200):
            with hold(database, timeout=0, purpose="test"):
                pass


def test_twice_in_one_process_is_a_mistake(database: Path) -> None:
    with (
        hold(database, timeout=0, purpose="first"),
        pytest.raises(RuntimeError),
        hold(database, timeout=0, purpose="second"),
    ):
        pass
    with hold(database, timeout=0, purpose="after both"):
        pass


def test_a_child_does_not_inherit_it(database: Path) -> None:
    with hold(database, timeout=0, purpose="test"):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            close_fds=False,
        )
    with hold(database, timeout=0, purpose="while the child lives"):
        pass
    child.communicate()


def test_the_file_stays_and_is_blank(database: Path) -> None:
    with hold(database, timeout=0, purpose="test"):
        inode = lock_file(database).stat().st_ino
    assert lock_file(database).read_bytes() == b""
    with hold(database, timeout=0, purpose="test"):
        assert lock_file(database).stat().st_ino == inode


def test_somebody_removed_the_file(database: Path) -> None:
    with process(HOLDER, database, "upgrade") as other:
        assert other.line() == "ready"
        lock_file(database).unlink()
        with hold(database, timeout=0, purpose="a new file"):
            assert lock_file(database).exists()


def test_a_link_leads_to_the_same_lock(tmp_path: Path, database: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    database.touch()
    link.symlink_to(database)
    assert lock_file(link) == lock_file(database)


def test_what_is_written_in_the_file_is_not_believed_blindly(database: Path) -> None:
    with process(HOLDER, database, "upgrade") as other:
        assert other.line() == "ready"
        for nonsense in (b"", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe"):
            lock_file(database).write_bytes(nonsense)
            found = holder(database)
            assert found is not None
            assert found.pid == other.pid


def test_mode_and_owner(database: Path) -> None:
    before = os.umask(0o077)
    try:
        with hold(database, timeout=0, purpose="test"):
            pass
    finally:
        os.umask(before)
    facts, folder = lock_file(database).stat(), database.parent.stat()
    assert facts.st_mode & 0o777 == 0o644
    assert (facts.st_uid, facts.st_gid) == (folder.st_uid, folder.st_gid)


def test_another_users_file_can_be_locked_all_the_same(open_folder: Path) -> None:
    database = open_folder / "app.db"
    with hold(database, timeout=0, purpose="by its owner"):
        pass
    lock_file(database).chmod(0o444)
    with ordinary_user(), hold(database, timeout=0, purpose="by another"):
        found = holder(database)
        assert found is not None
        assert found.pid in (os.getpid(), 0)


def test_a_directory_without_write_permission(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    try:
        with (
            ordinary_user() as uid,
            pytest.raises(Refused) as caught,
            hold(open_folder / "app.db", timeout=0, purpose="test"),
        ):
            pass
    finally:
        open_folder.chmod(0o755)
    assert caught.value.code == "not-writable"
    assert f"uid {uid}" in caught.value.message
    assert str(open_folder) in str(caught.value.hint)


def test_a_missing_directory(tmp_path: Path) -> None:
    with (
        pytest.raises(Refused) as caught,
        hold(tmp_path / "none" / "app.db", timeout=0, purpose="test"),
    ):
        pass
    assert caught.value.code == "no-directory"


def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path: Path, database: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("data")
    lock_file(database).symlink_to(target)
    with pytest.raises(Refused), hold(database, timeout=0, purpose="test"):
        pass
    assert target.read_text() == "data"
