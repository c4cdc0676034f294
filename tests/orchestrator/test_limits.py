"""Rate limits and the cache: in memory, in a real Redis, and while that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from llm_orchestrator.cache import Cache
from llm_orchestrator.limits import MemoryWindows, RateLimiter, RetryAfter
from llm_orchestrator.redis_link import RedisGone, RedisLink
from tests.support.redis_server import RedisServer, redis_server


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(running: RedisServer) -> RedisServer:
    running.ask("FLUSHALL")
    return running


@asynccontextmanager
async def link_to(server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(server.url)
    try:
        yield link
    finally:
        await link.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def test_never_more_than_the_limit_within_any_minute() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    assert [windows.take("a", 2), windows.take("a", 2)] == [None, None]
    clock.now += 59.5
    assert windows.take("a", 2) == RetryAfter(1)
    assert windows.take("b", 2) is None
    clock.now += 0.5
    assert windows.take("a", 2) is None


def test_a_refusal_says_when_and_then_it_is_true() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for moment in (0.0, 20.25, 30.0):
        clock.now = 1000 + moment
        assert windows.take("a", 3) is None
    clock.now = 1000 + 30.5
    refusal = windows.take("a", 3)
    assert refusal == RetryAfter(30)
    clock.now += refusal.seconds
    assert windows.take("a", 3) is None
    # The next leaves at 20.25 + 60.
    assert windows.take("a", 3) == RetryAfter(20)


def test_refused_requests_do_not_count() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    windows.take("a", 1)
    for _ in range(100):
        clock.now += 0.5
        assert windows.take("a", 1) is not None
    clock.now += 10
    assert windows.take("a", 1) is None


def test_keys_that_nobody_uses_are_forgotten() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    for number in range(10_000):
        windows.take(f"old {number}", 5)
    clock.now += 61
    windows.take("new", 5)
    assert len(windows._taken) == 1


def test_no_limit_is_no_limit(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with link_to(redis) as link:
            limiter = RateLimiter(0, link)
            assert [await limiter.check("a") for _ in range(50)] == [None] * 50
            assert [await limiter.check_provider(1, None) for _ in range(50)] == [None] * 50

    asyncio.run(scenario())
    assert redis.ask("DBSIZE") == b":0\r\n"


def test_callers_and_providers_count_apart() -> None:
    async def scenario() -> list[bool]:
        limiter = RateLimiter(1)
        asked = [limiter.check("1"), limiter.check_provider(1, 1), limiter.check("1")]
        asked.append(limiter.check_provider(1, 1))
        return [await each is None for each in asked]

    assert asyncio.run(scenario()) == [True, True, False, False]


def test_processes_that_share_a_redis_share_the_limit(redis: RedisServer) -> None:
    async def scenario() -> list[RetryAfter | None]:
        async with link_to(redis) as one, link_to(redis) as two:
            limiters = [RateLimiter(10, one), RateLimiter(10, two)]
            return list(
                await asyncio.gather(*(limiters[number % 2].check("a") for number in range(25)))
            )

    answers = asyncio.run(scenario())
    assert answers.count(None) == 10
    assert all(answer is None or 55 <= answer.seconds <= 60 for answer in answers)
    # What Redis holds goes by itself.
    assert int(redis.ask("PTTL", "llm-orchestrator:rate:user:a")[1:]) > 50_000


def test_without_redis_each_counts_for_itself_and_nobody_waits(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with link_to(redis) as link:
            limiter, cache = RateLimiter(2, link), Cache(link)
            assert await limiter.check("a") is None
            await cache.put("models", b"in redis", 60)
            assert cache.status == "redis"
            redis.kill()
            assert [await limiter.check("a") for _ in range(2)] == [None, None]
            assert await limiter.check("a") is not None
            assert cache.status == "unreachable"
            assert await cache.get("models") is None
            await cache.put("models", b"in memory", 60)
            assert await cache.get("models") == b"in memory"
            redis.start()
            await until(lambda: cache.status == "redis")
            assert await cache.get("models") is None
            assert await limiter.check("a") is None

    asyncio.run(scenario())


def test_a_redis_that_hangs_costs_one_caller_a_moment() -> None:
    async def scenario() -> None:
        # It takes connections and says nothing.
        taken: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        link = RedisLink(f"redis://127.0.0.1:{port}/0")
        async with asyncio.timeout(10):
            await link.look()
        assert link.status == "unreachable"
        with pytest.raises(RedisGone):
            await link.ask(never_asked)
        await link.close()
        silent.close()
        for writer in taken:
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


async def never_asked(_redis: object) -> None:
    raise AssertionError("asked though it is known to be gone")


def test_a_redis_that_takes_nothing_is_gone_until_it_does(redis: RedisServer) -> None:
    """One that is full answers a PING all the same."""

    async def scenario() -> None:
        async with link_to(redis) as link:
            redis.ask("CONFIG", "SET", "maxmemory", "1")
            try:
                await link.look()
                assert link.status == "unreachable"
                back = asyncio.create_task(until(lambda: link.status == "redis"))
                # Longer than from one look to the next.
                await asyncio.sleep(1.2)
                assert not back.done()
            finally:
                redis.ask("CONFIG", "SET", "maxmemory", "0")
            await back

    asyncio.run(scenario())


def test_a_restart_between_two_requests_is_not_noticed(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with link_to(redis) as link:
            limiter = RateLimiter(5, link)
            await asyncio.gather(*(limiter.check("a") for _ in range(4)))
            redis.kill()
            redis.start()
            assert await limiter.check("a") is None
            assert link.status == "redis"

    asyncio.run(scenario())
    assert redis.ask("ZCARD", "llm-orchestrator:rate:user:a") == b":1\r\n"


@pytest.mark.parametrize("shared", [False, True])
def test_cached_bytes_run_out_and_can_be_dropped(redis: RedisServer, shared: bool) -> None:
    async def scenario() -> None:
        async with link_to(redis) as link:
            clock = Clock()
            cache = Cache(link if shared else None, clock)
            await cache.put("models", b"\x00list", 1)
            assert await cache.get("models") == b"\x00list"
            await cache.drop("models")
            assert await cache.get("models") is None
            await cache.put("models", b"again", 1)
            clock.now += 1
            await gone(lambda: cache.get("models"))

    asyncio.run(scenario())


async def gone(ask: Callable[[], Awaitable[bytes | None]]) -> None:
    async with asyncio.timeout(30):
        while await ask() is not None:
            await asyncio.sleep(0.05)


def test_a_cache_in_memory_does_not_grow() -> None:
    async def scenario() -> None:
        cache = Cache()
        for number in range(1500):
            await cache.put(str(number), b"x", 60)
        assert await cache.get("0") is None
        assert await cache.get("1499") == b"x"
        assert len(cache._kept) == 1000

    asyncio.run(scenario())
