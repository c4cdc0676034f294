"""Whether a database's content is still what it was, told by one hash of its pages."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchctl.database.inspect import row_counts
from orchctl.database.open import reading, sidecars, writing
from orchctl.errors import OrchctlError

# Bytes of the first page that change without any row changing: write and read version (18, 19: the
# journal mode), change counter (24-27), schema cookie (40-43, counted up by a backup),
# version-valid-for and SQLite's version (92-99).
# https://www.sqlite.org/fileformat2.html#the_database_header
_PROGRAM = """
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    page = bytearray(file.read(100))
    for start, end in ((18, 20), (24, 28), (40, 44), (92, 100)):
        page[start:end] = bytes(end - start)
    digest.update(page)
    while block := file.read(1 << 20):
        digest.update(block)
print(digest.hexdigest())
"""


class PendingHash:
    """The content hash of a database, made by a child process while this one does other things.

    Args:
        path: An existing database, whose WAL is written back first; None when none is wanted.
    """

    def __init__(self, path: Path | None) -> None:
        self._child = _hashing(path) if path and _written_back(path) else None

    def __enter__(self) -> PendingHash:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.communicate()

    def result(self) -> str | None:
        """What `content_hash` says; waits for it."""
        return _result(self._child) if self._child is not None else None


def content_hash(path: Path, *, untouched: bool = False) -> str | None:
    """SHA-256 of a database's pages, the same in every journal mode.

    What stands in the WAL counts: it is written back first, or, where nothing may be written, a
    copy is made through SQLite. Files are read by a child process: closing one drops this
    process's POSIX locks on it, SQLite's too.

    Args:
        path: An existing database.
        untouched: Whether the database and its WAL must stay as they are.

    Returns:
        The hash, or None when it can't be told: somebody else is using the database just now.
    """
    if not untouched:
        return _hash_of_file(path) if _written_back(path) else None
    try:
        return _hash_of_copy(path) if path.is_file() else None
    except (sqlite3.Error, OrchctlError):
        return None


def _written_back(path: Path) -> bool:
    """Write the WAL back; False when there is no file, or somebody else is using it just now."""
    if not path.is_file():
        return False
    try:
        with contextlib.closing(writing(path, timeout=1.0)) as connection:
            return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except (sqlite3.Error, OrchctlError):
        return False


def _hash_of_copy(path: Path) -> str | None:
    if sidecars(path)["-wal"].exists():
        with tempfile.TemporaryDirectory(prefix="orchctl-content-") as folder:
            copy = Path(folder) / "copy.db"
            with reading(path) as source, contextlib.closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            return _hash_of_file(copy)
    return _hash_of_file(path)


def _hash_of_file(path: Path) -> str | None:
    return _result(_hashing(path))


def _hashing(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _result(child: subprocess.Popen[str]) -> str | None:
    return child.communicate()[0].strip() or None


def counted(path: Path, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Rows of every table of an existing database, by name.

    Args:
        path: The database.
        known: Rows of those tables that were counted already.
    """
    with contextlib.closing(writing(path, timeout=5.0)) as connection:
        return row_counts(connection, known)
