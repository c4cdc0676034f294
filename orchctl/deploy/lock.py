"""One deploy of a database at a time: a kernel lock beside it, gone with whoever holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchctl.database import lock
from orchctl.database.holders import Holder
from orchctl.errors import LockHeld

_NAME = ".deploy"


@contextmanager
def deploying(database: Path, purpose: str) -> Iterator[None]:
    """Hold the lock of a database's deploys while the body runs.

    Args:
        database: The SQLite file.
        purpose: Told to others who come meanwhile.

    Raises:
        LockHeld: `deploy-running`: another one holds it; it is not waited for.
        Refused: `no-directory`, `not-writable`.
    """
    try:
        with lock.hold(_beside(database), timeout=0.0, purpose=purpose):
            yield
    except LockHeld as error:
        who = deployer(database)
        if who is None or who.pid == os.getpid():
            raise
        raise LockHeld(
            f"Another deploy of {database} is at work: {who}",
            code="deploy-running",
            state="Nothing was changed",
            hint="orchctl deploy lock status shows it; wait for its end, or stop it: what it has "
            "begun is then finished or undone by the next one",
            details=error.details,
        ) from error


def deployer(database: Path) -> Holder | None:
    """Who deploys now; None when nobody does."""
    return lock.holder(_beside(database))


def _beside(database: Path) -> Path:
    real = Path(os.path.realpath(database))
    return real.with_name(real.name + _NAME)
