"""Providers: the services that requests are sent on to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from llm_orchestrator.inputs import NewProvider, ProviderChange
from llm_orchestrator.state import CurrentState
from llm_orchestrator.store.associations import list_associations
from llm_orchestrator.store.overviews import provider_overviews
from llm_orchestrator.store.providers import (
    change_provider,
    create_provider,
    delete_provider,
    find_provider,
)
from llm_orchestrator.web.forms import Field
from llm_orchestrator.web.pages import SignedIn, render
from llm_orchestrator.web.records import Records, record_routes

KINDS = {
    "openai": "OpenAI-compatible",
    "anthropic": "Anthropic",
    "gemini": "Google Gemini",
}


class Providers(Records):
    """Providers and their forms."""

    path = "providers"
    noun = "provider"
    new_body = NewProvider
    change_body = ProviderChange

    async def fields(self, session: AsyncSession, *, new: bool) -> Sequence[Field]:
        """Return the fields; of a key that is set only its replacement can be typed."""
        key_hint = "" if new else "Left empty, the key stays as it is."
        return (
            Field("name", "Name", required=True, maxlength=100),
            Field("type", "Kind", "select", options=tuple(KINDS.items())),
            Field(
                "base_url",
                "Address",
                "url",
                "Such as https://api.example.com/v1. Left empty: the vendor's own.",
                wide=True,
                maxlength=255,
            ),
            Field(
                "api_key",
                "API key" if new else "New API key",
                "password",
                key_hint,
                required=new,
                wide=True,
                maxlength=255,
            ),
            Field("priority", "Priority", "number", "The lowest is tried first.", True, minimum=0),
            Field("weight", "Weight", "number", "Its share within one priority.", True, minimum=0),
            Field("max_retries", "Retries", "number", "", True, minimum=0, maximum=10),
            Field("timeout", "Timeout", "number", "In seconds.", True, minimum=1, maximum=3600),
            Field("rate_limit", "Rate limit", "number", "Requests a minute.", minimum=1),
            Field("enabled", "Enabled: requests are sent to it", "check", wide=True),
        )

    async def find(self, session: AsyncSession, id_: int) -> tuple[str, Mapping[str, Any]]:
        """Return a provider's name and values, its key not among them."""
        row = await find_provider(session, id_)
        values = {name: getattr(row, name) for name in self.new_body.model_fields}
        return row.name, values | {"enabled": row.enabled is not False, "api_key": ""}

    async def create(self, session: AsyncSession, values: Mapping[str, Any]) -> str:
        """Add a provider."""
        return (await create_provider(session, values)).name

    async def change(self, session: AsyncSession, id_: int, values: Mapping[str, Any]) -> str:
        """Change a provider."""
        return (await change_provider(session, id_, values)).name

    async def delete(self, session: AsyncSession, id_: int) -> None:
        """Delete a provider."""
        await delete_provider(session, id_)

    async def consequence(self, session: AsyncSession, id_: int) -> str:
        """Name the models that it serves."""
        names = {each.model_name for each in await list_associations(session, provider_id=id_)}
        logs = "What it did stays in the logs."
        if not names:
            return f"It serves no model. {logs}"
        return f"It no longer serves {', '.join(sorted(names))}. {logs}"


router = record_routes(Providers())


@router.get("")
async def show_providers(request: Request, state: CurrentState, _session: SignedIn) -> Response:
    """List the providers."""
    async with state.database.session() as session:
        providers = await provider_overviews(session)
    return render(
        request,
        "providers.html",
        title="Providers",
        tab="providers",
        providers=providers,
        kinds=KINDS,
    )
