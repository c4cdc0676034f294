"""The request log, page by page, with filters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.schema import Model, Provider, RequestLog
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.log_search import FoundLogs, LogFilter, search_logs
from llm_orchestrator.web.pages import BASE, PageRoute, SignedIn, render
from llm_orchestrator.web.wording import NONE

router = APIRouter(prefix=BASE, route_class=PageRoute)

PAGE_SIZE = 50
STATUSES = (
    ("", "All"),
    ("ok", "Succeeded"),
    ("failed", "Failed"),
    ("4xx", "4xx, refused"),
    ("5xx", "5xx, broken"),
    ("400", "400 Bad request"),
    ("401", "401 Unauthorized"),
    ("404", "404 Not found"),
    ("429", "429 Too many"),
    ("499", "499 Caller left"),
    ("500", "500 Internal"),
    ("502", "502 Bad gateway"),
    ("503", "503 Unavailable"),
    ("504", "504 Timed out"),
)
_RANGES = {"ok": (200, 399), "4xx": (400, 499), "5xx": (500, 599)}


@dataclass(frozen=True)
class Asked:
    """The filter as the page's address has it."""

    provider_id: int | None
    model: str
    status: str
    since: str
    until: str
    page: int

    def query(self, page: int) -> str:
        """Return the address of another page of the same filter."""
        facts = {
            "provider_id": self.provider_id,
            "model": self.model,
            "status": self.status,
            "since": self.since,
            "until": self.until,
            "page": page if page > 1 else "",
        }
        return f"{BASE}/logs?" + urlencode({k: v for k, v in facts.items() if v})


@router.get("/logs")
async def show_logs(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """Show a page of the log."""
    asked = _asked(request.query_params)
    found, problem = FoundLogs((), 0), ""
    async with state.database.session() as session:
        try:
            wanted = _wanted(asked)
        except ValueError as error:
            problem = str(error)
        else:
            found = await search_logs(session, wanted, page=asked.page, page_size=PAGE_SIZE)
        options = await _options(session, asked)
    return render(
        request,
        "logs.html",
        title="Logs",
        tab="logs",
        filter=asked,
        filtered=asked.query(asked.page) != f"{BASE}/logs?",
        problem=problem,
        logs=[_shown(log, name) for log, name in found.rows],
        retention_days=state.settings.log_retention_days,
        status_options=_with(STATUSES, asked.status),
        **_place(asked, found),
        **options,
    )


def _place(asked: Asked, found: FoundLogs) -> dict[str, Any]:
    """Return where in the log the page is, and the pages beside it."""
    before = (asked.page - 1) * PAGE_SIZE
    last = before + len(found.rows)
    return {
        "total": found.total,
        "first": before + 1,
        "last": last,
        "newer": asked.query(asked.page - 1) if asked.page > 1 else "",
        "older": asked.query(asked.page + 1) if last < found.total else "",
    }


def _asked(query: Mapping[str, str]) -> Asked:
    """Read the address; what is no number counts as not given."""
    return Asked(
        provider_id=_number(query.get("provider_id", "")),
        model=query.get("model", ""),
        status=query.get("status", ""),
        since=query.get("since", ""),
        until=query.get("until", ""),
        page=max(1, _number(query.get("page", "")) or 1),
    )


def _number(text: str) -> int | None:
    """Return a number that SQLite can hold, also when it is multiplied by the page size."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None


def _wanted(asked: Asked) -> LogFilter:
    """Return what to look for. Raises ValueError for a status or a time that is none."""
    statuses = _RANGES.get(asked.status)
    if asked.status not in ("", "failed") and statuses is None:
        code = _number(asked.status)
        if code is None:
            raise ValueError("This status is not known.")
        statuses = (code, code)
    return LogFilter(
        provider_id=asked.provider_id,
        model=asked.model or None,
        statuses=statuses,
        failed=asked.status == "failed",
        since=_moment(asked.since),
        until=_moment(asked.until),
    )


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("A time is written like 2030-01-31T14:05.") from None


async def _options(session: AsyncSession, asked: Asked) -> dict[str, Any]:
    """Return what can be chosen: what is configured now, and what is chosen already."""
    providers = await session.execute(select(Provider.id, Provider.name).order_by(Provider.name))
    models = await session.scalars(select(Model.name).order_by(Model.name))
    provider_options = [(id_, name) for id_, name in providers]
    if asked.provider_id is not None and asked.provider_id not in dict(provider_options):
        provider_options.append((asked.provider_id, _deleted(asked.provider_id)))
    names = list(models)
    if asked.model and asked.model not in names:
        names.append(asked.model)
    return {"provider_options": provider_options, "model_options": names}


def _with(options: tuple[tuple[str, str], ...], chosen: str) -> list[tuple[str, str]]:
    known = chosen in dict(options)
    return [*options] if known else [*options, (chosen, chosen[:20])]


def _deleted(provider_id: int) -> str:
    return f"Deleted provider {provider_id}"


def _shown(log: RequestLog, provider_name: str | None) -> SimpleNamespace:
    name = provider_name or (_deleted(log.provider_id) if log.provider_id else NONE)
    columns = {column.key: getattr(log, column.key) for column in RequestLog.__table__.columns}
    succeeded = log.status_code is not None and 200 <= log.status_code < 400
    return SimpleNamespace(**columns, provider_name=name, succeeded=succeeded)
