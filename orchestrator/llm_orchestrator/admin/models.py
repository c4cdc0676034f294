"""Routes: models."""

from __future__ import annotations

from fastapi import APIRouter

from llm_orchestrator.admin.bodies import ModelBody
from llm_orchestrator.admin.session import (
    INVALID,
    NOT_FOUND,
    TAKEN,
    TOO_LARGE,
    CurrentSession,
    RowId,
)
from llm_orchestrator.auth import AdminRoute
from llm_orchestrator.inputs import ModelChange, NewModel
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store import models

router = APIRouter(prefix="/models", route_class=AdminRoute, responses=INVALID)


@router.get("")
async def list_models(session: CurrentSession) -> list[ModelBody]:
    """List the models by name."""
    return [ModelBody.of(row) for row in await models.list_models(session)]


@router.post("", status_code=201, responses={**TAKEN, **TOO_LARGE})
async def create_model(body: NewModel, session: CurrentSession, state: CurrentState) -> ModelBody:
    """Add a model."""
    row = await models.create_model(session, body.model_dump())
    state.note_change()
    return ModelBody.of(row)


@router.get("/{model_id}", responses=NOT_FOUND)
async def get_model(model_id: RowId, session: CurrentSession) -> ModelBody:
    """Return a model."""
    return ModelBody.of(await models.find_model(session, model_id))


@router.patch("/{model_id}", responses={**NOT_FOUND, **TAKEN, **TOO_LARGE})
async def change_model(
    model_id: RowId, body: ModelChange, session: CurrentSession, state: CurrentState
) -> ModelBody:
    """Change the fields that are given."""
    row = await models.change_model(session, model_id, body.given())
    state.note_change()
    return ModelBody.of(row)


@router.delete("/{model_id}", status_code=204, responses=NOT_FOUND)
async def delete_model(model_id: RowId, session: CurrentSession, state: CurrentState) -> None:
    """Delete a model with its associations."""
    await models.delete_model(session, model_id)
    state.note_change()
