"""From finished requests to `request_logs` and `provider_stats`, without making anyone wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_orchestrator.background.log_entry import LogEntry
from llm_orchestrator.background.log_rows import write_entries

_log = structlog.get_logger(__name__)
# First wait between two tries of one batch, doubled each time up to the longest; seconds.
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
# A full or locked database is told of at most so often, in seconds: not a line for each batch.
_COMPLAIN_EVERY = 30.0


def _may_pass(error: OperationalError) -> bool:
    """Whether waiting can help: locked, full, unreadable, but not that a table is missing."""
    return getattr(error.orig, "sqlite_errorname", "") != "SQLITE_ERROR"


@dataclass(frozen=True)
class Bounds:
    """What the writer may use.

    Attributes:
        queued: The most entries that wait; more are dropped and counted.
        batch: The most entries of one transaction.
        gather: Seconds that the first entry of a batch waits for others.
        patience: Seconds for which one batch is tried again while the database is locked or full.
    """

    queued: int = 20_000
    batch: int = 500
    gather: float = 0.1
    patience: float = 20.0


@dataclass
class Tally:
    """What became of the entries.

    Attributes:
        written: Rows in the database.
        dropped_full: Not queued: too many waited already.
        dropped_failed: Given up after the database had not taken them in time.
    """

    written: int = 0
    dropped_full: int = 0
    dropped_failed: int = 0


@dataclass
class LogWriter:
    """A bounded queue, and the one task that empties it into the database.

    Logging is best effort: what the database can't take within the bounds is counted and dropped,
    so that neither requests nor memory depend on it.
    """

    engine: AsyncEngine
    bounds: Bounds = field(default_factory=Bounds)
    tally: Tally = field(default_factory=Tally)
    _queue: deque[LogEntry] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _closed: bool = False
    _complained: float = float("-inf")

    @property
    def waiting(self) -> int:
        """Entries that are queued."""
        return len(self._queue)

    def put(self, entry: LogEntry) -> None:
        """Queue one; never waits, never raises. From the event loop's own thread only."""
        if self._closed:
            self.tally.dropped_failed += 1
            return
        if len(self._queue) >= self.bounds.queued:
            self.tally.dropped_full += 1
            self._complain("request logs dropped: too many wait for the database")
            return
        self._queue.append(entry)
        self._arrived.set()

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="log writer")

    async def close(self, patience: float = 10.0) -> None:
        """Write what waits, then stop; what is not written by then is counted as dropped.

        Args:
            patience: Seconds that this may take.
        """
        if self._task is None:
            return
        self._closing.set()
        self._arrived.set()
        # Cancelled when it is late: a transaction under way is then rolled back.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._task, patience)
        self._task, self._closed = None, True
        self.tally.dropped_failed += len(self._queue)
        self._queue.clear()
        if dropped := self.tally.dropped_failed + self.tally.dropped_full:
            _log.warning("request logs were lost", dropped=dropped, written=self.tally.written)

    async def _run(self) -> None:
        while self._queue or not self._closing.is_set():
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                await self._gather()
                continue
            size = min(len(self._queue), self.bounds.batch)
            batch = [self._queue.popleft() for _ in range(size)]
            try:
                await self._write_in_time(batch)
            except asyncio.CancelledError:
                self.tally.dropped_failed += len(batch)
                raise

    async def _gather(self) -> None:
        """Wait a moment for more entries; not when the service is closing."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self.bounds.gather)

    async def _write_in_time(self, batch: Sequence[LogEntry]) -> None:
        """Write a batch, again while the database is locked or full, until patience ends."""
        give_up = time.monotonic() + self.bounds.patience
        pause = _FIRST_WAIT
        while True:
            try:
                await write_entries(self.engine, batch)
            except OperationalError as error:
                self._complain("the database does not take request logs", reason=str(error.orig))
                if not _may_pass(error) or time.monotonic() + pause > give_up:
                    self.tally.dropped_failed += len(batch)
                    return
            except Exception as error:  # noqa: BLE001 - this task must outlive any driver
                await self._write_halves(batch, error)
                return
            else:
                self.tally.written += len(batch)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT)

    async def _write_halves(self, batch: Sequence[LogEntry], error: Exception) -> None:
        """One entry can't be stored: the others must not be lost with it."""
        if len(batch) == 1:
            self.tally.dropped_failed += 1
            _log.warning("a request log can't be stored", reason=f"{type(error).__name__}: {error}")
            return
        middle = len(batch) // 2
        await self._write_in_time(batch[:middle])
        await self._write_in_time(batch[middle:])

    def _complain(self, event: str, **facts: object) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_EVERY:
            self._complained = now
            _log.warning(event, waiting=len(self._queue), tally=self.tally, **facts)
