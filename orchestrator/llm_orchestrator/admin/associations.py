"""Routes: which provider serves which model."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from llm_orchestrator.admin.bodies import AssociationBody
from llm_orchestrator.admin.reports import AssociationStatus, Outcome
from llm_orchestrator.admin.session import (
    INVALID,
    NOT_FOUND,
    TAKEN,
    TOO_LARGE,
    CurrentSession,
    RowId,
)
from llm_orchestrator.auth import AdminRoute
from llm_orchestrator.inputs import AssociationChange, Id, NewAssociation
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store import associations

router = APIRouter(prefix="/model-providers", route_class=AdminRoute, responses=INVALID)


@router.get("")
async def list_associations(
    session: CurrentSession,
    model_id: Annotated[Id | None, Query(description="only this model's")] = None,
    provider_id: Annotated[Id | None, Query(description="only this provider's")] = None,
) -> list[AssociationBody]:
    """List the associations by the names of what they join."""
    found = await associations.list_associations(
        session, model_id=model_id, provider_id=provider_id
    )
    return [AssociationBody.of(each) for each in found]


@router.post("", status_code=201, responses={**NOT_FOUND, **TAKEN, **TOO_LARGE})
async def create_association(
    body: NewAssociation, session: CurrentSession, state: CurrentState
) -> AssociationBody:
    """Have a provider serve a model."""
    created = await associations.create_association(session, body.model_dump())
    state.note_change()
    return AssociationBody.of(created)


@router.patch("/{association_id}", responses={**NOT_FOUND, **TAKEN, **TOO_LARGE})
async def change_association(
    association_id: RowId,
    body: AssociationChange,
    session: CurrentSession,
    state: CurrentState,
) -> AssociationBody:
    """Change the fields that are given."""
    changed = await associations.change_association(session, association_id, body.given())
    state.note_change()
    return AssociationBody.of(changed)


@router.delete("/{association_id}", status_code=204, responses=NOT_FOUND)
async def delete_association(
    association_id: RowId, session: CurrentSession, state: CurrentState
) -> None:
    """Have a provider no longer serve a model."""
    await associations.delete_association(session, association_id)
    state.note_change()


@router.get("/{association_id}/status", responses=NOT_FOUND)
async def last_outcomes(
    association_id: RowId,
    session: CurrentSession,
    limit: Annotated[int, Query(ge=1, le=50, description="how many")] = 10,
) -> AssociationStatus:
    """Return how the last requests ended, the newest first."""
    found = await associations.find_association(session, association_id)
    rows = await associations.last_outcomes(session, found, limit)
    return AssociationStatus(
        model_provider_id=association_id, outcomes=[Outcome.of(row) for row in rows]
    )
