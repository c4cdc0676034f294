"""How many transactions were committed to a SQLite file, counted from outside."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def counted_commits(database: Path) -> Iterator[Callable[[], int]]:
    """Yields a function that says how many transactions other processes committed since.

    Outside WAL mode each one adds one to the change counter in the file's header
    (https://www.sqlite.org/fileformat2.html#file_change_counter), in WAL mode to iChange in the
    header of the WAL index (https://www.sqlite.org/walformat.html), which lives as long as a
    connection is open.
    """
    with closing(sqlite3.connect(database)) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        index = database.with_name(database.name + "-shm")
        file, offset, order = (index, 8, "=I") if mode == "wal" else (database, 24, ">I")
        before = _counter(file, offset, order)
        yield lambda: _counter(file, offset, order) - before


def _counter(file: Path, offset: int, order: str) -> int:
    # Closing the file in this process would give up the locks of its SQLite connections.
    words = ["dd", f"if={file}", "bs=1", f"skip={offset}", "count=4", "status=none"]
    found: int = struct.unpack(
        order, subprocess.run(words, check=True, capture_output=True).stdout
    )[0]
    return found
