"""Providers: upstream services and their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider
from llm_orchestrator.store.faults import Duplicate, MaskedKey, Unknown
from llm_orchestrator.store.masks import is_masked, mask_key


async def list_providers(
    session: AsyncSession, *, enabled_only: bool = False
) -> Sequence[Provider]:
    """Return the providers in the order in which they are tried."""
    query = select(Provider).order_by(Provider.priority, Provider.name)
    if enabled_only:
        query = query.where(func.coalesce(Provider.enabled, True))
    return (await session.scalars(query)).all()


async def find_provider(session: AsyncSession, provider_id: int) -> Provider:
    """Return a provider. Raises Unknown."""
    provider = await session.get(Provider, provider_id)
    if provider is None:
        raise Unknown(f"There is no provider {provider_id}.", "provider_id")
    return provider


async def create_provider(session: AsyncSession, values: Mapping[str, Any]) -> Provider:
    """Add a provider and commit. Raises Duplicate for a name that is taken, MaskedKey."""
    if is_masked(values["api_key"]):
        raise MaskedKey
    provider = Provider(**values)
    session.add(provider)
    await _commit(session, provider)
    return provider


async def change_provider(
    session: AsyncSession, provider_id: int, values: Mapping[str, Any]
) -> Provider:
    """Change the fields given and commit; a key's own mask leaves the key as it is.

    Raises Unknown, Duplicate, and MaskedKey for the mask of another key.
    """
    provider = await find_provider(session, provider_id)
    changes = dict(values)
    key = changes.get("api_key")
    if key is not None and is_masked(key):
        if key != mask_key(provider.api_key):
            raise MaskedKey
        del changes["api_key"]
    for name, value in changes.items():
        setattr(provider, name, value)
    provider.updated_at = func.current_timestamp()
    await _commit(session, provider)
    return provider


async def delete_provider(session: AsyncSession, provider_id: int) -> None:
    """Delete a provider with its associations, health and totals; its logs stay. Raises Unknown."""
    await session.delete(await find_provider(session, provider_id))
    await session.commit()


async def _commit(session: AsyncSession, provider: Provider) -> None:
    name = provider.name
    try:
        await session.commit()
    except IntegrityError:
        await session.rollback()
        raise Duplicate(f"There is a provider {name!r} already.", "name") from None
    await session.refresh(provider)
