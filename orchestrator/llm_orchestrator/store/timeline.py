"""Requests over time, for the dashboard's chart."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import RequestLog
from llm_orchestrator.store.stats import SUCCEEDED


@dataclass(frozen=True)
class Stretch:
    """Requests of one stretch of time; `index` counts such stretches since 1970."""

    index: int
    succeeded: int
    failed: int


async def requests_over_time(
    session: AsyncSession, since: dt.datetime, seconds: int
) -> list[Stretch]:
    """Return the stretches of a number of seconds in which there were requests."""
    index = cast(func.strftime("%s", RequestLog.created_at), Integer) // seconds
    good = func.sum(SUCCEEDED)
    rows = await session.execute(
        select(index, good, func.count() - good)
        .where(RequestLog.created_at >= since.astimezone(dt.UTC).replace(tzinfo=None))
        .group_by(index)
        .order_by(index)
    )
    return [Stretch(*row) for row in rows]
