"""Routes: providers, and the models that they offer."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from llm_orchestrator.admin.bodies import ProviderBody
from llm_orchestrator.admin.reports import ModelNames, ModelsAdded, Offer, OfferedModel
from llm_orchestrator.admin.session import (
    INVALID,
    NOT_FOUND,
    TAKEN,
    TOO_LARGE,
    CurrentSession,
    RowId,
)
from llm_orchestrator.auth import AdminRoute
from llm_orchestrator.errors import ApiError, ErrorBody
from llm_orchestrator.inputs import NewProvider, ProviderChange
from llm_orchestrator.schema import Provider
from llm_orchestrator.state import CurrentState, State
from llm_orchestrator.store import associations, providers
from llm_orchestrator.upstream.protocol import Target, UpstreamError

router = APIRouter(prefix="/providers", route_class=AdminRoute, responses=INVALID)

# Seconds for a list of models; a person waits for it.
LIST_SECONDS = 15.0


@router.get("")
async def list_providers(
    session: CurrentSession,
    enabled_only: Annotated[bool, Query(description="leave out those that are off")] = False,
) -> list[ProviderBody]:
    """List the providers in the order in which they are tried."""
    found = await providers.list_providers(session, enabled_only=enabled_only)
    return [ProviderBody.of(row) for row in found]


@router.post("", status_code=201, responses={**TAKEN, **TOO_LARGE})
async def create_provider(
    body: NewProvider, session: CurrentSession, state: CurrentState
) -> ProviderBody:
    """Add a provider."""
    row = await providers.create_provider(session, body.model_dump())
    state.note_change()
    return ProviderBody.of(row)


@router.get("/{provider_id}", responses=NOT_FOUND)
async def get_provider(provider_id: RowId, session: CurrentSession) -> ProviderBody:
    """Return a provider."""
    return ProviderBody.of(await providers.find_provider(session, provider_id))


@router.patch("/{provider_id}", responses={**NOT_FOUND, **TAKEN, **TOO_LARGE})
async def change_provider(
    provider_id: RowId, body: ProviderChange, session: CurrentSession, state: CurrentState
) -> ProviderBody:
    """Change the fields that are given."""
    row = await providers.change_provider(session, provider_id, body.given())
    state.note_change()
    return ProviderBody.of(row)


@router.delete("/{provider_id}", status_code=204, responses=NOT_FOUND)
async def delete_provider(provider_id: RowId, session: CurrentSession, state: CurrentState) -> None:
    """Delete a provider with its associations, health and daily totals; its logs stay."""
    await providers.delete_provider(session, provider_id)
    state.note_change()


@router.get(
    "/{provider_id}/models",
    responses={
        **NOT_FOUND,
        502: {"model": ErrorBody, "description": "The provider did not say"},
    },
)
async def list_offered_models(
    provider_id: RowId, session: CurrentSession, state: CurrentState
) -> Offer:
    """Ask the provider which models it has."""
    provider = await providers.find_provider(session, provider_id)
    served = {
        found.row.provider_model
        for found in await associations.list_associations(session, provider_id=provider_id)
    }
    # Nobody else should wait for a connection while the provider thinks.
    await session.close()
    names = await _ask(state, provider)
    return Offer(
        provider_id=provider_id,
        models=[OfferedModel(name=name, imported=name in served) for name in sorted(set(names))],
    )


@router.post("/{provider_id}/models/import", responses={**NOT_FOUND, **TOO_LARGE})
async def import_models(
    provider_id: RowId, body: ModelNames, session: CurrentSession, state: CurrentState
) -> ModelsAdded:
    """Have the provider serve models under their own names; those that are missing are added."""
    provider = await providers.find_provider(session, provider_id)
    added = await associations.add_models(session, provider, body.models)
    state.note_change()
    return ModelsAdded(
        created_models=added.created_models,
        created_associations=added.created_associations,
        skipped=added.skipped,
    )


async def _ask(state: State, provider: Provider) -> list[str]:
    upstream = state.upstreams.get(provider.type)
    if upstream is None:
        raise ApiError(
            502, f"The service does not speak {provider.type!r}.", code="unknown_provider_type"
        )
    target = Target(provider.base_url, provider.api_key)
    try:
        async with asyncio.timeout(LIST_SECONDS):
            return await upstream.list_models(target, LIST_SECONDS)
    except TimeoutError as late:
        message = f"{provider.name}: the list was not here within {LIST_SECONDS:.0f} s"
        raise ApiError(502, message, code="upstream_timeout") from late
    except UpstreamError as error:
        raise ApiError(
            502, f"{provider.name}: {error.message}", type=error.type, code=error.code
        ) from error
