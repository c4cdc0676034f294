"""Providers: upstream services and their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Provider, RequestLog
from llm_orchestrator.store.faults import Duplicate, MaskedKey, Unknown
from llm_orchestrator.store.masks import is_masked, mask_key
from llm_orchestrator.store.writing import begin_writing


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
    await begin_writing(session)
    provider = Provider(id=await next_id(session), **values)
    session.add(provider)
    await _commit(session, provider)
    return provider


async def next_id(session: AsyncSession) -> int:
    """Return a number for a new provider that no provider and no log has.

    SQLite gives the number of a deleted provider to the next one, and logs outlive their provider:
    they would become the new one's.
    """
    highest = (
        await session.scalar(select(func.max(column)))
        for column in (Provider.id, RequestLog.provider_id)
    )
    return max([number or 0 async for number in highest]) + 1


async def change_provider(
    session: AsyncSession, provider_id: int, values: Mapping[str, Any]
) -> Provider:
    """Change the fields given and commit; a key's own mask leaves the key as it is.

    Raises Unknown, Duplicate, and MaskedKey for the mask of another key.
    """
    await begin_writing(session)
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
    await begin_writing(session)
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
