"""Request logs: reading them page by page, and forgetting the old."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider, RequestLog

# Rows deleted in one transaction: nobody waits long for the write lock.
BATCH = 2_000


@dataclass(frozen=True)
class LogPage:
    """A page of logs, each with the provider's name while there is such a provider."""

    rows: Sequence[tuple[RequestLog, str | None]]
    total: int
    page: int
    page_size: int

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return -(-self.total // self.page_size)


async def list_logs(
    session: AsyncSession,
    *,
    page: int = 1,
    page_size: int = 20,
    provider_id: int | None = None,
    status_code: int | None = None,
) -> LogPage:
    """Return a page of the logs, the newest first; pages count from 1."""
    conditions = []
    if provider_id is not None:
        conditions.append(RequestLog.provider_id == provider_id)
    if status_code is not None:
        conditions.append(RequestLog.status_code == status_code)
    total = await session.scalar(select(func.count()).select_from(RequestLog).where(*conditions))
    query = (
        select(RequestLog, Provider.name)
        .outerjoin(Provider, Provider.id == RequestLog.provider_id)
        .where(*conditions)
        .order_by(RequestLog.id.desc())
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    rows = (await session.execute(query)).tuples().all()
    return LogPage(rows, total or 0, page, page_size)


async def delete_old_logs(session: AsyncSession, retention_days: int) -> int:
    """Delete the logs older than a number of days, some at a time; return how many it were."""
    limit = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(days=retention_days)
    deleted = 0
    while True:
        some = select(RequestLog.id).where(RequestLog.created_at < limit).limit(BATCH)
        result = await session.execute(delete(RequestLog).where(RequestLog.id.in_(some)))
        await session.commit()
        count: int = result.rowcount  # type: ignore[attr-defined]
        deleted += count
        if count < BATCH:
            return deleted
