"""Pages from one database to another through SQLite's backup API."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from orchctl.errors import LockHeld

# 8 MB a step: the bar moves and Ctrl-C is heard; larger steps measured no faster.
_STEP_BYTES = 8 << 20


def copy_pages(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Copy a database in steps through SQLite's backup API, telling bytes done and in all.

    Args:
        source: With a read transaction open, else a writer makes it start over.
        target: With none.
        progress: Called after every step; what it raises ends the copy.

    Raises:
        LockHeld: `source-busy`: the source is in a writing transaction of its own.
    """
    page = int(source.execute("PRAGMA page_size").fetchone()[0])

    def told(status: int, remaining: int, total: int) -> None:
        # Called even when nobody wants to know: this is where Ctrl-C gets through.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            # Python would try again for ever, and with a read transaction nothing changes.
            raise LockHeld("The source of a copy is being written to", code="source-busy")
        if progress:
            progress((total - remaining) * page, total * page)

    source.backup(target, pages=max(1, _STEP_BYTES // page), progress=told)
