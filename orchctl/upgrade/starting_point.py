"""The snapshot that a run starts from: exactly the state that its transaction found.

A snapshot taken before the write lock would be enough for a rehearsal, but a write could fall
between it and the upgrade; one taken under the lock keeps writers out for as long as copying takes.
So it is taken early, while a watching connection notes SQLite's data_version, and taken again under
the lock only when somebody really wrote in between
(https://www.sqlite.org/pragma.html#pragma_data_version).
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from orchctl.database.failure import explain
from orchctl.database.open import writing
from orchctl.snapshots.retention import Decision, apply
from orchctl.snapshots.take import take
from orchctl.upgrade.manifest import chain_manifest
from orchctl.upgrade.patience import STEP, patiently

if TYPE_CHECKING:
    from types import TracebackType

    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import Listener


class StartingPoint:
    """The snapshot of a run; a context that watches the database while it is entered.

    Args:
        settings: The run's settings.
        plan: What runs; says whether a snapshot is taken.
        listener: Who hears of the progress.

    Attributes:
        snapshot: The snapshot, once it is taken; None without one.
    """

    def __init__(self, settings: Settings, plan: UpgradePlan, listener: Listener) -> None:
        self._settings = settings
        self._plan = plan
        self._listener = listener
        self._watch: sqlite3.Connection | None = None
        self._version: int | None = None
        self.snapshot: Snapshot | None = None

    def __enter__(self) -> StartingPoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.close()

    def take_early(self) -> Snapshot:
        """Take it before the write lock, and watch from then on.

        Raises:
            Refused, LockHeld, OperationFailed: As `take` says.
        """
        plan = self._plan
        self._watch = writing(plan.database, timeout=STEP)
        try:
            self._watch.execute("PRAGMA query_only=ON")
            self._watch.execute("BEGIN")
            self._version = patiently(self._first_read, self._settings.lock_timeout)
            self.snapshot = self._take(self._watch)
            self._watch.execute("COMMIT")
        except sqlite3.Error as error:
            raise explain(error, plan.database, doing="snapshot") from error
        return self.snapshot

    def settle(self) -> Snapshot | None:
        """Under the write lock: make sure that the snapshot is what the run starts from."""
        if not self._plan.backup:
            return None
        if self.snapshot is not None:
            if self._data_version() == self._version:
                return self.snapshot
            stale, self.snapshot = self.snapshot, None
            self._listener.running("The database was written to meanwhile: another snapshot")
            with contextlib.suppress(OSError):
                apply([Decision(stale, keep=False, reasons=("superseded",))])
        self.snapshot = self._take(None)
        return self.snapshot

    def _take(self, source: sqlite3.Connection | None) -> Snapshot:
        plan = self._plan
        with self._listener.bar("Snapshot") as progress:
            snapshot = take(
                plan.database,
                plan.snapshot_directory,
                reason=f"pre-{plan.direction}",
                version_table=plan.version_table,
                chain=chain_manifest(self._settings),
                progress=progress,
                beside=True,
                timeout=self._settings.lock_timeout,
                source=source,
            )
        self._listener.step(f"Snapshot {snapshot.id} of revision {_heads(snapshot)}")
        return snapshot

    def _first_read(self) -> int | None:
        """The read that takes the read lock, which BEGIN alone does not."""
        try:
            return self._data_version()
        except sqlite3.Error as error:
            raise explain(error, self._plan.database, doing="snapshot") from error

    def _data_version(self) -> int | None:
        if self._watch is None:
            return None
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])


def _heads(snapshot: Snapshot) -> str:
    return ", ".join(snapshot.heads) or "base"
