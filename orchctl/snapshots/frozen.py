"""Opening a snapshot so that nothing about it changes and nothing appears beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from orchctl.database.failure import explain
from orchctl.database.open import connect


@contextmanager
def frozen(path: Path) -> Iterator[sqlite3.Connection]:
    """A reading connection to a finished, closed snapshot.

    immutable=1: no lock, no journal, no `-shm`. Right because nobody writes to a snapshot.

    Args:
        path: The snapshot's file.

    Raises:
        Refused: `database-damaged`, `not-a-database`, `cannot-open`.
    """
    try:
        with closing(connect(path, "mode=ro&immutable=1", timeout=0)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise explain(error, path, doing="read") from error
