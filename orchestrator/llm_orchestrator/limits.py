"""How many requests a minute: counted in memory, or in Redis for several processes together."""

from __future__ import annotations

import math
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from llm_orchestrator.redis_link import RedisGone, RedisLink

_WINDOW = 60.0
# Keys that nobody used for a window are forgotten when so many are known.
_MOST_KEYS = 10_000
# Redis's own clock, so that processes on several machines agree. Answers the milliseconds to wait.
_TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local window = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - window)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], ms, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], window)
  return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, tonumber(oldest[2]) + window - ms)
"""


@dataclass(frozen=True)
class RetryAfter:
    """A refusal.

    Attributes:
        seconds: When the next request is taken, in whole seconds, at least 1.
    """

    seconds: int


class MemoryWindows:
    """The moments of the last minute's requests, by key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str, limit: int) -> RetryAfter | None:
        """Count one request, unless `limit` were taken within the last 60 seconds."""
        now = self._clock()
        if key not in self._taken and len(self._taken) >= _MOST_KEYS:
            self._forget(now)
        taken = self._taken.setdefault(key, deque())
        while taken and taken[0] <= now - _WINDOW:
            taken.popleft()
        if len(taken) < limit:
            taken.append(now)
            return None
        return RetryAfter(max(1, math.ceil(taken[0] + _WINDOW - now)))

    def _forget(self, now: float) -> None:
        self._taken = {
            key: taken for key, taken in self._taken.items() if taken and taken[-1] > now - _WINDOW
        }


class RateLimiter:
    """Limits for callers and for providers: never more than so many within any 60 seconds.

    While Redis is gone each process counts for itself, from nothing.
    """

    def __init__(self, per_minute: int, link: RedisLink | None = None) -> None:
        """Set the limit.

        Args:
            per_minute: Requests that each caller has; 0, no limit.
            link: Where to count, if not in memory.
        """
        self._per_minute = per_minute
        self._link = link
        self._memory = MemoryWindows()

    async def check(self, user_id: str) -> RetryAfter | None:
        """Count a caller's request, or tell when to come again."""
        if not self._per_minute:
            return None
        return await self._take(f"user:{user_id}", self._per_minute)

    async def check_provider(self, provider_id: int, per_minute: int | None) -> RetryAfter | None:
        """Count a request to a provider, or tell when it takes the next.

        Args:
            provider_id: Which one.
            per_minute: Its `rate_limit`; None or 0, no limit.
        """
        if not per_minute:
            return None
        return await self._take(f"provider:{provider_id}", per_minute)

    async def _take(self, key: str, limit: int) -> RetryAfter | None:
        if self._link is not None:
            try:
                return await self._take_shared(self._link, key, limit)
            except RedisGone:
                pass
        return self._memory.take(key, limit)

    async def _take_shared(self, link: RedisLink, key: str, limit: int) -> RetryAfter | None:
        # A name for each request: two of one millisecond are two.
        words = (1, f"llm-orchestrator:rate:{key}", limit, int(_WINDOW * 1000), uuid.uuid4().hex)
        wait = int(await link.ask(lambda redis: redis.eval(_TAKE, *words)))
        return RetryAfter(math.ceil(wait / 1000)) if wait else None
