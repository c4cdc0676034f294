"""A new file where the database is missing, or too damaged for SQLite to write to."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from orchctl.database.failure import locked
from orchctl.database.holders import holders
from orchctl.database.open import sidecars
from orchctl.snapshots.durable import sync_directory
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.rebuild import rebuild
from orchctl.snapshots.seal import Progress


def replace_file(snapshot: Snapshot, real: Path, progress: Progress | None) -> tuple[Path, ...]:
    """Put a new file, with the owner and mode of the snapshotted one, where a database belongs.

    What is there is moved aside, never removed. `-wal`, `-shm` and `-journal` go along: beside
    the new file SQLite would take them for its own and ruin it.

    Args:
        snapshot: Verified.
        real: The database's place.
        progress: Called with (bytes done, bytes in all).

    Returns:
        The files moved aside.

    Raises:
        LockHeld: `database-locked`: a process has the old file, or what is beside it, open.
        OSError, sqlite3.Error: As they come.
    """
    if holders(real):
        raise locked(real)
    new = real.with_name(f".{real.name}.restoring")
    _remove(new)  # of a restore that was killed
    try:
        rebuild(snapshot, new, progress)
        _restore_owner(snapshot, new)
        kept = _move_aside(real)
        new.rename(real)
    except BaseException:
        _remove(new)
        raise
    sync_directory(real.parent)
    return kept


def _restore_owner(snapshot: Snapshot, new: Path) -> None:
    if snapshot.owner is None:
        return
    uid, gid, mode = snapshot.owner
    if os.geteuid() == 0:
        os.chown(new, uid, gid)
    new.chmod(mode)


def _move_aside(real: Path) -> tuple[Path, ...]:
    name = f"{real.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    aside = real.with_name(name)
    moved = []
    if real.exists():
        # A second name for the file: so that there is a database here at every moment.
        with suppress(OSError):
            os.link(real, aside)
        if not aside.exists():
            real.rename(aside)
        moved.append(aside)
    for end, path in sidecars(real).items():
        if path.exists():
            moved.append(path.rename(aside.with_name(aside.name + end)))
    return tuple(moved)


def _remove(new: Path) -> None:
    for path in (new, *sidecars(new).values()):
        path.unlink(missing_ok=True)
