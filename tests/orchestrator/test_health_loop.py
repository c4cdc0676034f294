"""Probes: when, with what result, and what is written of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from llm_orchestrator.background import health_loop
from llm_orchestrator.background.health_board import HealthBoard
from llm_orchestrator.background.health_loop import HealthLoop, probe_over
from llm_orchestrator.database import Database
from llm_orchestrator.metrics import Metrics
from llm_orchestrator.schema import Provider
from llm_orchestrator.upstream.exchange import make_client
from llm_orchestrator.upstream.protocol import (
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
    Verdict,
)
from llm_orchestrator.upstream.registry import make_upstreams
from tests.support.upstreams import KEY, Exchange, FakeUpstream


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Provided:
    """Providers that answer as they are told to, and count how often they were asked."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.asked: dict[str, int] = {}

    async def probe(self, provider: Provider) -> None:
        self.asked[provider.name] = self.asked.get(provider.name, 0) + 1
        if fault := self.faults.get(provider.name):
            raise fault


def execute(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def health_of(path: Path, provider_id: int) -> Mapping[str, object]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        query = "SELECT * FROM provider_health WHERE provider_id = ?"
        row = connection.execute(query, (provider_id,)).fetchone()
    return dict(row) if row else {}


@pytest.fixture
def filled(database: Path) -> Path:
    for number, name in enumerate(("one", "two", "off"), start=1):
        execute(
            database,
            "INSERT INTO providers (id, name, type, api_key, enabled) VALUES (?, ?, ?, ?, ?)",
            number,
            name,
            "openai",
            "k",
            name != "off",
        )
    return database


@asynccontextmanager
async def looping(
    path: Path, board: HealthBoard, probe: Callable[[Provider], Awaitable[None]], busy: float = 5.0
) -> AsyncIterator[Metrics]:
    database = Database(f"sqlite:///{path}", busy_seconds=busy)
    metrics = Metrics()
    loop = HealthLoop(database.engine, board, metrics, probe, lambda: 0)
    loop.start()
    try:
        yield metrics
    finally:
        await loop.close()
        await database.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def test_enabled_providers_are_probed_at_once_and_their_health_is_written(filled: Path) -> None:
    provided = Provided()
    provided.faults["two"] = UpstreamUnreachable("no route")
    board = HealthBoard(60)

    async def scenario() -> str:
        async with looping(filled, board, provided.probe) as metrics:
            await until(lambda: health_of(filled, 1) and health_of(filled, 2))
            await until(lambda: b'llm_provider_healthy{provider="one"} 1.0' in metrics.render())
        return ""

    asyncio.run(scenario())
    assert "off" not in provided.asked
    assert health_of(filled, 3) == {}
    good, bad = health_of(filled, 1), health_of(filled, 2)
    assert (good["is_healthy"], good["success_rate"], good["error_count"]) == (1, 100.0, 0)
    assert good["consecutive_successes"] == 1
    assert good["last_success_at"] is not None
    assert good["next_retry_at"] is None
    assert (bad["success_rate"], bad["error_count"], bad["consecutive_failures"]) == (0.0, 1, 1)
    assert bad["last_error"] == bad["error_message"] == "no route"
    assert (bad["last_status_code"], bad["last_success_at"]) == (502, None)
    assert str(bad["next_retry_at"]) > str(bad["last_check"])
    # One failure may be chance.
    assert bad["is_healthy"] == 1


def test_a_provider_that_keeps_failing_is_unhealthy_and_comes_back(filled: Path) -> None:
    provided = Provided()
    provided.faults["one"] = UpstreamUnreachable("down")
    clock = Clock()
    board = HealthBoard(60, clock)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe):
            # Its time does not pass by itself; each step makes the next probe due.
            for failures, wait in ((1, 2), (2, 4), (3, 8)):
                await until(lambda: board.health(1).consecutive_failures == failures)  # noqa: B023
                assert board.healthy(1) is (False if failures == 3 else None)
                assert board.health(1).retry == clock.now + wait
                clock.now += wait
            del provided.faults["one"]
            await until(lambda: board.healthy(1))
            await until(lambda: health_of(filled, 1)["consecutive_successes"] == 1)

    asyncio.run(scenario())
    row = health_of(filled, 1)
    assert (row["is_healthy"], row["consecutive_failures"], row["next_retry_at"]) == (1, 0, None)
    assert row["last_error"] == "down"
    assert row["error_message"] is None
    assert provided.asked["two"] == 1


