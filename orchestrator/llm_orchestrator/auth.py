"""Who may ask: API keys for /v1, the admin key for the admin side."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from llm_orchestrator.errors import ApiError
from llm_orchestrator.secret_keys import matches, user_id_of
from llm_orchestrator.state import CurrentState, State, state_of

CHALLENGE = {"WWW-Authenticate": "Bearer"}

_api_bearer = HTTPBearer(
    scheme_name="ApiKeyBearer", description="one of API_KEYS", auto_error=False
)
_api_header = APIKeyHeader(
    name="X-API-Key", scheme_name="ApiKeyHeader", description="one of API_KEYS", auto_error=False
)
_admin_bearer = HTTPBearer(scheme_name="AdminBearer", description="ADMIN_KEY", auto_error=False)
_admin_header = APIKeyHeader(
    name="X-Admin-Key", scheme_name="AdminHeader", description="ADMIN_KEY", auto_error=False
)

Bearer = HTTPAuthorizationCredentials | None
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True)
class Caller:
    """Who asks; the key itself goes no further than here."""

    user_id: str


async def require_api_key(
    state: CurrentState,
    bearer: Annotated[Bearer, Security(_api_bearer)],
    header: Annotated[str | None, Security(_api_header)],
) -> Caller:
    """Return the caller. Raises ApiError 401 without a key of API_KEYS."""
    key = bearer.credentials if bearer else header
    if not key:
        raise ApiError(
            401,
            "No API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            code="missing_api_key",
            headers=CHALLENGE,
        )
    if not matches(key, state.api_key_digests):
        raise ApiError(
            401, "This API key is not known here.", code="invalid_api_key", headers=CHALLENGE
        )
    return Caller(user_id_of(key))


async def read_caller(request: Request) -> Caller:
    """Return who sends a request, where no dependencies are worked out. Raises ApiError 401."""
    bearer, header = await _api_bearer(request), await _api_header(request)
    return await require_api_key(state_of(request), bearer, header)


async def require_admin(
    state: CurrentState,
    bearer: Annotated[Bearer, Security(_admin_bearer)],
    header: Annotated[str | None, Security(_admin_header)],
) -> None:
    """Raise ApiError: 503 where the admin side is off, 401 without a key, 403 for a wrong one."""
    if state.settings.admin_key is None:
        raise ApiError(503, "The admin side is off: ADMIN_KEY is not set.", code="admin_disabled")
    key = bearer.credentials if bearer else header
    if not key:
        raise ApiError(
            401,
            "No admin key: send it as `Authorization: Bearer KEY` or `X-Admin-Key: KEY`.",
            code="missing_admin_key",
            headers=CHALLENGE,
        )
    if not is_admin_key(state, key):
        raise ApiError(403, "This is not the admin key.", code="wrong_admin_key")


class AdminRoute(APIRoute):
    """A route that looks at the admin key before it reads the body."""

    def get_route_handler(self) -> Handler:
        """Return the handler behind the key."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await require_admin(
                state_of(request), await _admin_bearer(request), await _admin_header(request)
            )
            return await handle(request)

        return guarded


def is_admin_key(state: State, presented: str) -> bool:
    """Whether a presented key is ADMIN_KEY; False while that is unset."""
    return matches(presented, state.admin_key_digests)
