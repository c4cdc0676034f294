"""How the last requests went, of every association at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import RequestLog

# They are looked for among so many of the newest requests: however large the log is, it takes the
# same time.
SEARCHED = 20_000


async def last_outcomes_of_all(
    session: AsyncSession, limit: int
) -> Mapping[tuple[int | None, str | None], Sequence[RequestLog]]:
    """Return the last requests by provider's id and model, the newest first."""
    newest = select(func.max(RequestLog.id)).scalar_subquery()
    place = func.row_number().over(
        partition_by=(RequestLog.provider_id, RequestLog.model), order_by=RequestLog.id.desc()
    )
    placed = (
        select(RequestLog.id, place.label("place"))
        .where(RequestLog.id > newest - SEARCHED)
        .subquery()
    )
    logs = await session.scalars(
        select(RequestLog)
        .join(placed, placed.c.id == RequestLog.id)
        .where(placed.c.place <= limit)
        .order_by(RequestLog.id.desc())
    )
    found: dict[tuple[int | None, str | None], list[RequestLog]] = {}
    for log in logs:
        found.setdefault((log.provider_id, log.model), []).append(log)
    return found
