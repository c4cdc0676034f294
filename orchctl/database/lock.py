"""orchctl's own lock on a database: one orchctl at a time, across processes and containers.

A kernel lock (flock) on a file beside the database, so that it is gone the moment its holder is,
kill -9 included. The file itself stays for ever: removing a lock file lets two processes hold
"the" lock on two different files. What is written in it only tells people who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orchctl.database.failure import disk_full, explain_os, inaccessible
from orchctl.database.holders import Holder, command_of, lock_pids, masked_command
from orchctl.errors import LockHeld, Refused, typed

SUFFIX = ".orchctl-lock"
# `holder` takes a shared lock for an instant to see whether one is held; with a timeout of zero
# that must not look like a holder.
_GRACE = 0.1
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.25
_TELL_EVERY = 1.0

_held: set[Path] = set()


@contextmanager
def hold(
    database: Path,
    *,
    timeout: float,
    purpose: str,
    on_wait: Callable[[Holder, float], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of a database while the body runs.

    Args:
        database: The database file; need not exist, its directory must.
        timeout: Seconds to wait for another holder.
        purpose: What for, told to those who wait: "upgrade to head".
        on_wait: Called with the holder and the seconds waited, at once and then every second.

    Raises:
        LockHeld: `lock-held`: still held after `timeout`; names the holder.
        Refused: `no-directory` or `not-writable`.
        RuntimeError: This process holds it already: a mistake in the calling code.
    """
    path = lock_file(database)
    if path in _held:
        raise RuntimeError(f"{path} is held by this process already")
    descriptor = _acquire(path, database, timeout, on_wait)
    _held.add(path)
    try:
        _write(descriptor, purpose)
        yield
    finally:
        _held.discard(path)
        _clear(descriptor)
        os.close(descriptor)


def holder(database: Path) -> Holder | None:
    """Who holds the lock of a database; None when nobody does. Takes nothing, waits for nothing."""
    path = lock_file(database)
    try:
        # Without waiting, should somebody have put a named pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(descriptor, path)
    else:
        return None
    finally:
        os.close(descriptor)


def lock_file(database: Path) -> Path:
    """Where the lock of a database is: beside the real file, symbolic links followed."""
    real = Path(os.path.realpath(database))
    return real.with_name(real.name + SUFFIX)


def _acquire(
    path: Path, database: Path, timeout: float, on_wait: Callable[[Holder, float], None] | None
) -> int:
    began = time.monotonic()
    told, pause = None, _FIRST_PAUSE
    while True:
        descriptor = _open(path, database)
        if _locked(descriptor, path):
            return descriptor
        who = _told(descriptor, path)
        os.close(descriptor)
        now = time.monotonic()
        if now - began >= max(timeout, _GRACE):
            raise _held_by(who, database, timeout)
        if on_wait and (told is None or now - told >= _TELL_EVERY):
            told = now
            on_wait(who, now - began)
        # Jitter: several that wait must not come back in step.
        time.sleep(min(pause, max(timeout, _GRACE)) * (0.5 + os.urandom(1)[0] / 512))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _locked(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Somebody may have removed the file by hand between our open and our lock.
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _open(path: Path, database: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    except PermissionError:
        # Another user's file: flock needs no right to write, only the note in it does.
        return _open_readonly(path, database)
    except OSError as error:
        raise inaccessible(path, "lock") from error
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:  # another process was quicker
        return _open(path, database)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path, "create") from error
        if error.errno in (errno.EROFS, errno.EIO):
            raise explain_os(error, path, doing="create") from error
        raise _no_lock(database) from error
    os.fchmod(descriptor, 0o644)  # whatever the umask
    if os.geteuid() == 0:
        # The service that runs as the directory's owner must be able to write its note as well.
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _open_readonly(path: Path, database: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise _no_lock(database) from error


def _no_lock(database: Path) -> Refused:
    real = Path(os.path.realpath(database))
    if not real.parent.is_dir():
        return inaccessible(real, "lock")
    folder = real.parent
    facts = folder.stat()
    user, group = os.geteuid(), os.getegid()
    return Refused(
        f"Cannot write to {folder}, where {real.name} lives (it belongs to uid {facts.st_uid}, "
        f"mode {facts.st_mode & 0o7777:04o}; this process runs as uid {user})",
        code="not-writable",
        state="Nothing was changed",
        hint=f"chmod u+rwx {typed(folder)}"
        if facts.st_uid == user
        else f"sudo chown {user}:{group} {typed(folder)}",
    )


def _write(descriptor: int, purpose: str) -> None:
    import json

    note = {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "command": masked_command([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "purpose": purpose,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode() + b"\n", 0)
    except OSError:
        # Opened read-only, or a full disk: the lock holds all the same, only the note is missing.
        return


def _clear(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
    except OSError:
        return


def _told(descriptor: int, path: Path) -> Holder:
    """The holder: what the note says, checked against the kernel where it tells."""
    import json

    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        found = Holder(
            pid=int(note["pid"]),
            command=str(note["command"]),
            host="" if note["host"] == os.uname().nodename else str(note["host"]),
            purpose=str(note["purpose"]),
            since=str(note["since"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        found = Holder(0, "")
    pids = lock_pids(path)
    if pids and not found.host and found.pid not in pids:
        return Holder(pids[0], command_of(pids[0]))
    return found


def _held_by(who: Holder, database: Path, timeout: float) -> LockHeld:
    return LockHeld(
        f"{database} is held by {who}",
        state="Nothing was changed",
        hint=f"Wait for it (waited {timeout:g} s; --lock-timeout 5m waits longer), or stop it",
        details={
            "holder": {
                "pid": who.pid,
                "command": who.command,
                "host": who.host,
                "purpose": who.purpose,
                "since": who.since,
            }
        },
    )
