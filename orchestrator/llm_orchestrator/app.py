"""The application: what it is made of, and what starts and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from llm_orchestrator import __version__, admin, gateway, operations, web
from llm_orchestrator.admission import Admission
from llm_orchestrator.background.health_board import HealthBoard
from llm_orchestrator.background.health_loop import HealthLoop, probe_over
from llm_orchestrator.background.log_writer import LogWriter
from llm_orchestrator.background.retention import Retention
from llm_orchestrator.cache import Cache
from llm_orchestrator.database import Database
from llm_orchestrator.errors import install_error_handlers
from llm_orchestrator.limits import RateLimiter
from llm_orchestrator.metrics import Metrics
from llm_orchestrator.middleware import BodyLimit, RequestEnvelope
from llm_orchestrator.redis_link import RedisLink
from llm_orchestrator.routes_table import RouteTable
from llm_orchestrator.settings import Settings
from llm_orchestrator.state import State
from llm_orchestrator.upstream.exchange import make_client
from llm_orchestrator.upstream.registry import make_upstreams

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
    app.state.pages = web.Pages()
    # The first is the first to be looked through.
    for router in (gateway.router, operations.router, admin.router, web.router):
        app.include_router(router)
    return app


async def _start(settings: Settings, stack: AsyncExitStack) -> State:
    """Open what the service needs; the stack closes it, the last opened first."""
    database = Database(settings.database_url)
    await database.require_head()
    stack.push_async_callback(database.close)
    client = await stack.enter_async_context(make_client())
    routes = await stack.enter_async_context(RouteTable(database).kept())
    link = await _redis_link(settings, stack)
    state = State(
        settings=settings,
        database=database,
        routes=routes,
        upstreams=make_upstreams(client),
        metrics=Metrics(),
        log_writer=LogWriter(database.engine),
        limiter=RateLimiter(settings.rate_limit_per_minute, link),
        cache=Cache(link),
        health=HealthBoard(settings.health_check_interval),
    )
    _start_tasks(state, stack)
    return state


def _start_tasks(state: State, stack: AsyncExitStack) -> None:
    """Start what runs beside the requests. Logs end last: what ends before may still log."""
    state.metrics.watch_logs(state.log_writer)
    retention = Retention(state.database.engine, state.settings.log_retention_days)
    health = HealthLoop(
        state.database.engine,
        state.health,
        state.metrics,
        probe_over(state.upstreams),
        lambda: state.changes,
    )
    for task in (state.log_writer, retention, health):
        task.start()
        stack.push_async_callback(task.close)


async def _redis_link(settings: Settings, stack: AsyncExitStack) -> RedisLink | None:
    if not settings.redis_enabled:
        return None
    link = RedisLink(settings.redis_url.get_secret_value())
    stack.push_async_callback(link.close)
    await link.look()
    return link


def _surround(app: FastAPI, settings: Settings) -> None:
    """Add the middleware; the last added stands outermost."""
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Admission, most=settings.max_concurrent_requests)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            # Clients add some of their own: OpenAI's in a browser has a dozen.
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "X-Provider", "Retry-After"],
        )
    app.add_middleware(RequestEnvelope)


def _operation_id(route: APIRoute) -> str:
    method = min(route.methods or {"get"}).lower()
    return f"{method}{route.path_format}".replace("/", "_").replace("{", "").replace("}", "")
