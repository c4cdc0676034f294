"""Routes: health, statistics and logs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.exc import SQLAlchemyError

from llm_orchestrator.admin.reports import (
    Cleaned,
    HealthRefusal,
    HealthReport,
    LogBody,
    LogPageBody,
    ProviderHealthBody,
    ProviderTotalsBody,
    StatsReport,
    TotalsBody,
    Verified,
)
from llm_orchestrator.admin.session import INVALID, CurrentSession
from llm_orchestrator.auth import AdminRoute
from llm_orchestrator.inputs import Id
from llm_orchestrator.revision import DatabaseRefused
from llm_orchestrator.state import CurrentState, State
from llm_orchestrator.store import health, logs, stats

router = APIRouter(route_class=AdminRoute)


@router.get("/verify")
async def verify() -> Verified:
    """Say that the key is right; with another the answer is an error."""
    return Verified()


@router.get(
    "/health",
    responses={
        503: {
            "model": HealthRefusal,
            "description": "Unhealthy, or the admin side is off",
        }
    },
)
async def report_health(state: CurrentState, response: Response) -> HealthReport:
    """Tell how database, cache and providers are.

    Unhealthy without a database, or when every provider failed its last check; degraded when some
    did, or when Redis is wanted and gone.
    """
    database_status, providers = await _look(state)
    cache_status = state.cache.status
    overall = health.judge([each.is_healthy for each in providers])
    if database_status != "ok":
        overall = "unhealthy"
    elif cache_status == "unreachable" and overall == "healthy":
        overall = "degraded"
    if overall == "unhealthy":
        response.status_code = 503
    return HealthReport(
        status=overall,
        timestamp=dt.datetime.now(dt.UTC),
        database_status=database_status,
        cache_status=cache_status,
        providers=list(providers),
    )


async def _look(state: State) -> tuple[str, Sequence[ProviderHealthBody]]:
    try:
        await state.database.require_head(busy_seconds=1)
        async with state.database.session() as session:
            found = await health.list_health(session)
    except DatabaseRefused as refused:
        return refused.code, []
    except SQLAlchemyError:
        return "unusable", []
    return "ok", [ProviderHealthBody.of(provider, row) for provider, row in found]


@router.get("/stats", responses=INVALID)
async def report_stats(
    session: CurrentSession,
    hours: Annotated[int, Query(ge=1, le=168, description="how far back")] = 24,
) -> StatsReport:
    """Sum up the requests of the last hours, all and by provider."""
    everything, providers = await stats.sum_up(session, hours)
    return StatsReport.model_validate(
        {
            **TotalsBody.facts(everything),
            "hours": hours,
            "providers": [ProviderTotalsBody.of(each) for each in providers],
        }
    )


@router.get("/logs", responses=INVALID)
async def list_logs(
    session: CurrentSession,
    page: Annotated[int, Query(ge=1, le=1_000_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    provider_id: Annotated[Id | None, Query(description="only this provider's")] = None,
    status_code: Annotated[
        int | None, Query(ge=100, le=599, description="only those that ended so")
    ] = None,
) -> LogPageBody:
    """Return a page of the request logs, the newest first."""
    found = await logs.list_logs(
        session, page=page, page_size=page_size, provider_id=provider_id, status_code=status_code
    )
    return LogPageBody(
        items=[LogBody.of(row, name) for row, name in found.rows],
        total=found.total,
        page=found.page,
        page_size=found.page_size,
        pages=found.pages,
    )


@router.delete("/logs/cleanup", responses=INVALID)
async def clean_up_logs(
    session: CurrentSession,
    retention_days: Annotated[int, Query(ge=1, le=365, description="days that are kept")],
) -> Cleaned:
    """Delete the request logs that are older than a number of days."""
    deleted = await logs.delete_old_logs(session, retention_days)
    return Cleaned(deleted=deleted, retention_days=retention_days)
