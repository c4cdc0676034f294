"""Putting the snapshot back after a run that was not one transaction, now or in the next run."""

from __future__ import annotations

import gc
import sqlite3
import time
import traceback
from typing import TYPE_CHECKING, Any

from orchctl.database import lock
from orchctl.errors import OrchctlError, Refused, RestoreFailed, UpgradeRestored
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.restore import restore
from orchctl.snapshots.take import take
from orchctl.upgrade.journal import Entry, Journal
from orchctl.upgrade.mark import Mark, close_mark, find_mark

if TYPE_CHECKING:
    from pathlib import Path

    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.report import Listener


def restored(
    error: BaseException,
    mark: Mark,
    settings: Settings,
    directory: Path,
    version_table: str,
    listener: Listener,
) -> OrchctlError:
    """Put the snapshot of a failed run back; orchctl's lock must be held.

    What is there now is kept as another snapshot first: while a revision ran outside the
    transaction, others could write, and what they wrote must not get lost.

    Args:
        error: What the run failed with.
        mark: The run's mark.
        settings: The run's settings.
        directory: The snapshot directory.
        version_table: Name of Alembic's table.
        listener: Who hears of the progress.

    Returns:
        The error to raise: UpgradeRestored, or RestoreFailed.
    """
    release(error)
    message, hint, details = _told(error)
    try:
        kept = _exchange(mark, settings, directory, version_table, listener)
    except (OrchctlError, OSError, sqlite3.Error, KeyboardInterrupt) as trouble:
        told = trouble.message if isinstance(trouble, OrchctlError) else repr(trouble)
        return RestoreFailed(
            f"{message}; and snapshot {mark.snapshot} could not be put back: {told}",
            state=f"{mark.database} is as revision {mark.revision}, which ran outside the "
            "transaction, left it",
            hint="The next orchctl upgrade puts the snapshot back first; at once: "
            f"orchctl rollback --to {mark.snapshot} --accept-data-loss",
            details=details,
        )
    aside = f"; what was there until then is snapshot {kept.id}" if kept else ""
    return UpgradeRestored(
        message,
        state=f"Snapshot {mark.snapshot} was put back{aside}",
        hint=hint,
        details={**details, "snapshot": mark.snapshot, "kept": kept.id if kept else None},
    )


def put_back_killed(
    settings: Settings, file: Path, directory: Path, version_table: str, listener: Listener
) -> None:
    """Put the snapshot back of a run that was killed while a revision ran outside the transaction.

    Does nothing where there was none, or where that run still goes on.

    Args:
        settings: The run's settings.
        file: The database.
        directory: The snapshot directory.
        version_table: Name of Alembic's table.
        listener: Who hears of the progress.

    Raises:
        LockHeld: Another orchctl, or a writer, kept the database.
        Refused: `unsafe-killed`: that snapshot is no more; says what to type.
        RestoreFailed, OperationFailed: As `restore` says.
    """
    if find_mark(directory, file) is None:
        return
    with lock.hold(
        file,
        timeout=settings.lock_timeout,
        purpose="putting a snapshot back",
        on_wait=lambda holder, waited: listener.running(f"Waiting for {holder} ({waited:.0f}s)"),
    ):
        mark = find_mark(directory, file)
        if mark is None:  # that run went on, and came to its end
            return
        listener.warning(
            f"{mark.told}; its snapshot {mark.snapshot} is put back before anything else"
        )
        kept = _exchange(mark, settings, directory, version_table, listener)
        if kept is not None:
            listener.warning(f"what was there until now is snapshot {kept.id}")


def release(error: BaseException) -> None:
    """Let go of what the frames of an error hold: connections with transactions of their own."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += [one.__cause__, one.__context__]
    gc.collect()


def _exchange(
    mark: Mark, settings: Settings, directory: Path, version_table: str, listener: Listener
) -> Snapshot | None:
    """The marked snapshot for the present, which is kept; the journal told."""
    began = time.monotonic()
    snapshot = _snapshot(mark, directory)
    kept: list[Snapshot] = []

    def keep(present: sqlite3.Connection) -> None:
        with listener.bar("Snapshot of the present") as progress:
            kept.append(
                take(
                    mark.database,
                    directory,
                    reason="pre-rollback",
                    version_table=version_table,
                    progress=progress,
                    source=present,
                )
            )

    restore(snapshot, mark.database, timeout=settings.lock_timeout, guard=keep)
    listener.step(f"Restored {snapshot.id}")
    entry = Entry(
        event="restore",
        database=str(mark.database),
        before=kept[0].heads if kept else (),
        after=snapshot.heads,
        snapshot=kept[0].id if kept else None,
        restored=snapshot.id,
        seconds=round(time.monotonic() - began, 3),
    )
    try:
        close_mark(directory, mark)
        Journal(directory, mark.database).append(entry)
    except OSError as error:
        listener.warning(f"the restore is done, but not in the journal: {error}")
    return kept[0] if kept else None


def _snapshot(mark: Mark, directory: Path) -> Snapshot:
    for one in Catalog(directory, mark.database).list():
        if one.id == mark.snapshot and one.usable:
            return one
    raise Refused(
        f"{mark.told}, and its snapshot {mark.snapshot} can't be put back any more",
        code="unsafe-killed",
        state="Nothing was changed; the database is as the killed run left it",
        hint="orchctl backup list shows the others; orchctl rollback --to ID --accept-data-loss "
        "puts one back",
    )


def _told(error: BaseException) -> tuple[str, str | None, dict[str, Any]]:
    """What a run failed with: message, hint, details with its own code as `cause`."""
    if isinstance(error, OrchctlError):
        return error.message, error.hint, {**error.details, "failure": error.code}
    return "Interrupted", None, {"failure": "interrupted"}
