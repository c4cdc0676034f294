"""What a request to a model passes before it is worked on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from llm_orchestrator.auth import Caller, require_api_key
from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.account import Account
from llm_orchestrator.gateway.relay import Job
from llm_orchestrator.gateway.request import RoutedRequest
from llm_orchestrator.gateway.routing import Needs
from llm_orchestrator.state import CurrentState, State


async def limited(
    state: CurrentState, caller: Annotated[Caller, Depends(require_api_key)]
) -> Caller:
    """Return the caller. Raises ApiError: 401 without an API key, 429 over the rate limit."""
    refusal = await state.limiter.check(caller.user_id)
    if refusal:
        state.metrics.observe_limited()
        raise ApiError(
            429,
            "Too many requests with this API key.",
            code="rate_limit_exceeded",
            headers={"Retry-After": str(refusal.seconds)},
        )
    return caller


LimitedCaller = Annotated[Caller, Depends(limited)]


async def make_job(
    state: State, request: Request, caller: Caller, checked: RoutedRequest, needs: Needs
) -> Job:
    """Take a checked request on; its body goes to the provider as it came."""
    account = Account(
        state=state,
        endpoint=request.url.path,
        model=checked.model,
        user_id=caller.user_id,
        ip_address=request.client.host if request.client else None,
    )
    return Job(state, checked, await request.json(), needs, account)