# Too many requests: it lives. No such call: a service without a list of models.
@pytest.mark.parametrize("status", [429, 404, 405, 501])
def test_what_says_nothing_of_its_health_is_no_failure(filled: Path, status: int) -> None:
    provided = Provided()
    provided.faults["one"] = UpstreamError("no", status=status, verdict=Verdict.RETRY, code="x")
    board = HealthBoard(60)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe):
            await until(lambda: health_of(filled, 1))

    asyncio.run(scenario())
    assert board.healthy(1) is None
    assert health_of(filled, 1)["error_count"] == 0
    assert health_of(filled, 1)["last_status_code"] == status
    # It may as well be a wrong address, so nothing says that all is well.
    assert health_of(filled, 1)["is_healthy"] == (1 if status == 429 else None)


def test_a_row_of_old_that_does_not_say_whether_it_is_on_is(filled: Path) -> None:
    """As for requests: the column's default."""
    execute(filled, "UPDATE providers SET enabled = NULL WHERE name = 'off'")
    provided = Provided()

    async def scenario() -> None:
        async with looping(filled, HealthBoard(60), provided.probe):
            await until(lambda: "off" in provided.asked)

    asyncio.run(scenario())


def test_an_adapter_that_breaks_stops_neither_the_loop_nor_the_others(filled: Path) -> None:
    provided = Provided()
    provided.faults["one"] = KeyError("choices")
    board = HealthBoard(60)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe):
            await until(lambda: health_of(filled, 2))

    asyncio.run(scenario())
    assert health_of(filled, 1)["last_error"] == "KeyError: 'choices'"
    assert board.healthy(2) is True


