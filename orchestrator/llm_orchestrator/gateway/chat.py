"""POST /v1/chat/completions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from llm_orchestrator.gateway.documents import STREAM, ChatCompletion, document_errors
from llm_orchestrator.gateway.entrance import LimitedCaller, RelayRoute, make_job
from llm_orchestrator.gateway.relay import StreamRelay, WholeRelay
from llm_orchestrator.gateway.request import ChatRequest
from llm_orchestrator.gateway.routing import read_needs
from llm_orchestrator.state import CurrentState

router = APIRouter(route_class=RelayRoute)


@router.post(
    "/v1/chat/completions",
    response_class=Response,
    responses={
        200: {"model": ChatCompletion, "content": STREAM, "description": "the answer"},
        **document_errors(),
    },
)
async def create_chat_completion(
    request: Request, body: ChatRequest, caller: LimitedCaller, state: CurrentState
) -> Response:
    """Have a conversation continued by one of the model's providers."""
    job = await make_job(state, request, caller, body, read_needs(body))
    if body.stream:
        return StreamRelay(job)
    return WholeRelay(job, lambda upstream, call: upstream.complete(call))
