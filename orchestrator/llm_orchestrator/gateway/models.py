"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.documents import ModelCard, ModelList, document_errors
from llm_orchestrator.gateway.entrance import LimitedCaller
from llm_orchestrator.routes_table import ModelRoute, Routes
from llm_orchestrator.state import CurrentState

router = APIRouter()

OWNER = "llm-orchestrator"
# Seconds that a list is kept, for other processes as well; a change drops it.
KEPT = 10
CACHED = "models"


@router.get("/v1/models", response_model=ModelList, responses=document_errors(401, 429))
async def list_models(_caller: LimitedCaller, state: CurrentState) -> Response:
    """List the models that can be asked for."""
    if state.listed != state.changes:
        state.listed = state.changes
        await state.cache.drop(CACHED)
    listed = await state.cache.get(CACHED)
    if listed is None:
        listed = _render(await state.routes.current(state.changes))
        await state.cache.put(CACHED, listed, KEPT)
    return Response(listed, media_type="application/json")


@router.get("/v1/models/{model_id:path}", responses=document_errors(401, 404, 429))
async def get_model(
    model_id: Annotated[str, Path(description="a name from /v1/models; it may have slashes")],
    _caller: LimitedCaller,
    state: CurrentState,
) -> ModelCard:
    """Describe one model."""
    route = (await state.routes.current(state.changes)).models.get(model_id)
    if route is None:
        raise ApiError(
            404,
            f"The model {model_id!r} does not exist here.",
            code="model_not_found",
            param="model",
        )
    return _card(route)


def _render(routes: Routes) -> bytes:
    cards = [_card(routes.models[name]) for name in sorted(routes.models)]
    return ModelList(data=cards).model_dump_json().encode("utf-8")


def _card(route: ModelRoute) -> ModelCard:
    return ModelCard(id=route.name, created=route.created, owned_by=OWNER)
