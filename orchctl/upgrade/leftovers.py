"""What a failed run would leave on the disk, taken away."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from orchctl.database.open import sidecars, writing
from orchctl.errors import OrchctlError
from orchctl.upgrade.patience import STEP


def remove_empty(file: Path) -> None:
    """Remove a database of zero bytes: SQLite creates the file on connecting.

    To be called under orchctl's lock, and only where there was no file before.
    """
    file = Path(os.path.realpath(file))  # never the link that leads to it
    with suppress(OSError):
        if file.stat().st_size == 0 and not os.path.lexists(f"{file}-wal"):
            file.unlink()


def recover(file: Path) -> None:
    """Have SQLite undo on the disk what a full disk kept it from undoing.

    It leaves that to the next one who opens the file, and until then the disk stays full. This
    process must hold no transaction on the file.
    """
    if not sidecars(file)["-journal"].exists():
        return
    with suppress(sqlite3.Error, OrchctlError), closing(writing(file, timeout=STEP)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
