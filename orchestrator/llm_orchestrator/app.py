"""The application: what it is made of, and what starts and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from llm_orchestrator import __version__, admin, gateway, operations, web
from llm_orchestrator.database import Database
from llm_orchestrator.errors import install_error_handlers
from llm_orchestrator.middleware import BodyLimit, RequestEnvelope
from llm_orchestrator.settings import Settings
from llm_orchestrator.state import State

DESCRIPTION = """An OpenAI-compatible gateway in front of several LLM providers.

`/v1` takes one of API_KEYS, `/api/admin` takes ADMIN_KEY. The paths under `/admin` are those under
`/api/admin` for older guides."""


def create_app(settings: Settings) -> FastAPI:
    """Return the service as these settings want it; nothing is opened before it starts.

    Starting raises DatabaseRefused when the database is not at this release's revision.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.gateway = await _start(settings, stack)
            yield

    app = FastAPI(
        title="LLM Orchestrator",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # Their pages load scripts from elsewhere, which the content security policy forbids.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    _surround(app, settings)
    install_error_handlers(app)
    for router in (operations.router, gateway.router, admin.router, web.router):
        app.include_router(router)
    return app


async def _start(settings: Settings, stack: AsyncExitStack) -> State:
    """Open what the service needs; the stack closes it, the last opened first."""
    database = Database(settings.database_url)
    await database.require_head()
    stack.push_async_callback(database.close)
    # Timeouts are each request's own matter.
    client = await stack.enter_async_context(
        httpx.AsyncClient(
            timeout=None,  # noqa: S113
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=200),
        )
    )
    return State(settings=settings, database=database, client=client)


def _surround(app: FastAPI, settings: Settings) -> None:
    """Add the middleware; the last added stands outermost."""
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Admin-Key"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(RequestEnvelope)


def _operation_id(route: APIRoute) -> str:
    method = min(route.methods or {"get"}).lower()
    return f"{method}{route.path_format}".replace("/", "_").replace("{", "").replace("}", "")
