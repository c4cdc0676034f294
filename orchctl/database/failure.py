"""SQLite's errors, told as what a person can do about them."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from pathlib import Path

from orchctl.database.holders import holders
from orchctl.database.space import free, readable
from orchctl.errors import LockHeld, OperationFailed, OrchctlError, Refused, typed

_SHORT_OF_SPACE = 1 << 16


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 when Python itself raised it."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def explain(error: sqlite3.Error, path: Path, *, doing: str = "open") -> OrchctlError:
    """What an error of SQLite means for a person.

    Opens no file but those in /proc, so it may be asked beside a live connection.

    Args:
        error: The error.
        path: The database file it is about.
        doing: What was tried, as in "Cannot <doing> app.db".

    Returns:
        LockHeld (`database-locked`), Refused (`not-a-database`, `database-damaged`,
        `not-writable`, `cannot-open`, `database-missing`, `no-directory`) or OperationFailed
        (`disk-full`, `io-error`, `sqlite-error`). To be raised `from error`.
    """
    code = primary_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return locked(path)
    if code == sqlite3.SQLITE_NOTADB:
        return not_a_database(path)
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL or _io_error_for_want_of_space(error, path):
        return disk_full(path, doing)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return inaccessible(path, doing, writing=code == sqlite3.SQLITE_READONLY)
    name = getattr(error, "sqlite_errorname", "")
    told = io_error(path, doing, f"{error} ({name})" if name else str(error))
    if code != sqlite3.SQLITE_IOERR:
        told.code, told.hint = "sqlite-error", None
    return told


def explain_os(error: OSError, path: Path, *, doing: str) -> OrchctlError:
    """What an error of the operating system means for a person, where files are written.

    Args:
        error: The error.
        path: The file or directory it is about.
        doing: What was tried, as in "Cannot <doing> app.db".

    Returns:
        Refused (`not-writable`, ...) or OperationFailed (`disk-full`, `io-error`). To be raised
        `from error`.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full(path, doing)
    if error.errno == errno.EIO:
        return io_error(path, doing, error.strerror or str(error))
    return inaccessible(path / "file" if path.is_dir() else path, doing, writing=True)


def io_error(path: Path, doing: str, told: str) -> OperationFailed:
    """`io-error`: the disk, or what stands for one, did not do what it should."""
    return OperationFailed(
        f"Cannot {doing} {path}: {told}",
        code="io-error",
        hint="Look at the disk (dmesg), then run it again",
    )


def locked(path: Path) -> LockHeld:
    """`database-locked`, naming who holds the file where that can be seen."""
    found = holders(path)
    by = "by " + ", ".join(str(one) for one in found[:5]) if found else "by another process"
    return LockHeld(
        f"{path} is locked {by}",
        code="database-locked",
        state="Nothing was changed",
        hint="Stop the writer, or wait longer with --lock-timeout",
        details={"holders": [{"pid": one.pid, "command": one.command} for one in found]},
    )


def not_a_database(path: Path) -> Refused:
    """`not-a-database`: the file isn't SQLite's (or is encrypted)."""
    return Refused(
        f"{path} is not a SQLite database",
        code="not-a-database",
        state="Nothing was changed",
        hint="Check the URL (orchctl config show); an encrypted database is not supported",
    )


def damaged(path: Path, what: str) -> Refused:
    """`database-damaged`: SQLite's file, but its content makes no sense."""
    return Refused(
        f"{path} is damaged: {what}",
        code="database-damaged",
        state="Nothing was changed",
        hint="orchctl backup list shows the snapshots; orchctl backup restore ID puts one back",
    )


def disk_full(path: Path, doing: str) -> OperationFailed:
    """`disk-full`: no room while writing."""
    return OperationFailed(
        f"Cannot {doing} {path}: the disk is full ({readable(free(path))} free)",
        code="disk-full",
        state="The database is as it was",
        hint="Free some space (orchctl backup prune removes old snapshots), then run it again",
    )


