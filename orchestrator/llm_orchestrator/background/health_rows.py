"""The health of providers as rows of `provider_health`, and who is to be watched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_orchestrator.background.health_board import Health
from llm_orchestrator.schema import Provider, ProviderHealth

_COLUMNS = (
    "is_healthy",
    "error_count",
    "last_error",
    "last_status_code",
    "last_validated_at",
    "last_success_at",
    "next_retry_at",
    "consecutive_successes",
    "response_time_ms",
    "error_message",
    "last_check",
    "consecutive_failures",
    "success_rate",
)
# A provider that is deleted meanwhile gets no row.
_PUT = text(
    f"INSERT INTO provider_health (provider_id, {', '.join(_COLUMNS)}) "  # noqa: S608
    f"SELECT id, {', '.join(f':{name}' for name in _COLUMNS)} FROM providers "
    "WHERE id = :provider_id ON CONFLICT (provider_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
)


async def read_watched(engine: AsyncEngine) -> Sequence[Provider]:
    """Read the enabled providers.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: The database can't be read now.
    """
    table = Provider.__table__
    async with engine.connect() as connection:
        # NULL is what a row of old has; requests take it for the default, too.
        rows = await connection.execute(select(table).where(func.coalesce(table.c.enabled, True)))
        return [Provider(**row) for row in rows.mappings()]


async def read_health(engine: AsyncEngine) -> Sequence[Mapping[str, Any]]:
    """Read what was kept of each provider's health.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: The database can't be read now.
    """
    async with engine.connect() as connection:
        rows = await connection.execute(select(ProviderHealth.__table__))
        return [dict(row) for row in rows.mappings()]


async def write_health(engine: AsyncEngine, known: Mapping[int, Health]) -> None:
    """Write how these providers do, by their id, in one transaction.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: Nothing of it was written.
    """
    if known:
        async with engine.begin() as connection:
            await connection.execute(_PUT, [_row(key, health) for key, health in known.items()])


def _row(provider_id: int, health: Health) -> dict[str, Any]:
    values = {name: _stored(getattr(health, name)) for name in _COLUMNS}
    if health.is_healthy is None and not health.undecided:
        # Heard of, but too little to say that it is down.
        values["is_healthy"] = True
    return values | {"provider_id": provider_id}


def _stored(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
        return moment.isoformat(" ", "microseconds")
    return value
