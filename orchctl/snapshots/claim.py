"""Ids, and the file that a snapshot is written into before it has a name.

A claim is the file `<database>.<id>.partial`, created with O_EXCL and locked (flock) by the process
that fills it. The kernel drops the lock with the process: what nobody locks is left over.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchctl.snapshots.catalog import Catalog, is_partial
from orchctl.snapshots.durable import (
    FILE_MODE,
    TRIAL,
    give,
    is_in_use,
    is_unfinished,
    sync_directory,
)

_STALE = 3600.0


@dataclass(frozen=True)
class Claim:
    """An id that is this process's own, and the locked file for its content.

    Attributes:
        id: The snapshot's id.
        partial: The file to fill.
        path: What it will be called.
        descriptor: Of the file; closing it gives up the lock.
    """

    id: str
    partial: Path
    path: Path
    descriptor: int


def claim(catalog: Catalog, *, like: os.stat_result) -> Claim:
    """Take the next free id: the time to the millisecond, later when others have that one.

    Args:
        catalog: Of the database; its directory must exist.
        like: Whose owner the file gets, when this process is root.

    Raises:
        OSError: The directory can't be written.
    """
    moment = datetime.now(UTC)
    while True:
        identifier = f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03d}"
        path = catalog.path_of(identifier)
        if made := _create(identifier, path, like):
            return made
        moment += timedelta(milliseconds=1)


def publish(claimed: Claim) -> None:
    """Give the filled and synced file its name, durably."""
    claimed.partial.rename(claimed.path)
    sync_directory(claimed.path.parent)


def abandon(claimed: Claim) -> None:
    """Remove what was claimed, whatever it is called by now; a manifest is never there yet."""
    for file in (claimed.partial, claimed.path):
        with suppress(OSError):
            if os.path.samestat(file.stat(), os.fstat(claimed.descriptor)):
                file.unlink()


def sweep(directory: Path) -> tuple[Path, ...]:
    """Remove what killed processes left in a snapshot directory, of whatever database.

    Only what has a name that orchctl gives: a directory may hold other people's files, and many a
    program calls a download `*.partial`.

    Returns:
        The files that were removed.
    """
    old = time.time() - _STALE
    removed = []
    for name in _names(directory):
        path = directory / name
        # Somebody else's file, or gone meanwhile: none of our business.
        with suppress(OSError):
            if not _is_left_over(path, old):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return tuple(removed)


def _is_left_over(path: Path, old: float) -> bool:
    if is_partial(path.name):
        return not is_in_use(path)
    if path.stat().st_mtime >= old:
        return False
    return is_unfinished(path.name) or (path.name.startswith(TRIAL) and not is_in_use(path))


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 names only
    except OSError:  # one that may be written to, but not read
        return []


def _create(identifier: str, path: Path, like: os.stat_result) -> Claim | None:
    partial = path.with_suffix(".partial")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(partial, flags, FILE_MODE)
    except FileExistsError:
        return None
    claimed = Claim(identifier, partial, path, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        give(descriptor, like)
        # A sweep may have come between the creation and the lock; and the name that the file
        # shall have must be free, which nobody but the holder of this claim can change.
        if not _taken(path) and os.path.samestat(partial.stat(), os.fstat(descriptor)):
            return claimed
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        abandon(claimed)
        os.close(descriptor)
        raise
    abandon(claimed)
    os.close(descriptor)
    return None


def _taken(path: Path) -> bool:
    return path.exists() or path.with_suffix(".json").exists()
