"""What the request logs add up to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider, RequestLog


@dataclass(frozen=True)
class Totals:
    """Counts of requests; a rate in percent, 0 without requests; an average in milliseconds."""

    total_requests: int
    success_requests: int
    avg_response_time_ms: float
    total_tokens: int
    total_cost: float

    @property
    def failed_requests(self) -> int:
        """Requests that were not answered with success."""
        return self.total_requests - self.success_requests

    @property
    def success_rate(self) -> float:
        """Percent of the requests that were answered with success."""
        if not self.total_requests:
            return 0.0
        return round(100 * self.success_requests / self.total_requests, 2)


@dataclass(frozen=True)
class ProviderTotals:
    """One provider's totals; the name is None once the provider is deleted."""

    provider_id: int
    provider_name: str | None
    totals: Totals


# ELSE 0: without it a row that failed is NULL, and the sum over none but such rows as well.
SUCCEEDED = case((RequestLog.status_code.between(200, 399), 1), else_=0)


async def sum_up(
    session: AsyncSession, hours: int, now: dt.datetime | None = None
) -> tuple[Totals, Sequence[ProviderTotals]]:
    """Return the totals of the hours before `now`: all, and by provider, the busiest first."""
    since = RequestLog.created_at >= _hours_before(now or dt.datetime.now(dt.UTC), hours)
    everything = _totals((await session.execute(select(*_sums()).where(since))).one())
    query = (
        select(RequestLog.provider_id, Provider.name, *_sums())
        .outerjoin(Provider, Provider.id == RequestLog.provider_id)
        .where(since, RequestLog.provider_id.is_not(None))
        .group_by(RequestLog.provider_id)
        .order_by(func.count().desc(), RequestLog.provider_id)
    )
    return everything, [
        ProviderTotals(row[0], row[1], _totals(row)) for row in await session.execute(query)
    ]


def _sums() -> tuple[ColumnElement[Any], ...]:
    return (
        func.count().label("total"),
        func.coalesce(func.sum(SUCCEEDED), 0).label("good"),
        func.coalesce(func.avg(RequestLog.latency_ms), 0.0).label("ms"),
        func.coalesce(func.sum(RequestLog.total_tokens), 0).label("tokens"),
        func.coalesce(func.sum(RequestLog.cost), 0.0).label("cost"),
    )


def _totals(row: Row[Any]) -> Totals:
    return Totals(row.total, row.good, round(row.ms, 2), row.tokens, row.cost)


def _hours_before(now: dt.datetime, hours: int) -> dt.datetime:
    return now.astimezone(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=hours)
