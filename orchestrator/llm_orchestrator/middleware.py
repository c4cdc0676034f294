"""What surrounds every request: its id, its log line, the security headers, the body limit.

Plain ASGI, so that streams pass through untouched and a client's leaving is seen.
"""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_orchestrator.errors import error_body, type_of

logger = structlog.stdlib.get_logger("llm_orchestrator.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

# The pages need their own scripts, styles and pictures; an answer of the API needs nothing.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# What is found here is for the one who asked.
PRIVATE = ("/admin", "/api/admin")
# The one body that is read of somebody who may be anybody: taking a long form apart takes seconds,
# in which nobody is answered.
SIGN_IN = "/admin-ui/login"
SIGN_IN_BYTES = 2**16
# Asked every few seconds by machines.
QUIET = ("/health", "/healthz", "/readyz", "/metrics")


class RequestEnvelope:
    """Gives a request its id and its log line, and the answer its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        ours = _headers_for(scope["path"], request_id)
        # What answers GET answers HEAD, RFC 9110 section 9.1; the server leaves out the body.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                set_already = {name for name, _ in headers}
                headers += [header for header in ours if header[0] not in set_already]
                message["headers"] = headers
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(asked, receive, send_with_headers)
            except Exception:  # the outermost boundary of a request
                logger.exception("unexpected", method=scope["method"], path=scope["path"])
                if status:
                    raise  # the answer has begun: all that is left is to break it off
                body = error_body(
                    "Something went wrong in the service; its log says what.", "api_error"
                )
                await JSONResponse(body, 500)(scope, receive, send_with_headers)
            finally:
                _log(scope, status, time.perf_counter() - started)


def _headers_for(path: str, request_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer; their names in lower case, as ASGI has them."""
    policy = PAGE_POLICY if path.startswith("/admin-ui") else API_POLICY
    headers = [
        (b"x-request-id", request_id.encode("ascii")),
        (b"content-security-policy", policy.encode("ascii")),
        *SECURITY_HEADERS,
    ]
    if path.startswith(PRIVATE):
        headers.append((b"cache-control", b"no-store"))
    return headers


def _log(scope: Scope, status: int, seconds: float) -> None:
    log = logger.debug if scope["path"] in QUIET else logger.info
    # Without the query: what stands there is not ours to keep.
    log(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
    )


class BodyLimit:
    """Refuses a request body over a number of bytes, announced or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = min(self.limit, SIGN_IN_BYTES) if scope["path"] == SIGN_IN else self.limit
        message = f"The request body is over {limit} bytes."
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            body = error_body(message, type_of(413), code="request_too_large")
            # Closed, for nobody reads the rest.
            answer = JSONResponse(body, 413, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            part = await receive()
            read += len(part.get("body", b""))
            if read > limit:
                raise HTTPException(413, message)
            return part

        await self.app(scope, receive_counted, send)
