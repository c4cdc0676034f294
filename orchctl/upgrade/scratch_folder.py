"""A folder for a copy of a database, which is gone afterwards even where its process was killed.

Its process holds a kernel lock on it. What nobody locks is left over, and the next one removes it:
a copy of the data is too large, and too private, to be forgotten.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# How the folder begins, beside the database, that holds a copy to rehearse on.
REHEARSAL = ".orchctl-rehearsal-"


@contextmanager
def scratch_folder(place: Path, prefix: str) -> Iterator[Path]:
    """A folder of this process's own, for its owner alone.

    Args:
        place: The directory to make it in.
        prefix: How its name begins; leftovers with that beginning are removed first.

    Raises:
        OSError: `place` can't be written to.
    """
    remove_leftovers(place, prefix)
    folder, descriptor = _locked_folder(place, prefix)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def remove_leftovers(place: Path, prefix: str) -> None:
    """Remove such folders of processes that were killed."""
    for left in place.glob(f"{prefix}*"):
        _remove_leftover(left)


def is_left_over(folder: Path) -> bool:
    """Whether such a folder is of a process that was killed: nobody locks it."""
    try:
        os.close(_lock(folder))
    except OSError:  # in use, or somebody else's
        return False
    return True


def _locked_folder(place: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        # Somebody may take it for left over before we have locked it.
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = _lock(folder)
            if folder.is_dir():
                return folder, descriptor
            os.close(descriptor)


def _remove_leftover(folder: Path) -> None:
    with suppress(OSError):  # in use, or somebody else's
        descriptor = _lock(folder)
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