def inaccessible(path: Path, doing: str, *, writing: bool = False) -> Refused:
    """Why a file can't be opened or written: missing, no directory, no rights, not a file."""
    path = Path(os.path.realpath(path))  # SQLite's sidecars are beside what a link leads to
    folder = path.parent
    if not folder.is_dir():
        return Refused(
            f"Cannot {doing} {path}: there is no directory {folder}",
            code="no-directory",
            state="Nothing was changed",
            hint=f"mkdir -p {typed(folder)}, or correct the URL (orchctl config show)",
        )
    try:
        facts = path.stat()
    except FileNotFoundError:
        if writing and not os.access(folder, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
            reason = "no right to write to its directory"
            return _read_only(path, doing) or _denied(path, folder, doing, reason, "not-writable")
        return _missing(path, doing)
    except OSError as error:
        return _denied(path, folder, doing, f"it cannot be seen: {error.strerror}", "cannot-open")
    if not stat.S_ISREG(facts.st_mode):
        return Refused(
            f"Cannot {doing} {path}: it is not a file", code="cannot-open", hint="Correct the URL"
        )
    return _without_rights(path, doing) or _sidecar(path, doing, writing)


def odd_sidecar(path: Path, odd: Path, doing: str) -> Refused:
    """`cannot-open`: a named pipe, a directory … where SQLite has its journal or WAL."""
    return Refused(
        f"Cannot {doing} {path}: {odd.name} beside it is no regular file",
        code="cannot-open",
        state="Nothing was changed",
        hint=f"ls -l {typed(odd)}; remove it, if nobody misses it",
    )


_EFFECTIVE = os.access in os.supports_effective_ids


def _without_rights(path: Path, doing: str) -> Refused | None:
    # SQLite makes its journal beside the database, so the directory counts as well.
    for culprit, right, reason, code in (
        (path, os.R_OK, "no right to read it", "cannot-open"),
        (path, os.W_OK, "no right to write it", "not-writable"),
        (path.parent, os.W_OK | os.X_OK, "no right to write to its directory", "not-writable"),
    ):
        if not os.access(culprit, right, effective_ids=_EFFECTIVE):
            mounted_so = _read_only(path, doing) if right & os.W_OK else None
            return mounted_so or _denied(path, culprit, doing, reason, code)
    return None


def _read_only(path: Path, doing: str) -> Refused | None:
    """The refusal where nobody can write, whatever the modes say; None on other file systems."""
    if not os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return None
    return Refused(
        f"Cannot {doing} {path}: its file system is mounted read-only",
        code="not-writable",
        state="Nothing was changed",
        hint=f"findmnt -T {typed(path.parent)} shows the mount (a failing disk is remounted so: "
        "dmesg)",
    )


def _missing(path: Path, doing: str) -> Refused:
    return Refused(
        f"Cannot {doing} {path}: there is no such file",
        code="database-missing",
        hint="orchctl upgrade creates it; or correct the URL (orchctl config show)",
    )


def _denied(path: Path, culprit: Path, doing: str, reason: str, code: str) -> Refused:
    user, group = os.geteuid(), os.getegid()
    try:
        facts = culprit.stat()
        whose = f"{culprit} belongs to uid {facts.st_uid}, mode {stat.S_IMODE(facts.st_mode):04o}"
        mine = facts.st_uid == user
    except OSError:
        whose, mine = f"{culprit} is out of sight", False
    command = "chmod u+rwX" if mine else f"sudo chown {user}:{group}"
    return Refused(
        f"Cannot {doing} {path}: {reason} ({whose}; this process runs as uid {user})",
        code=code,
        state="Nothing was changed",
        hint=f"{command} {typed(culprit)}",
    )


def _sidecar(path: Path, doing: str, writing: bool) -> Refused:
    code = "not-writable" if writing else "cannot-open"
    # Files that root left beside a database lock its owner out with SQLITE_CANTOPEN.
    for end in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + end)
        if beside.exists() and not os.access(beside, os.R_OK | os.W_OK, effective_ids=_EFFECTIVE):
            return _denied(path, beside, doing, f"no right to read and write {beside.name}", code)
    return Refused(
        f"Cannot {doing} {path}: the filesystem refuses it (mounted read-only?)",
        code=code,
        state="Nothing was changed",
        hint=f"Look at: ls -la {typed(path.parent)}; findmnt -T {typed(path)}",
    )


def _io_error_for_want_of_space(error: sqlite3.Error, path: Path) -> bool:
    # A full disk shows as an I/O error when it is the shared-memory file that cannot grow.
    if primary_code(error) != sqlite3.SQLITE_IOERR:
        return False
    return path.parent.is_dir() and free(path) < _SHORT_OF_SPACE