def test_one_that_answers_letter_by_letter_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each letter comes in time, the last never does; all others wait for the same round."""
    monkeypatch.setattr(health_loop, "_PATIENCE", 0.5)

    async def trickle(exchange: Exchange) -> None:
        exchange.head(200, "application/json", {"transfer-encoding": "chunked"})
        while not exchange.reader.at_eof():
            await exchange.part(b" ")
            await asyncio.sleep(0.05)
        exchange.keep = False

    async def ask(url: str) -> None:
        async with make_client() as client:
            probe = probe_over(make_upstreams(client))
            provider = Provider(type="openai", base_url=url, api_key=KEY, timeout=60)
            async with asyncio.timeout(30):
                await probe(provider)

    with FakeUpstream("openai") as upstream:
        upstream.always(trickle)
        with pytest.raises(UpstreamTimeout):
            asyncio.run(ask(upstream.url))


def test_a_locked_database_keeps_nobody_from_knowing(filled: Path) -> None:
    provided = Provided()
    board = HealthBoard(60)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe, busy=0.5):
            await until(lambda: board.healthy(1))
            other = sqlite3.connect(filled, isolation_level=None, check_same_thread=False)
            with closing(other):
                # In a thread: the loop must go on to end what it writes.
                await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
                for _ in range(10):
                    board.failed(2, "down")
                assert board.healthy(2) is False
                other.execute("ROLLBACK")

    asyncio.run(scenario())
    # Written on the way out, for it had not been yet.
    assert health_of(filled, 2)["is_healthy"] == 0


def test_closing_in_the_middle_of_a_write_loses_nothing(filled: Path) -> None:
    provided = Provided()
    board = HealthBoard(60)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe):
            await until(lambda: health_of(filled, 1) and health_of(filled, 2))
            other = sqlite3.connect(filled, isolation_level=None, check_same_thread=False)
            with closing(other):
                await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
                board.failed(2, "down")
                # Due at once, so a probe's outcome is written, or would be.
                board.health(1).due = float("-inf")
                asked = provided.asked["one"]
                await until(lambda: provided.asked["one"] > asked)
                await asyncio.sleep(0.1)
                other.execute("ROLLBACK")

    asyncio.run(scenario())
    assert health_of(filled, 2)["last_error"] == "down"


def test_counts_go_on_after_a_restart_but_today_s_state_does_not(filled: Path) -> None:
    execute(
        filled,
        "INSERT INTO provider_health (provider_id, is_healthy, error_count, success_rate) "
        "VALUES (1, 0, 41, 50.0)",
    )
    provided = Provided()
    board = HealthBoard(60)

    async def scenario() -> None:
        async with looping(filled, board, provided.probe):
            await until(lambda: board.healthy(1))

    asyncio.run(scenario())
    row = health_of(filled, 1)
    assert (row["is_healthy"], row["error_count"]) == (1, 41)
    assert 50 < float(str(row["success_rate"])) < 60


def test_requests_are_outcomes_too() -> None:
    board = HealthBoard(60)
    assert board.healthy(7) is None
    for _ in range(9):
        board.failed(7, "502", 502)
    assert board.healthy(7) is None
    board.failed(7, "502", 502)
    assert board.healthy(7) is False
    assert board.is_due(7) is False
    board.succeeded(7, 12.5)
    assert board.healthy(7) is True
    assert round(board.health(7).success_rate, 1) == 9.1
    assert board.health(7).response_time_ms == 12.5


def test_a_failed_probe_confirms_what_requests_have_seen() -> None:
    clock = Clock()
    board = HealthBoard(60, clock)
    board.probed(1)
    for _ in range(4):
        board.failed(1, "500", 500)
    assert board.healthy(1) is None
    # It is asked long before its turn.
    clock.now += 2
    assert board.is_due(1)
    board.failed(1, "unreachable", probe=True)
    assert board.healthy(1) is False


def test_where_probes_can_not_tell_requests_find_out_again() -> None:
    board = HealthBoard(60)
    for _ in range(10):
        board.failed(1, "500", 500)
    assert board.healthy(1) is False
    board.undecided(1)
    assert board.healthy(1) is None
    board.failed(1, "500", 500)
    assert board.healthy(1) is False
    board.succeeded(1, 1)
    board.undecided(1)
    assert board.healthy(1) is True


def test_many_failures_at_once_do_not_shut_out_for_long() -> None:
    clock = Clock()
    board = HealthBoard(0, clock)
    for _ in range(500):
        board.failed(1, "a moment's fault")
    assert board.healthy(1) is False
    clock.now += 2
    assert board.healthy(1) is None


def test_the_success_rate_is_that_of_about_the_last_hundred() -> None:
    board = HealthBoard(60)
    for _ in range(100):
        board.succeeded(1, 1)
    for _ in range(100):
        board.failed(1, "x")
    assert 30 < board.health(1).success_rate < 40
    for _ in range(500):
        board.succeeded(1, 1)
    assert board.health(1).success_rate > 99


def test_where_nobody_probes_requests_find_out_again() -> None:
    clock = Clock()
    board = HealthBoard(0, clock)
    for _ in range(10):
        board.failed(1, "down")
    assert board.healthy(1) is False
    clock.now += 2
    assert board.healthy(1) is None
    assert board.is_due(1) is False
    # Still down: the next wait is twice as long.
    board.failed(1, "down")
    clock.now += 3
    assert board.healthy(1) is False
    clock.now += 1
    assert board.healthy(1) is None


def test_waits_grow_and_end_at_five_intervals() -> None:
    clock = Clock()
    board = HealthBoard(10, clock)
    waits = []
    for _ in range(8):
        board.failed(1, "down")
        waits.append(board.health(1).retry - clock.now)
        clock.now = board.health(1).retry
    assert waits == [2, 4, 8, 16, 32, 50, 50, 50]
