"""Short-lived answers, such as the list of models: in memory, or in Redis for several processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from llm_orchestrator.redis_link import RedisGone, RedisLink

_PREFIX = "llm-orchestrator:cache:"
# The oldest goes first; there are few keys.
_MOST_KEYS = 1000

CacheStatus = Literal["memory", "redis", "unreachable"]


class Cache:
    """Bytes by name, each for a while. What Redis can't give is not there; nobody waits for it."""

    def __init__(
        self, link: RedisLink | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link = link
        self._clock = clock
        self._kept: dict[str, tuple[float, bytes]] = {}

    @property
    def status(self) -> CacheStatus:
        """Where it is kept; `unreachable`: it should be in Redis, is in memory meanwhile."""
        return "memory" if self._link is None else self._link.status

    async def get(self, key: str) -> bytes | None:
        """Give what was put there and has not run out."""
        if self._link is not None:
            try:
                found = await self._link.ask(lambda redis: redis.get(_PREFIX + key))
            except RedisGone:
                pass
            else:
                return found if isinstance(found, bytes) else None
        until, value = self._kept.get(key, (float("-inf"), b""))
        return value if self._clock() < until else None

    async def put(self, key: str, value: bytes, seconds: int) -> None:
        """Keep it for so long; 1 second at least."""
        if self._link is not None:
            try:
                await self._link.ask(lambda redis: redis.set(_PREFIX + key, value, ex=seconds))
            except RedisGone:
                pass
            else:
                return
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST_KEYS:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self._clock() + seconds, value)

    async def drop(self, key: str) -> None:
        """Forget it, here and in Redis."""
        self._kept.pop(key, None)
        if self._link is not None:
            try:
                await self._link.ask(lambda redis: redis.delete(_PREFIX + key))
            except RedisGone:
                return
