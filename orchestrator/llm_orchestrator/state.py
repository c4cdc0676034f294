"""What a running service holds; one per app, so that several can run in one process."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from llm_orchestrator.background.health_board import HealthBoard
from llm_orchestrator.background.log_writer import LogWriter
from llm_orchestrator.backoff import Backoff
from llm_orchestrator.cache import Cache
from llm_orchestrator.database import Database
from llm_orchestrator.limits import RateLimiter
from llm_orchestrator.metrics import Metrics
from llm_orchestrator.routes_table import RouteTable
from llm_orchestrator.secret_keys import digest_of_setting
from llm_orchestrator.settings import Settings
from llm_orchestrator.upstream.protocol import Upstream


@dataclass
class State:
    """Settings, database, HTTP client and what runs beside the requests."""

    settings: Settings
    database: Database
    routes: RouteTable
    upstreams: Mapping[str, Upstream]
    metrics: Metrics
    log_writer: LogWriter
    limiter: RateLimiter
    cache: Cache
    health: HealthBoard
    started_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    # Counts changes of providers, models and associations: what keeps them in memory compares.
    changes: int = 0
    # Of these, how many the cached list of models holds.
    listed: int = 0
    # How retries wait, and what picks among equals: a test may want its own.
    backoff: Backoff = field(default_factory=Backoff)
    chance: random.Random = field(default_factory=random.Random)
    api_key_digests: tuple[str, ...] = field(init=False)
    # One, or none while the admin side is off.
    admin_key_digests: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        admin = self.settings.admin_key
        self.api_key_digests = tuple(map(digest_of_setting, self.settings.api_keys))
        self.admin_key_digests = (digest_of_setting(admin),) if admin else ()

    def note_change(self) -> None:
        """Say that providers, models or associations were changed."""
        self.changes += 1


async def current_state(connection: HTTPConnection) -> State:
    """Return the state of the app that answers, as a dependency.

    A coroutine: what is none is run in a thread, which costs more than all else that a request to
    /v1 passes.
    """
    return state_of(connection)


def state_of(connection: HTTPConnection) -> State:
    """Return the state of the app that answers."""
    state = connection.app.state.gateway
    assert isinstance(state, State)  # noqa: S101
    return state


CurrentState = Annotated[State, Depends(current_state)]
