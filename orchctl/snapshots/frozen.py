"""Opening a snapshot so that nothing about it changes and nothing appears beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchctl.database.open import connect


@contextmanager
def frozen(path: Path) -> Iterator[sqlite3.Connection]:
    """A reading connection to a finished, closed snapshot.

    immutable=1: no lock, no journal, no `-shm`. Right because nobody writes to a snapshot.

    Args:
        path: The snapshot's file.

    Raises:
        sqlite3.Error: As it comes; only the caller knows which file an error in the body is about.
    """
    with closing(connect(path, "mode=ro&immutable=1", timeout=0)) as connection:
        yield connection
