"""Pages of the request log that match a filter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider, RequestLog
from llm_orchestrator.store.stats import SUCCEEDED


@dataclass(frozen=True)
class LogFilter:
    """What to look for; None is anything.

    Attributes:
        statuses: First and last status, both included.
        failed: Only what did not succeed, requests without a status among them.
        since: The earliest moment, UTC.
        until: The first moment after, UTC.
    """

    provider_id: int | None = None
    model: str | None = None
    statuses: tuple[int, int] | None = None
    failed: bool = False
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True)
class FoundLogs:
    """One page: each request with its provider's name, None where that is deleted."""

    rows: Sequence[tuple[RequestLog, str | None]]
    total: int


async def search_logs(
    session: AsyncSession, wanted: LogFilter, *, page: int, page_size: int
) -> FoundLogs:
    """Return a page of the matching requests, the newest first; the first page is 1."""
    conditions = _conditions(wanted)
    total = await session.scalar(select(func.count()).select_from(RequestLog).where(*conditions))
    rows = await session.execute(
        select(RequestLog, Provider.name)
        .outerjoin(Provider, Provider.id == RequestLog.provider_id)
        .where(*conditions)
        .order_by(RequestLog.id.desc())
        .limit(page_size)
        .offset((page - 1) * page_size)
    )
    return FoundLogs([(log, name) for log, name in rows], total or 0)


def _conditions(wanted: LogFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.provider_id is not None:
        conditions.append(RequestLog.provider_id == wanted.provider_id)
    if wanted.model is not None:
        conditions.append(RequestLog.model == wanted.model)
    if wanted.statuses:
        conditions.append(RequestLog.status_code.between(*wanted.statuses))
    if wanted.failed:
        conditions.append(SUCCEEDED == 0)
    if wanted.since:
        conditions.append(RequestLog.created_at >= wanted.since)
    if wanted.until:
        conditions.append(RequestLog.created_at < wanted.until)
    return conditions
