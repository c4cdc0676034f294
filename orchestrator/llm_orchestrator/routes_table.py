"""Providers, models and which serves which: in memory, so that no request waits for the database.

What is here is never older than what the database last gave; while that can't be read, what was
read before goes on being used.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from llm_orchestrator.database import Database
from llm_orchestrator.schema import Model, ModelProvider, Provider
from llm_orchestrator.upstream.protocol import Target

logger = structlog.stdlib.get_logger(__name__)

# Seconds. Another process may have changed the database, so it is read again this often.
OLDEST = 10.0
# A request that follows a change waits this long for it to be read, and goes on without.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class ProviderRoute:
    """An enabled provider; `timeout` in seconds, `rate_limit` in requests a minute."""

    id: int
    name: str
    type: str
    priority: int
    weight: int
    max_retries: int
    timeout: int
    rate_limit: int | None
    target: Target


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """An enabled model; `timeout` in seconds, `created` in seconds since 1970."""

    name: str
    max_retry: int | None
    timeout: int | None
    created: int


@dataclass(frozen=True, slots=True)
class Link:
    """How an enabled provider serves a model, and what it can do there."""

    provider: ProviderRoute
    provider_model: str
    weight: int
    tool_call: bool
    structured_output: bool
    image: bool
    enabled: bool


@dataclass(frozen=True, slots=True)
class Routes:
    """All of it at one moment: providers and models by name, links by the model's name."""

    providers: Mapping[str, ProviderRoute] = field(default_factory=dict)
    models: Mapping[str, ModelRoute] = field(default_factory=dict)
    links: Mapping[str, tuple[Link, ...]] = field(default_factory=dict)


class RouteTable:
    """The routes as last read, and the reading."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._routes = Routes()
        # Of State.changes, the count that the routes hold.
        self._seen = -1
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[RouteTable, None]:
        """Read the routes and keep them young until the end of the block.

        Raises SQLAlchemyError when they can't be read the first time.
        """
        self._routes = await read_routes(self._database)
        self._seen = 0
        keeper = asyncio.create_task(self._keep(), name="routes")
        try:
            yield self
        finally:
            tasks = [task for task in (keeper, self._reading) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def current(self, changes: int) -> Routes:
        """Return the routes, with the change of this count in them if the database can be read."""
        if self._seen < changes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    # The reading that is under way may have begun before the change.
                    while self._seen < changes:
                        await asyncio.shield(self._read(changes))
        return self._routes

    def _read(self, changes: int) -> asyncio.Task[None]:
        """Begin to read, unless somebody does."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._reload(changes), name="routes, once")
        return self._reading

    async def _reload(self, changes: int) -> None:
        try:
            self._routes = await read_routes(self._database)
        except SQLAlchemyError as error:
            logger.warning("routes can't be read, the last ones are used", reason=str(error))
        # Also when it failed: while the database is locked not every request shall wait for it.
        # The next regular reading brings what this one could not.
        self._seen = max(self._seen, changes)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(OLDEST)
            await self._read(self._seen)


async def read_routes(database: Database) -> Routes:
    """Read the routes from the database. Raises SQLAlchemyError."""
    async with database.session() as session:
        providers = (await session.execute(select(Provider))).scalars().all()
        models = (await session.execute(select(Model))).scalars().all()
        links = (await session.execute(select(ModelProvider))).scalars().all()
    # NULL is what a row has that was written before the column: the column's default.
    routes = {row.id: _provider_route(row) for row in providers if row.enabled is not False}
    enabled = {row.id: _model_route(row) for row in models if row.enabled is not False}
    by_model: dict[str, list[Link]] = {}
    for row in links:
        provider, model = routes.get(row.provider_id), enabled.get(row.model_id)
        if provider and model:
            by_model.setdefault(model.name, []).append(_link(row, provider))
    return Routes(
        MappingProxyType({route.name: route for route in routes.values()}),
        MappingProxyType({route.name: route for route in enabled.values()}),
        MappingProxyType({name: tuple(found) for name, found in by_model.items()}),
    )


def _provider_route(row: Provider) -> ProviderRoute:
    return ProviderRoute(
        id=row.id,
        name=row.name,
        type=row.type,
        priority=row.priority,
        weight=row.weight,
        max_retries=row.max_retries,
        timeout=row.timeout,
        rate_limit=row.rate_limit,
        target=Target(row.base_url or None, row.api_key),
    )


def _model_route(row: Model) -> ModelRoute:
    created = row.created_at.replace(tzinfo=dt.UTC).timestamp() if row.created_at else 0
    return ModelRoute(row.name, row.max_retry, row.timeout, int(created))


def _link(row: ModelProvider, provider: ProviderRoute) -> Link:
    return Link(
        provider=provider,
        provider_model=row.provider_model,
        weight=1 if row.weight is None else row.weight,
        tool_call=row.tool_call is not False,
        structured_output=row.structured_output is not False,
        image=row.image is True,
        enabled=row.enabled is not False,
    )
