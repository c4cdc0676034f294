"""Putting a snapshot back: into the live file through SQLite, never by copying over it."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchctl.database.failure import disk_full, explain, primary_code
from orchctl.database.inspect import inspect
from orchctl.database.open import reading, require_regular, sidecars
from orchctl.database.space import require
from orchctl.errors import OrchctlError, Refused, RestoreFailed
from orchctl.snapshots.confirm import confirm
from orchctl.snapshots.durable import in_use
from orchctl.snapshots.live import overwrite
from orchctl.snapshots.manifest import Snapshot, require_known_format
from orchctl.snapshots.replace import replace_file
from orchctl.snapshots.seal import Progress
from orchctl.snapshots.verify import file_problems

Way = Literal["overwritten", "created", "replaced"]
Guard = Callable[[sqlite3.Connection], None]

_BROKEN = ("not-a-database", "database-damaged")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Restoration:
    """What a restore did.

    Attributes:
        snapshot: What was put back.
        database: The live file.
        way: `overwritten` in place; `created`, since there was no file; `replaced`, since the old
            one was too damaged to be written to.
        kept: The damaged file (and sidecars) as moved aside; empty unless `replaced`.
        journal_mode: Of the database now. It can differ from the snapshot's when others have the
            database open: WAL can't be left then.
        confirmed: Whether a fresh connection found exactly the snapshot's schema and row counts;
            False when others wrote again in the meantime.
        seconds: It took.
    """

    snapshot: Snapshot
    database: Path
    way: Way
    journal_mode: str
    confirmed: bool
    seconds: float
    kept: tuple[Path, ...] = field(default=())


def restore(
    snapshot: Snapshot,
    database: Path,
    *,
    timeout: float,
    progress: Progress | None = None,
    guard: Guard | None = None,
) -> Restoration:
    """Put a snapshot back; the database is the old one or the snapshot, never between.

    First the snapshot's hash is checked. Then SQLite's backup API overwrites the live file in one
    transaction: readers and writers in other processes are waited for and see the change as they
    see any commit, a hot journal or a WAL left by a killed process is dealt with by SQLite. The
    snapshot itself stays as it is. This process must hold no connection to the database.

    Args:
        snapshot: From the catalog.
        database: The live file; may be missing or damaged.
        timeout: Seconds to wait for other processes' locks.
        progress: Called with (bytes done, bytes in all).
        guard: Called once with a reading connection to the present, when nobody else can write
            any more and nothing is changed yet: the place for a last look at what will be
            discarded, or a snapshot of it (`take(..., source=connection)`). What it raises ends
            the restore. Not called for a file that is missing or damaged.

    Raises:
        Refused: `snapshot-damaged`, `snapshot-format`, `no-space`, `not-writable`, …
        LockHeld: `database-locked` after `timeout`; nothing was changed.
        OperationFailed: `disk-full`, `io-error`; the database is as it was.
        RestoreFailed: The database is not what it was; says where the snapshot is.
    """
    began = time.monotonic()
    real = Path(os.path.realpath(database))
    require_usable(snapshot)
    with in_use(snapshot.path):
        way = _way(real, timeout)
        _require_room(snapshot, real, way)
        try:
            done = _put_back(snapshot, real, way, timeout, progress, guard)
        except _TooDamagedError:
            # So damaged that SQLite can't even overwrite it.
            way = "replaced"
            done = _put_back(snapshot, real, way, timeout, progress, guard)
    return Restoration(
        snapshot=snapshot,
        database=database,
        way=way,
        journal_mode=done.journal_mode,
        confirmed=done.exact,
        seconds=time.monotonic() - began,
        kept=done.kept,
    )


def require_usable(snapshot: Snapshot, progress: Progress | None = None) -> None:
    """Refuse a snapshot that isn't, byte for byte, what was taken.

    Args:
        snapshot: From the catalog.
        progress: Called with (bytes hashed, bytes in all).

    Raises:
        Refused: `snapshot-damaged`, `snapshot-partial`, `snapshot-format`.
    """
    require_known_format(snapshot)
    problems: tuple[str, ...] = ()
    if not snapshot.usable:
        problems = (snapshot.note or snapshot.status,)
    problems = problems or file_problems(snapshot, progress)
    if not problems:
        return
    kind = "unfinished" if snapshot.status == "partial" else "damaged"
    raise Refused(
        f"Snapshot {snapshot.id} is {kind}: {problems[0]}",
        code="snapshot-partial" if snapshot.status == "partial" else "snapshot-damaged",
        state="Nothing was changed",
        hint="orchctl backup list shows the others",
        details={"snapshot": snapshot.id, "problems": list(problems)},
    )


@dataclass(frozen=True)
class _Done:
    exact: bool
    journal_mode: str
    kept: tuple[Path, ...] = ()


class _TooDamagedError(Exception):
    """The live file can't be overwritten through SQLite."""


