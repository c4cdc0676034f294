"""Overwriting a live database with a snapshot, in one transaction of SQLite's own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from orchctl.database.failure import locked, primary_code
from orchctl.database.inspect import pragma
from orchctl.database.open import reading_beside, writing
from orchctl.errors import LockHeld
from orchctl.snapshots.confirm import confirm
from orchctl.snapshots.frozen import frozen
from orchctl.snapshots.manifest import Snapshot
from orchctl.snapshots.seal import Progress

Answer = TypeVar("Answer")

# In rollback mode SQLite's own waiting is the right one: it holds the PENDING lock, which keeps
# new readers out until the last one is gone. In WAL mode it only sleeps, longer and longer, and
# starves beside a busy writer; trying every 2 ms does not.
_WAIT_ROLLBACK_MS = 500
_WAIT_AFTERWARDS = 10.0
_PAUSE = 0.002
_STEP_PAGES = 2048
_DONE = 101  # SQLITE_DONE, which Python's sqlite3 has no name for everywhere
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def overwrite(
    snapshot: Snapshot,
    real: Path,
    *,
    timeout: float,
    progress: Progress | None,
    guard: Callable[[sqlite3.Connection], None] | None,
) -> tuple[bool, str]:
    """Write a snapshot over a live database; a failure or a kill leaves the old content.

    Args:
        snapshot: Verified.
        real: The live file, readable as a database.
        timeout: Seconds to wait for other processes.
        progress: Called with (bytes done, bytes in all).
        guard: See `restore`.

    Returns:
        What `confirm` says, and the journal mode now.

    Raises:
        LockHeld: `database-locked`.
        RestoreFailed: From `confirm`.
        sqlite3.Error: Anything else; SQLite has rolled back.
    """
    job = _Job(snapshot, real, time.monotonic() + timeout, progress, guard)
    with frozen(snapshot.path) as source, closing(writing(real, timeout=0)) as live:
        job.patiently(lambda: live.execute("PRAGMA synchronous=FULL"))
        wal = job.patiently(lambda: pragma(live, "journal_mode")) == "wal"
        page_size = job.patiently(lambda: pragma(live, "page_size"))
        stays = wal and page_size == snapshot.page_size
        try:
            if stays:
                _copy(job, source, live, guard=job.guard)
            elif wal:
                _change_page_size(job, source, live)
            else:
                _copy_exclusively(job, source, live)
        except KeyboardInterrupt:
            if not job.committed:
                raise
        # From here on Ctrl-C comes too late: the snapshot is back, and that is to be told.
        try:
            return _settled(job, live, "wal" if stays else "delete")
        except KeyboardInterrupt:
            return _settled(job, live, "wal" if stays else "delete")


@dataclass(frozen=True)
class _Job:
    """What one restore carries along."""

    snapshot: Snapshot
    real: Path
    deadline: float
    progress: Progress | None
    guard: Callable[[sqlite3.Connection], None] | None
    steps: list[int] = field(default_factory=list)

    @property
    def committed(self) -> bool:
        """Whether the backup API has done its last step, which commits."""
        return self.steps[-1:] == [_DONE]

    def patiently(self, question: Callable[[], Answer]) -> Answer:
        """Ask SQLite again while the database is locked, until the deadline."""
        while True:
            try:
                return question()
            except sqlite3.OperationalError as error:
                if primary_code(error) not in _BUSY:
                    raise
                self.check_deadline()
                time.sleep(_PAUSE)

    def check_deadline(self) -> None:
        if time.monotonic() >= self.deadline:
            raise locked(self.real)


def _copy(
    job: _Job,
    source: sqlite3.Connection,
    live: sqlite3.Connection,
    *,
    guard: Callable[[sqlite3.Connection], None] | None,
) -> None:
    """Copy through the backup API, which commits once, with its last step.

    In WAL mode the first step takes the write lock; readers see the old state until the commit.
    So between the first step and the second is when nobody else can write and all can be read.
    """
    pages = job.snapshot.page_count
    waiting = guard
    if pages < 2 and waiting:  # an empty database: the first step is the last
        waiting = None
        with reading_beside(job.real) as present:
            guard(present)  # type: ignore[misc]

    def told(status: int, remaining: int, total: int) -> None:
        nonlocal waiting
        job.steps[:] = [status]
        if status in _BUSY:
            job.check_deadline()
            return
        if waiting:
            look, waiting = waiting, None
            with reading_beside(job.real) as present:
                look(present)
        if job.progress:
            size = job.snapshot.page_size
            job.progress((total - remaining) * size, total * size)

    step = max(1, min(_STEP_PAGES, pages - 1))
    source.backup(live, pages=step, progress=told, sleep=_PAUSE)


def _copy_exclusively(job: _Job, source: sqlite3.Connection, live: sqlite3.Connection) -> None:
    """Copy in rollback mode, where nobody can read beside a writer.

    The backup API wants a target without a transaction. With locking_mode=EXCLUSIVE the lock
    outlives the transaction that took it, so nobody writes between the guard and the copy. It is
    set inside that transaction: a connection in that mode keeps the read lock of an attempt that
    failed, and the writer it waits for would wait for it in turn.
    """
    live.execute(f"PRAGMA busy_timeout={_WAIT_ROLLBACK_MS}")
    job.patiently(lambda: live.execute("BEGIN EXCLUSIVE"))
    try:
        live.execute("PRAGMA locking_mode=EXCLUSIVE")
        live.execute("ROLLBACK")
        if job.guard:
            _look(live, job.guard)
        _copy(job, source, live, guard=None)
    finally:
        _leave_exclusive_mode(live)


def _look(live: sqlite3.Connection, guard: Callable[[sqlite3.Connection], None]) -> None:
    # A read transaction: out of a writing one SQLite's backup copies nothing.
    live.execute("PRAGMA query_only=ON")
    live.execute("BEGIN")
    try:
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        guard(live)
    finally:
        live.execute("ROLLBACK")
        live.execute("PRAGMA query_only=OFF")


def _leave_exclusive_mode(live: sqlite3.Connection) -> None:
    live.execute("PRAGMA locking_mode=NORMAL")
    # The lock goes with the next read. In exclusive mode the journal was only blanked: changing
    # from TRUNCATE to DELETE is what removes the file.
    with suppress(sqlite3.Error):
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        live.execute("PRAGMA journal_mode=TRUNCATE")
        live.execute("PRAGMA journal_mode=DELETE")


def _change_page_size(job: _Job, source: sqlite3.Connection, live: sqlite3.Connection) -> None:
    """SQLite can't change the page size in WAL mode, so leave it for the while."""
    live.execute(f"PRAGMA busy_timeout={_WAIT_ROLLBACK_MS}")
    job.patiently(lambda: live.execute("PRAGMA journal_mode=DELETE").fetchone())
    try:
        _copy_exclusively(job, source, live)
    except BaseException:
        with suppress(sqlite3.Error):
            live.execute("PRAGMA journal_mode=WAL")
        raise


def _settled(job: _Job, live: sqlite3.Connection, mode: str) -> tuple[bool, str]:
    """Into the snapshot's journal mode, the WAL written back, and a fresh look at the result.

    The content is in place: from here on others who use the database are no reason to fail.
    """
    wanted = job.snapshot.journal_mode
    live.execute(f"PRAGMA busy_timeout={_WAIT_ROLLBACK_MS}")
    with suppress(sqlite3.OperationalError):
        if mode != wanted:
            mode = str(live.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0])
        if mode == "wal":
            live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    try:
        with reading_beside(job.real, timeout=_WAIT_AFTERWARDS) as fresh:
            return confirm(job.snapshot, job.real, fresh), mode
    except LockHeld:
        return False, mode
