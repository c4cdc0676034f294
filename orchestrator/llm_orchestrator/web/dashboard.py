"""The dashboard: totals, requests over time, and how the providers are."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.overviews import provider_overviews
from llm_orchestrator.store.stats import sum_up
from llm_orchestrator.store.timeline import requests_over_time
from llm_orchestrator.web.chart import COLUMN_SECONDS, Chart, Count, column_chart
from llm_orchestrator.web.pages import BASE, PageRoute, SignedIn, pages_of, render

router = APIRouter(prefix=BASE, route_class=PageRoute)

SPANS = ((1, "1 h"), (6, "6 h"), (24, "24 h"), (168, "7 days"))
DEFAULT_SPAN = 24


@router.get("/dashboard")
async def show_dashboard(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """Show the dashboard of the last hours."""
    asked = request.query_params.get("hours", "")
    span = int(asked) if asked in map(str, COLUMN_SECONDS) else DEFAULT_SPAN
    now = pages_of(request).now()
    async with state.database.session() as session:
        totals, split = await sum_up(session, span, now)
        providers = await provider_overviews(session)
        chart = await _chart(session, span, now)
    return render(
        request,
        "dashboard.html",
        title="Dashboard",
        tab="dashboard",
        spans=SPANS,
        span=span,
        totals=totals,
        split=split,
        providers=providers,
        chart=chart,
    )


async def _chart(session: AsyncSession, hours: int, now: dt.datetime) -> Chart:
    since = now - dt.timedelta(hours=hours)
    stretches = await requests_over_time(session, since, COLUMN_SECONDS[hours])
    counts = {each.index: Count(each.succeeded, each.failed) for each in stretches}
    return column_chart(counts, hours, now)
