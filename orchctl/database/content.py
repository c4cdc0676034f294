"""Whether a database's content is still what it was, told by one hash of its pages."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from orchctl.database.inspect import row_counts
from orchctl.database.open import writing

# Bytes of the first page that change without any row changing: write and read version (18, 19: the
# journal mode), change counter (24-27), version-valid-for and SQLite's version (92-99).
# https://www.sqlite.org/fileformat2.html#the_database_header
_PROGRAM = """
import hashlib, sys
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    page = bytearray(file.read(100))
    for start, end in ((18, 20), (24, 28), (92, 100)):
        page[start:end] = bytes(end - start)
    digest.update(page)
    while block := file.read(1 << 20):
        digest.update(block)
print(digest.hexdigest())
"""


def content_hash(path: Path) -> str | None:
    """SHA-256 of a database's pages, the same in every journal mode.

    The WAL is first written back, so that the file alone is the content. The file is read by a
    child process: closing a file drops this process's POSIX locks on it (SQLite's too).

    Args:
        path: An existing database.

    Returns:
        The hash, or None when it can't be told: somebody else is using the database just now.
    """
    if not path.is_file():
        return None
    try:
        connection = writing(path, timeout=1.0)
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    if busy:
        return None
    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return child.stdout.strip() or None


def counted(path: Path) -> dict[str, int]:
    """Rows of every table of an existing database, by name."""
    with contextlib.closing(writing(path, timeout=5.0)) as connection:
        return row_counts(connection)
