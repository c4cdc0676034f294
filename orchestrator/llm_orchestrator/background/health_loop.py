"""Asks each enabled provider now and then whether it is well."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_orchestrator.background.health_board import HealthBoard
from llm_orchestrator.background.health_rows import read_health, read_watched, write_health
from llm_orchestrator.background.unbroken import to_its_end
from llm_orchestrator.metrics import Metrics
from llm_orchestrator.schema import Provider
from llm_orchestrator.upstream.protocol import (
    Target,
    Upstream,
    UpstreamError,
    UpstreamTimeout,
)

_log = structlog.get_logger(__name__)
# Seconds between two looks at what is due.
_TICK = 1.0
# What requests told of is written at most so often, in seconds.
_WRITE_EVERY = 10.0
# Seconds after which the list of providers is read again, where no change was noted here.
_READ_EVERY = 30.0
_AT_ONCE = 8
# The most seconds that a probe waits, whatever the provider's requests may take.
_PATIENCE = 10.0
# What a service says that has no list of models: it lives, and may well do all that is asked of it.
# A wrong address says so, too; requests find that out.
_NO_SUCH_CALL = frozenset({404, 405, 501})
_TOO_MANY = 429

Probe = Callable[[Provider], Awaitable[None]]


def probe_over(upstreams: Mapping[str, Upstream]) -> Probe:
    """Make the probe that asks each provider in its own protocol, by provider type."""

    async def probe(provider: Provider) -> None:
        target = Target(provider.base_url, provider.api_key)
        seconds = min(provider.timeout, _PATIENCE)
        try:
            # For the whole of it: one that answers letter by letter would hold up all others.
            async with asyncio.timeout(seconds):
                await upstreams[provider.type].probe(target, seconds)
        except TimeoutError as late:
            raise UpstreamTimeout from late

    return probe


class HealthLoop:
    """Probes what is due, writes what was heard, until it is closed.

    The database may be locked or full: then the board in memory goes on alone.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        board: HealthBoard,
        metrics: Metrics,
        probe: Probe,
        changes: Callable[[], int],
    ) -> None:
        """Make a loop that has not begun.

        Args:
            engine: Where providers are and their health goes.
            board: Where outcomes are kept.
            metrics: Is told of each provider's state.
            probe: Makes a provider's cheapest call; raises UpstreamError when it fails.
            changes: A number that moves when providers are changed.
        """
        self._engine = engine
        self._board = board
        self._metrics = metrics
        self._probe = probe
        self._changes = changes
        self._watched: Sequence[Provider] = ()
        self._read_at: tuple[float, int] = (float("-inf"), -1)
        self._written_at = float("-inf")
        self._told: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="health loop")

    async def close(self) -> None:
        """End, probes under way included, and write what is not written yet."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._write(), 2.0)

    async def _run(self) -> None:
        with contextlib.suppress(SQLAlchemyError):
            self._board.remember(await read_health(self._engine))
        while True:
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - this task must outlive whatever happens
                _log.exception("health check failed")
            await asyncio.sleep(_TICK)

    async def _look(self) -> None:
        await self._read_list()
        due = [each for each in self._watched if self._board.is_due(each.id)]
        if due:
            turns = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(self._ask(each, turns) for each in due))
        if due or time.monotonic() - self._written_at >= _WRITE_EVERY:
            await self._write()
        self._tell()

    async def _read_list(self) -> None:
        read_at, changes = self._read_at
        if changes == self._changes() and time.monotonic() - read_at < _READ_EVERY:
            return
        changes = self._changes()
        try:
            self._watched = await read_watched(self._engine)
        except SQLAlchemyError as error:
            _log.warning("providers can't be read now", reason=str(error))
            return
        self._read_at = (time.monotonic(), changes)
        self._board.forget(each.id for each in self._watched)

    async def _ask(self, provider: Provider, turns: asyncio.Semaphore) -> None:
        async with turns:
            began = time.perf_counter()
            status = None
            try:
                await self._probe(provider)
            except UpstreamError as error:
                status = error.status
                if status in _NO_SUCH_CALL:
                    self._doubt(provider, status)
                elif status != _TOO_MANY:
                    self._fail(provider, error.message, status)
            except Exception as error:  # noqa: BLE001 - an adapter's fault is no other provider's
                self._fail(provider, f"{type(error).__name__}: {error}", None)
            else:
                self._board.succeeded(provider.id, (time.perf_counter() - began) * 1000)
            self._board.probed(provider.id, status)

    def _fail(self, provider: Provider, message: str, status: int | None) -> None:
        self._board.failed(provider.id, message, status, probe=True)
        _log.warning("provider fails", provider=provider.name, status=status, reason=message)

    def _doubt(self, provider: Provider, status: int) -> None:
        if not self._board.health(provider.id).undecided:
            message = "provider can't be checked; requests tell how it is"
            _log.warning(message, provider=provider.name, status=status)
        self._board.undecided(provider.id)

    async def _write(self) -> None:
        self._written_at = time.monotonic()
        changed = self._board.changed()
        known = {key: self._board.health(key) for key in changed}
        try:
            await to_its_end(write_health(self._engine, known))
        except SQLAlchemyError as error:
            self._board.mark_changed(changed)
            _log.warning("health can't be written now", reason=str(error))
        except asyncio.CancelledError:
            # Who closes the loop writes what is left, or the same once more.
            self._board.mark_changed(changed)
            raise

    def _tell(self) -> None:
        names = set()
        for provider in self._watched:
            if (healthy := self._board.healthy(provider.id)) is not None:
                self._metrics.tell_health(provider.name, healthy)
                names.add(provider.name)
        for name in self._told - names:
            self._metrics.forget_provider(name)
        self._told = names
