"""What the admin pages list: providers with their health, models with who serves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Model, ModelProvider, Provider, ProviderHealth


@dataclass(frozen=True)
class ProviderOverview:
    """A provider, and its health where it has been checked."""

    provider: Provider
    health: ProviderHealth | None


@dataclass(frozen=True)
class ModelOverview:
    """A model, and the names of the providers that are associated with it."""

    model: Model
    served_by: Sequence[str]


async def provider_overviews(session: AsyncSession) -> list[ProviderOverview]:
    """Return every provider, in the order in which they are tried."""
    rows = await session.execute(
        select(Provider, ProviderHealth)
        .outerjoin(ProviderHealth, ProviderHealth.provider_id == Provider.id)
        .order_by(Provider.priority, Provider.name)
    )
    return [ProviderOverview(provider, health) for provider, health in rows]


async def model_overviews(session: AsyncSession) -> list[ModelOverview]:
    """Return every model, by name."""
    served: dict[int, list[str]] = {}
    pairs = await session.execute(
        select(ModelProvider.model_id, Provider.name)
        .join(Provider, Provider.id == ModelProvider.provider_id)
        .distinct()
        .order_by(Provider.priority, Provider.name)
    )
    for model_id, name in pairs:
        served.setdefault(model_id, []).append(name)
    models = await session.scalars(select(Model).order_by(Model.name))
    return [ModelOverview(model, served.get(model.id, ())) for model in models]
