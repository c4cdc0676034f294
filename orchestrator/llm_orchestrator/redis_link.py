"""The optional Redis: asked with short patience, done without while it is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeVar

import structlog

if TYPE_CHECKING:
    from redis.asyncio import Redis

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")
# Seconds that one answer may take: a request waits for it.
_PATIENCE = 0.5
# Seconds between two looks at a Redis that is gone.
_LOOK_AGAIN = 1.0
# What is asked at each look: a Redis that is full, a replica, or one that lets us run no scripts
# answers a PING all the same, and would be gone and back every second.
_LOOK = "redis.call('SET', KEYS[1], 1, 'EX', 60) return redis.call('DEL', KEYS[1])"
_LOOKED = "llm-orchestrator:looked"

Status = Literal["redis", "unreachable"]


class RedisGone(Exception):
    """Redis does not answer, or refuses to; the caller goes on without it."""


class RedisLink:
    """One Redis, and whether it answers at present.

    The first call that fails marks it as gone: no other call waits for it then. Meanwhile a task
    looks whether it is back.
    """

    def __init__(self, url: str) -> None:
        """Connect on first use.

        Args:
            url: Such as `redis://127.0.0.1:6379/0`.

        Raises:
            ModuleNotFoundError: The extra `redis` is not installed.
            ValueError: That is no URL of a Redis.
        """
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        self._errors: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)
        # Tried twice: a connection that was pooled before Redis restarted fails once.
        self._redis = Redis.from_url(
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )
        self._watch: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        """Whether it answered when it was last asked."""
        return "redis" if self._watch is None else "unreachable"

    async def ask(self, question: Callable[[Redis], Awaitable[_Answer]]) -> _Answer:
        """Ask it something.

        Args:
            question: Gets the client, gives back what it answers.

        Raises:
            RedisGone: It did not answer now, or not lately.
        """
        if self._watch is not None:
            raise RedisGone
        try:
            return await question(self._redis)
        except self._errors as error:
            self._lose(error)
            raise RedisGone from error

    async def look(self) -> None:
        """See whether it is there, so that `status` tells before the first request asks."""
        with contextlib.suppress(RedisGone):
            await self.ask(_look_at)

    async def close(self) -> None:
        """Stop looking, and close the connections."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        with contextlib.suppress(*self._errors):
            await self._redis.aclose()

    def _lose(self, error: Exception) -> None:
        if self._watch is None:
            _log.warning("Redis is gone; going on without it", reason=str(error))
            self._watch = asyncio.create_task(self._return(), name="Redis watch")

    async def _return(self) -> None:
        """Wait until it answers again."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                await _look_at(self._redis)
            except self._errors:
                continue
            _log.info("Redis is back")
            self._watch = None
            return


async def _look_at(redis: Redis) -> None:
    await redis.eval(_LOOK, 1, _LOOKED)
