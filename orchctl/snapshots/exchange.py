"""A snapshot for the present: the one put back, the other put aside, with no write in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from orchctl.database.holders import Holder
from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.lock import hold
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.restore import Guard, Restoration, restore
from orchctl.snapshots.seal import Progress
from orchctl.snapshots.take import take

Bar = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Exchange:
    """What was exchanged.

    Attributes:
        restoration: What is in the live file now.
        put_aside: The snapshot of what was there; None when there was nothing that could be
            snapshotted (no file, or one too damaged: then `restoration.kept` has it).
    """

    restoration: Restoration
    put_aside: Snapshot | None


def exchange(
    snapshot: Snapshot,
    database: Path,
    directory: Path,
    *,
    timeout: float,
    version_table: str = VERSION_TABLE,
    look: Guard | None = None,
    bar: Bar | None = None,
    on_wait: Callable[[Holder, float], None] | None = None,
) -> Exchange:
    """Restore a snapshot; what is discarded is in a new one to the last row, even under a writer.

    Args:
        snapshot: What to put back.
        database: The live file.
        directory: Where the snapshot of the present goes.
        timeout: Seconds to wait, for orchctl's lock and again for SQLite's.
        version_table: Name of Alembic's table.
        look: Called before all else with a connection to the present, under the lock; what it
            raises ends the exchange with nothing changed.
        bar: Makes a progress bar out of a title.
        on_wait: See `database.lock.hold`.

    Raises:
        LockHeld, Refused, OperationFailed, RestoreFailed: As `restore` and `take`.
    """
    bar = bar or (lambda _title: nullcontext(lambda _done, _total: None))
    aside: list[Snapshot] = []

    def guard(present: sqlite3.Connection) -> None:
        if look:
            look(present)
        with bar("Snapshot of the present") as progress:
            taken = take(
                database,
                directory,
                reason="pre-rollback",
                version_table=version_table,
                progress=progress,
                source=present,
            )
        aside.append(taken)

    purpose = f"restore of {snapshot.id}"
    with hold(database, timeout=timeout, purpose=purpose, on_wait=on_wait):
        done = restore(snapshot, database, timeout=timeout, guard=guard)
    return Exchange(done, aside[0] if aside else None)
