"""Files that are there after a power cut: written under another name, synced, then renamed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_UNFINISHED = ".unfinished-"


def write_durably(
    path: Path, content: bytes | IO[bytes], *, like: os.stat_result | None = None
) -> None:
    """Replace a file as a whole; after a crash it is the old one or the new one.

    Args:
        path: The file.
        content: All of it, or a stream of it.
        like: Whose owner the file gets, when this process is root.
    """
    temporary = path.with_name(f"{path.name}{_UNFINISHED}{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 a descriptor, not a path
            give(descriptor, like)
            if isinstance(content, bytes):
                stream.write(content)
            else:
                import shutil  # slow to load

                shutil.copyfileobj(content, stream)
            stream.flush()
            os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


TRIAL = ".orchctl-trial-"  # how a folder for a trial restore is called


def is_unfinished(name: str) -> bool:
    """Whether a file has the name of one that `write_durably` was killed over."""
    return re.fullmatch(rf".+\.json{_UNFINISHED}[0-9a-f]{{8}}", name) is not None


def sync_directory(folder: Path) -> None:
    """Make renames and removals in a directory durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(folder: Path, *, like: os.stat_result | None) -> None:
    """Create a directory (and its parents) for its owner alone; an existing one stays as it is.

    Args:
        folder: The directory.
        like: Whose owner new directories get, when this process is root.
    """
    missing = [folder, *folder.parents]
    missing = missing[: next(n for n, place in enumerate(missing) if place.exists())]
    for place in reversed(missing):
        place.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        if like and os.geteuid() == 0:
            os.chown(place, like.st_uid, like.st_gid)


def give(descriptor: int, like: os.stat_result | None) -> None:
    """Hand an open file to the owner of another, when this process is root."""
    # A snapshot that root takes must be readable to the service that may need it at night.
    if like and os.geteuid() == 0:
        os.fchown(descriptor, like.st_uid, like.st_gid)


@contextmanager
def directory_locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing manifests in a directory meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Mark a snapshot as being read, so that no prune removes it meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_in_use(path: Path) -> bool:
    """Whether a process writes a file (as `claim` does) or reads it (`in_use`)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
