"""Associations: which provider serves which model, and how that went lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.inputs import AssociationChange, NewAssociation
from llm_orchestrator.schema import ModelProvider, RequestLog
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.associations import (
    Association,
    change_association,
    create_association,
    delete_association,
    find_association,
    list_associations,
)
from llm_orchestrator.store.models import list_models
from llm_orchestrator.store.outcomes import last_outcomes_of_all
from llm_orchestrator.store.providers import list_providers
from llm_orchestrator.web.chart import SLOTS, Outcome, outcome_bars, outcomes_summary
from llm_orchestrator.web.forms import Field
from llm_orchestrator.web.pages import SignedIn, render
from llm_orchestrator.web.records import Records, record_routes
from llm_orchestrator.web.wording import duration, moment

_FIELDS = (
    Field(
        "provider_model",
        "Name at the provider",
        hint="What is sent as the model's name.",
        required=True,
        wide=True,
        maxlength=100,
    ),
    Field("weight", "Weight", "number", "Its share within one priority.", True, minimum=0),
    Field("tool_call", "It can call tools", "check", wide=True),
    Field("structured_output", "It can answer in a given JSON format", "check", wide=True),
    Field("image", "It can see images", "check", wide=True),
    Field("enabled", "Enabled: requests are sent this way", "check", wide=True),
)


class Associations(Records):
    """Associations and their forms."""

    path = "associations"
    noun = "association"
    new_body = NewAssociation
    change_body = AssociationChange

    async def fields(self, session: AsyncSession, *, new: bool) -> Sequence[Field]:
        """Return the fields; what an association joins stays as it is."""
        if not new:
            return _FIELDS
        models = [(str(row.id), row.name) for row in await list_models(session)]
        providers = [(str(row.id), row.name) for row in await list_providers(session)]
        return (
            Field("model_id", "Model", "select", required=True, options=models, numbered=True),
            Field(
                "provider_id", "Provider", "select", required=True, options=providers, numbered=True
            ),
            *_FIELDS,
        )

    async def find(self, session: AsyncSession, id_: int) -> tuple[str, Mapping[str, Any]]:
        """Return what an association is called, and its values."""
        found = await find_association(session, id_)
        return _name(found.model_name, found.provider_name), _values(found.row)

    async def create(self, session: AsyncSession, values: Mapping[str, Any]) -> str:
        """Add an association."""
        found = await create_association(session, values)
        return _name(found.model_name, found.provider_name)

    async def change(self, session: AsyncSession, id_: int, values: Mapping[str, Any]) -> str:
        """Change an association."""
        found = await change_association(session, id_, values)
        return _name(found.model_name, found.provider_name)

    async def delete(self, session: AsyncSession, id_: int) -> None:
        """Delete an association."""
        await delete_association(session, id_)

    async def consequence(self, session: AsyncSession, id_: int) -> str:
        """Say who is left to serve the model."""
        found = await find_association(session, id_)
        rest = await list_associations(session, model_id=found.row.model_id)
        others = sorted({each.provider_name for each in rest if each.row.id != id_})
        if others:
            return f"{found.model_name} is still served by {', '.join(others)}."
        return f"No provider will serve {found.model_name} any more."


router = record_routes(Associations())


@router.get("")
async def show_associations(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """List the associations with their last outcomes."""
    async with state.database.session() as session:
        associations = await list_associations(session)
        last = await last_outcomes_of_all(session, SLOTS)
        has_models = bool(await list_models(session))
        has_providers = bool(await list_providers(session))
    return render(
        request,
        "associations.html",
        title="Associations",
        tab="associations",
        associations=[
            _shown(each, last.get((each.row.provider_id, each.model_name), ()))
            for each in associations
        ],
        outcomes_shown=SLOTS,
        has_models=has_models,
        has_providers=has_providers,
        can_add=has_models and has_providers,
    )


def _values(row: ModelProvider) -> dict[str, Any]:
    """Return what a form shows; what a row of old left open is the default."""
    return {
        "provider_model": row.provider_model,
        "weight": 1 if row.weight is None else row.weight,
        "tool_call": row.tool_call is not False,
        "structured_output": row.structured_output is not False,
        "image": row.image is True,
        "enabled": row.enabled is not False,
    }


def _shown(found: Association, logs: Sequence[RequestLog]) -> SimpleNamespace:
    outcomes = [_outcome(log) for log in logs]
    return SimpleNamespace(
        **_values(found.row),
        id=found.row.id,
        model_name=found.model_name,
        provider_name=found.provider_name,
        can_do=_abilities(found.row),
        bars=outcome_bars(outcomes) if outcomes else [],
        bars_summary=outcomes_summary(outcomes),
    )


def _abilities(row: ModelProvider) -> str:
    """Say what a model can do there, beside text."""
    values = _values(row)
    known = (("tool_call", "tools"), ("structured_output", "JSON"), ("image", "images"))
    return ", ".join(text for name, text in known if values[name]) or "text only"


def _outcome(log: RequestLog) -> Outcome:
    succeeded = log.status_code is not None and 200 <= log.status_code < 400
    parts = [str(log.status_code or "no status"), moment(log.created_at) + " UTC"]
    if log.latency_ms is not None:
        parts.insert(1, duration(log.latency_ms))
    return Outcome(succeeded, " · ".join(parts))


def _name(model: str, provider: str) -> str:
    return f"{model} at {provider}"
