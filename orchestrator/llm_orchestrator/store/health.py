"""How the providers are, as the last checks found them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider, ProviderHealth

Overall = Literal["healthy", "degraded", "unhealthy"]


async def list_health(
    session: AsyncSession,
) -> Sequence[tuple[Provider, ProviderHealth | None]]:
    """Return the enabled providers, each with its health, None while it was never checked."""
    query = (
        select(Provider, ProviderHealth)
        .outerjoin(ProviderHealth, ProviderHealth.provider_id == Provider.id)
        .where(func.coalesce(Provider.enabled, True))
        .order_by(Provider.priority, Provider.name)
    )
    return [(provider, health) for provider, health in await session.execute(query)]


def judge(outcomes: Sequence[bool | None]) -> Overall:
    """Return how the whole is by what is known of each provider; None is not known yet."""
    if not outcomes or False not in outcomes:
        return "healthy"
    return "unhealthy" if all(outcome is False for outcome in outcomes) else "degraded"
