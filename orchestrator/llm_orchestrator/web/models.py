"""Models: the names that callers ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.inputs import ModelChange, NewModel
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.associations import list_associations
from llm_orchestrator.store.models import change_model, create_model, delete_model, find_model
from llm_orchestrator.store.overviews import model_overviews
from llm_orchestrator.web.forms import Field
from llm_orchestrator.web.pages import SignedIn, render
from llm_orchestrator.web.records import Records, record_routes

_FIELDS = (
    Field("name", "Name", hint="What callers ask for.", required=True, wide=True, maxlength=100),
    Field("remark", "Remark", wide=True, maxlength=255),
    Field("max_retry", "Retries", "number", "At each provider.", True, minimum=0, maximum=10),
    Field("timeout", "Timeout", "number", "In seconds.", True, minimum=1, maximum=3600),
    Field("enabled", "Enabled: callers may ask for it", "check", wide=True),
)


class Models(Records):
    """Models and their forms."""

    path = "models"
    noun = "model"
    new_body = NewModel
    change_body = ModelChange

    async def fields(self, session: AsyncSession, *, new: bool) -> Sequence[Field]:
        """Return the fields."""
        return _FIELDS

    async def find(self, session: AsyncSession, id_: int) -> tuple[str, Mapping[str, Any]]:
        """Return a model's name and values."""
        row = await find_model(session, id_)
        values = {name: getattr(row, name) for name in self.new_body.model_fields}
        return row.name, values | {"enabled": row.enabled is not False}

    async def create(self, session: AsyncSession, values: Mapping[str, Any]) -> str:
        """Add a model."""
        return (await create_model(session, values)).name

    async def change(self, session: AsyncSession, id_: int, values: Mapping[str, Any]) -> str:
        """Change a model."""
        return (await change_model(session, id_, values)).name

    async def delete(self, session: AsyncSession, id_: int) -> None:
        """Delete a model."""
        await delete_model(session, id_)

    async def consequence(self, session: AsyncSession, id_: int) -> str:
        """Say how many associations go with it."""
        number = len(await list_associations(session, model_id=id_))
        if not number:
            return "No provider serves it."
        with_it = f"{number} associations" if number > 1 else "one association"
        return f"Callers that ask for it will be refused, and {with_it} will be deleted with it."


router = record_routes(Models())


@router.get("")
async def show_models(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """List the models."""
    async with state.database.session() as session:
        models = await model_overviews(session)
    return render(request, "models.html", title="Models", tab="models", models=models)