def _way(real: Path, timeout: float) -> Way:
    require_regular(real, "restore")
    if not os.path.lexists(real):
        if not real.parent.is_dir():
            with reading(real):  # raises `no-directory`
                pass
        return "created"
    try:
        inspect(real, timeout=timeout)
    except Refused as error:
        if error.code not in _BROKEN:
            raise
        return "replaced"
    return "overwritten"


def _require_room(snapshot: Snapshot, real: Path, way: Way) -> None:
    # The new pages go into the WAL, or the old ones into the journal, beside the growth.
    size = real.stat().st_size if way == "overwritten" else 0
    growth = max(0, snapshot.size - size)
    needed = max(snapshot.size, size) + growth if way == "overwritten" else snapshot.size
    require(real.parent, needed, f"the restore of {snapshot.id}")


def _put_back(
    snapshot: Snapshot,
    real: Path,
    way: Way,
    timeout: float,
    progress: Progress | None,
    guard: Guard | None,
) -> _Done:
    before = _state(real)
    try:
        if way == "overwritten":
            return _Done(
                *overwrite(snapshot, real, timeout=timeout, progress=progress, guard=guard)
            )
        kept = replace_file(snapshot, real, progress)
        with reading(real) as fresh:
            return _Done(confirm(snapshot, real, fresh), snapshot.journal_mode, kept)
    except RestoreFailed:
        raise
    except BaseException as error:
        told = _told(error, real)
        if told is None and isinstance(error, sqlite3.DatabaseError):
            raise _TooDamagedError from error
        if not _unchanged(before, real):
            if isinstance(error, KeyboardInterrupt) and _is_back(snapshot, real):
                return _Done(False, snapshot.journal_mode)  # it came right after the commit
            raise _failed(snapshot, real, error) from error
        if told is None:
            raise
        told.state = told.state or f"{real} is as it was"
        raise told from error


def _told(error: BaseException, real: Path) -> OrchctlError | None:
    """A failure as an error of ours; None when it is none, or when the live file is damaged."""
    if isinstance(error, OrchctlError):
        return error
    if isinstance(error, sqlite3.Error):
        if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return None
        return explain(error, real, doing="restore")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return disk_full(real, "restore")
    return None


def _unchanged(before: object, real: Path) -> bool:
    """Whether a failed restore left alone what it must; what can't be seen counts as left alone.

    Not the file's bytes, which differ after a transaction was undone, nor its size: others may
    have written in the meantime. What they don't change is the schema and Alembic's stamp.
    """
    after = _state(real)
    return before is None or after is None or before == after


def _is_back(snapshot: Snapshot, real: Path) -> bool:
    """Whether a file that a restore has changed is the snapshot now: SQLite knows no between."""
    return _state(real) == (True, snapshot.schema_hash, snapshot.heads)


def _state(real: Path) -> object:
    try:
        facts = inspect(real)
    except Refused as error:
        if error.code not in _BROKEN:
            return None
    except (OrchctlError, OSError):
        return None
    else:
        return (facts.exists, facts.schema_hash, facts.heads)
    beside = sidecars(real).values()
    return tuple(path.stat().st_size if path.exists() else None for path in (real, *beside))


def _failed(snapshot: Snapshot, real: Path, error: BaseException) -> RestoreFailed:
    return RestoreFailed(
        f"The restore of {snapshot.id} into {real} failed: {error}",
        state=f"{real} is neither what it was nor the snapshot; the snapshot is whole",
        hint=f"Stop whatever uses {real}, then: orchctl backup restore {snapshot.id}. The "
        f"snapshot is a plain SQLite database: {snapshot.path}",
        details={"snapshot": snapshot.id, "path": str(snapshot.path)},
    )
