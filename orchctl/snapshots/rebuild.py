"""A new database file out of a snapshot."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from orchctl.database.open import connect
from orchctl.snapshots.frozen import frozen
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.pages import copy_pages
from orchctl.snapshots.seal import Progress


def rebuild(snapshot: Snapshot, target: Path, progress: Progress | None = None) -> None:
    """Write a snapshot's content into a file that doesn't exist yet, synced, in its journal mode.

    Args:
        snapshot: A usable one.
        target: The new file; nothing is left there when it fails.
        progress: Called with (bytes done, bytes in all).

    Raises:
        FileExistsError: There is a file already.
        OSError, sqlite3.Error: As they come.
    """
    descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with frozen(snapshot.path) as source, closing(connect(target, "mode=rw", timeout=0)) as new:
            new.execute("PRAGMA synchronous=OFF")
            new.execute("PRAGMA journal_mode=OFF")
            copy_pages(source, new, progress)
            new.execute(f"PRAGMA journal_mode={snapshot.journal_mode}")
        os.fsync(descriptor)
    except BaseException:
        for end in ("", "-wal", "-shm", "-journal"):
            target.with_name(target.name + end).unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
