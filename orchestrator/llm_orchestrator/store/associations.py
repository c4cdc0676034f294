"""Associations: which provider serves which model, and how that went lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_orchestrator.schema import Model, ModelProvider, Provider, RequestLog
from llm_orchestrator.store.faults import Duplicate, Unknown
from llm_orchestrator.store.models import find_model
from llm_orchestrator.store.providers import find_provider
from llm_orchestrator.store.writing import begin_writing


@dataclass(frozen=True)
class Association:
    """An association with the names of what it joins."""

    row: ModelProvider
    model_name: str
    provider_name: str
    provider_type: str


@dataclass(frozen=True)
class Added:
    """What adding a provider's models came to."""

    created_models: int
    created_associations: int
    skipped: int


async def list_associations(
    session: AsyncSession, *, model_id: int | None = None, provider_id: int | None = None
) -> Sequence[Association]:
    """Return the associations, of one model or provider if asked for, by names."""
    query = _with_names().order_by(Model.name, Provider.priority, Provider.name, ModelProvider.id)
    if model_id is not None:
        query = query.where(ModelProvider.model_id == model_id)
    if provider_id is not None:
        query = query.where(ModelProvider.provider_id == provider_id)
    return [
        Association(row, model, provider, kind)
        for row, model, provider, kind in await session.execute(query)
    ]


async def find_association(session: AsyncSession, association_id: int) -> Association:
    """Return an association. Raises Unknown."""
    query = _with_names().where(ModelProvider.id == association_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise Unknown(f"There is no association {association_id}.", "model_provider_id")
    row, model, provider, kind = found
    return Association(row, model, provider, kind)


async def create_association(session: AsyncSession, values: Mapping[str, Any]) -> Association:
    """Add an association and commit.

    Raises Unknown for a model or provider that isn't there, Duplicate where the provider serves
    the model under that name already.
    """
    await begin_writing(session)
    await find_model(session, values["model_id"])
    await find_provider(session, values["provider_id"])
    await _require_new(session, values)
    row = ModelProvider(**values)
    session.add(row)
    await session.commit()
    return await find_association(session, row.id)


async def change_association(
    session: AsyncSession, association_id: int, values: Mapping[str, Any]
) -> Association:
    """Change the fields given and commit. Raises Unknown and Duplicate."""
    await begin_writing(session)
    row = (await find_association(session, association_id)).row
    if values.get("provider_model", row.provider_model) != row.provider_model:
        found = {"model_id": row.model_id, "provider_id": row.provider_id, **values}
        await _require_new(session, found)
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = func.current_timestamp()
    await session.commit()
    await session.refresh(row)
    return await find_association(session, association_id)


async def delete_association(session: AsyncSession, association_id: int) -> None:
    """Delete an association. Raises Unknown."""
    await begin_writing(session)
    await session.delete((await find_association(session, association_id)).row)
    await session.commit()


async def last_outcomes(
    session: AsyncSession, association: Association, limit: int
) -> Sequence[RequestLog]:
    """Return the last requests for the model that the provider answered, the newest first."""
    query = (
        select(RequestLog)
        .where(
            RequestLog.provider_id == association.row.provider_id,
            RequestLog.model == association.model_name,
        )
        .order_by(RequestLog.id.desc())
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def add_models(session: AsyncSession, provider: Provider, names: Iterable[str]) -> Added:
    """Have a provider serve models under their own names and commit; missing models are made."""
    await begin_writing(session)
    models = {model.name: model for model in await session.scalars(select(Model))}
    query = select(ModelProvider.model_id, ModelProvider.provider_model).where(
        ModelProvider.provider_id == provider.id
    )
    served = set((await session.execute(query)).tuples())
    created = associated = skipped = 0
    for name in dict.fromkeys(names):
        model = models.get(name)
        if model is None:
            model = models[name] = Model(name=name)
            session.add(model)
            await session.flush()
            created += 1
        if (model.id, name) in served:
            skipped += 1
        else:
            session.add(
                ModelProvider(model_id=model.id, provider_id=provider.id, provider_model=name)
            )
            associated += 1
    await session.commit()
    return Added(created, associated, skipped)


def _with_names() -> Select[ModelProvider, str, str, str]:
    return (
        select(ModelProvider, Model.name, Provider.name, Provider.type)
        .join(Model, Model.id == ModelProvider.model_id)
        .join(Provider, Provider.id == ModelProvider.provider_id)
    )


async def _require_new(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """The table has no constraint for it: two of the same would only be tried twice."""
    query = select(ModelProvider.id).where(
        ModelProvider.model_id == values["model_id"],
        ModelProvider.provider_id == values["provider_id"],
        ModelProvider.provider_model == values["provider_model"],
    )
    if (await session.execute(query.limit(1))).first() is not None:
        raise Duplicate("This provider serves the model under that name already.", "provider_model")
