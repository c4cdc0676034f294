"""Forgets old request logs, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_orchestrator.background.unbroken import to_its_end
from llm_orchestrator.schema import RequestLog

_log = structlog.get_logger(__name__)
_DAY = 24 * 3600.0
# Rows of one transaction, and the seconds left to other writers after each.
_BATCH = 500
_PAUSE = 0.02
# Seconds until the next try when the database did not let us.
_RETRY = 600.0


async def delete_logs_before(engine: AsyncEngine, moment: dt.datetime) -> int:
    """Delete the request logs that are older, in short transactions; how many they were.

    The rows are looked for outside of the deleting transactions: no index helps there, and nobody
    shall wait for a lock while a table is read. Rows are made in order of time, but for a second
    or two, so looking goes on where it ended.

    Args:
        engine: Where they are.
        moment: With a time zone.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: The database did not allow it; what was deleted till then
            is deleted.
    """
    table = RequestLog.__table__
    before = moment.astimezone(dt.UTC).replace(tzinfo=None)
    deleted, after = 0, 0
    while True:
        old = select(table.c.id).where(table.c.created_at < before, table.c.id > after)
        async with engine.connect() as connection:
            found = (await connection.scalars(old.order_by(table.c.id).limit(_BATCH))).all()
        if not found:
            return deleted
        await to_its_end(_delete(engine, found))
        deleted, after = deleted + len(found), found[-1]
        await asyncio.sleep(_PAUSE)


async def _delete(engine: AsyncEngine, ids: Sequence[int]) -> None:
    async with engine.begin() as connection:
        await connection.execute(delete(RequestLog).where(RequestLog.id.in_(ids)))


class Retention:
    """Deletes what is older than so many days: at the start, then daily."""

    def __init__(self, engine: AsyncEngine, days: int) -> None:
        self._engine = engine
        self._days = days
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def close(self) -> None:
        """End, between two transactions."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=self._days)
            try:
                deleted = await delete_logs_before(self._engine, moment)
            except SQLAlchemyError as error:
                _log.warning("old request logs can't be deleted now", reason=str(error))
                await asyncio.sleep(_RETRY)
                continue
            if deleted:
                _log.info("old request logs deleted", rows=deleted, days=self._days)
            await asyncio.sleep(_DAY)
