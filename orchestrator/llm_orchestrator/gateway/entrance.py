"""What a request to a model passes before it is worked on."""

from __future__ import annotations

import inspect
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from llm_orchestrator.auth import Caller, Handler, read_caller, require_api_key
from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.account import Account
from llm_orchestrator.gateway.body import read_body
from llm_orchestrator.gateway.relay import Job
from llm_orchestrator.gateway.request import RoutedRequest
from llm_orchestrator.gateway.routing import Needs
from llm_orchestrator.state import CurrentState, State, state_of


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


class RelayRoute(APIRoute):
    """A route whose endpoint takes `request, body, caller, state`.

    What they are declared to be is what OpenAPI documents. They are handed over here, the key
    before the body is read: FastAPI, which would read the body first, works out anew for each
    request how to come by them, and that takes a fifth of a request's time.
    """

    def get_route_handler(self) -> Handler:
        """Return what answers a request."""
        endpoint = self.endpoint
        kind = inspect.signature(endpoint, eval_str=True).parameters["body"].annotation

        async def handle(request: Request) -> Response:
            state = state_of(request)
            caller = await limited(state, await read_caller(request))
            body = await read_body(request, kind)
            answer: Response = await endpoint(
                request=request, body=body, caller=caller, state=state
            )
            return answer

        return handle


async def make_job(
    state: State, request: Request, caller: Caller, checked: RoutedRequest, needs: Needs
) -> Job:
    """Take a checked request on; its body goes to the provider as it came."""
    account = Account(
        state=state,
        endpoint=request.scope["path"],
        model=checked.model,
        user_id=caller.user_id,
        ip_address=request.client.host if request.client else None,
    )
    return Job(state, checked, await request.json(), needs, account)
