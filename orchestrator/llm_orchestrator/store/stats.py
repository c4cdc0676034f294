"""What the request logs add up to."""

from __future__ import annotations

import datetime as dt
import math
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
    """Return the totals of the hours before `now`: all, and by provider, the busiest first.

    One statement: between two, requests are logged, and the whole would not be what the parts are.
    """
    query = (
        select(RequestLog.provider_id, Provider.name, *_sums())
        .outerjoin(Provider, Provider.id == RequestLog.provider_id)
        .where(RequestLog.created_at >= _hours_before(now or dt.datetime.now(dt.UTC), hours))
        .group_by(RequestLog.provider_id)
        .order_by(func.count().desc(), RequestLog.provider_id)
    )
    rows = (await session.execute(query)).all()
    return _totals(rows), [
        ProviderTotals(row.provider_id, row.name, _totals([row]))
        for row in rows
        if row.provider_id is not None
    ]


def _sums() -> tuple[ColumnElement[Any], ...]:
    return (
        func.count().label("total"),
        func.coalesce(func.sum(SUCCEEDED), 0).label("good"),
        func.count(RequestLog.latency_ms).label("timed"),
        func.coalesce(func.sum(RequestLog.latency_ms), 0).label("ms"),
        func.coalesce(func.sum(RequestLog.total_tokens), 0).label("tokens"),
        func.coalesce(func.sum(RequestLog.cost), 0.0).label("cost"),
    )


def _totals(rows: Sequence[Row[Any]]) -> Totals:
    timed = sum(row.timed for row in rows)
    return Totals(
        total_requests=sum(row.total for row in rows),
        success_requests=sum(row.good for row in rows),
        avg_response_time_ms=round(sum(row.ms for row in rows) / timed, 2) if timed else 0.0,
        total_tokens=sum(row.tokens for row in rows),
        total_cost=math.fsum(row.cost for row in rows),
    )


def _hours_before(now: dt.datetime, hours: int) -> dt.datetime:
    return now.astimezone(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=hours)
