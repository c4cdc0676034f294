"""Models: what callers may ask for by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Model
from llm_orchestrator.store.faults import Duplicate, Unknown
from llm_orchestrator.store.writing import begin_writing


async def list_models(session: AsyncSession, *, enabled_only: bool = False) -> Sequence[Model]:
    """Return the models by name."""
    query = select(Model).order_by(Model.name)
    if enabled_only:
        query = query.where(func.coalesce(Model.enabled, True))
    return (await session.scalars(query)).all()


async def find_model(session: AsyncSession, model_id: int) -> Model:
    """Return a model. Raises Unknown."""
    model = await session.get(Model, model_id)
    if model is None:
        raise Unknown(f"There is no model {model_id}.", "model_id")
    return model


async def create_model(session: AsyncSession, values: Mapping[str, Any]) -> Model:
    """Add a model and commit. Raises Duplicate for a name that is taken."""
    model = Model(**values)
    session.add(model)
    await _commit(session, model)
    return model


async def change_model(session: AsyncSession, model_id: int, values: Mapping[str, Any]) -> Model:
    """Change the fields given and commit. Raises Unknown and Duplicate."""
    await begin_writing(session)
    model = await find_model(session, model_id)
    for name, value in values.items():
        setattr(model, name, value)
    model.updated_at = func.current_timestamp()
    await _commit(session, model)
    return model


async def delete_model(session: AsyncSession, model_id: int) -> None:
    """Delete a model with its associations. Raises Unknown."""
    await begin_writing(session)
    await session.delete(await find_model(session, model_id))
    await session.commit()


async def _commit(session: AsyncSession, model: Model) -> None:
    name = model.name
    try:
        await session.commit()
    except IntegrityError:
        await session.rollback()
        raise Duplicate(f"There is a model {name!r} already.", "name") from None
    await session.refresh(model)
