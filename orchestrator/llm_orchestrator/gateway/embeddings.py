"""POST /v1/embeddings."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from llm_orchestrator.gateway.documents import EmbeddingList, document_errors
from llm_orchestrator.gateway.entrance import LimitedCaller, RelayRoute, make_job
from llm_orchestrator.gateway.relay import WholeRelay
from llm_orchestrator.gateway.request import EmbeddingRequest
from llm_orchestrator.gateway.routing import Needs
from llm_orchestrator.state import CurrentState

router = APIRouter(route_class=RelayRoute)


@router.post(
    "/v1/embeddings",
    response_class=Response,
    responses={
        200: {"model": EmbeddingList, "description": "the embeddings"},
        **document_errors(),
    },
)
async def create_embeddings(
    request: Request, body: EmbeddingRequest, caller: LimitedCaller, state: CurrentState
) -> Response:
    """Have texts turned into vectors by one of the model's providers."""
    job = await make_job(state, request, caller, body, Needs())
    return WholeRelay(job, lambda upstream, call: upstream.embed(call))
