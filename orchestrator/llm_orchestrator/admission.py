"""How many requests are served at once: one more is refused while that still costs little."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_orchestrator.errors import error_body

_REFUSED = error_body(
    "Too many requests are under way here; try again in a moment.",
    "server_error",
    code="overloaded",
)
# Closed: a caller that waits shall not hold a connection meanwhile.
_HEADERS = {"Retry-After": "1", "Connection": "close"}


class Admission:
    """Counts the requests to `/v1` that are under way, streams included; 503 above the most.

    Each holds two sockets and some memory until it ends. Pages, health and metrics are not
    counted: they have to answer above all when there is too much to do.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        metrics = scope["app"].state.gateway.metrics
        if self.under_way >= self.most:
            metrics.observe_overload()
            await JSONResponse(_REFUSED, 503, headers=_HEADERS)(scope, receive, send)
            return
        self.under_way += 1
        metrics.in_flight.set(self.under_way)
        try:
            await self.app(scope, receive, send)
        finally:
            self.under_way -= 1
            metrics.in_flight.set(self.under_way)
