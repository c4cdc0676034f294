"""Request logs get into the database, and never in anyone's way."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from llm_orchestrator.background.log_entry import LogEntry
from llm_orchestrator.background.log_writer import Bounds, LogWriter
from tests.support.migration_chain import upgrade

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "service.db"
    upgrade(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executemany(
            "INSERT INTO providers (id, name, type, api_key) VALUES (?, ?, 'openai', 'k')",
            [(1, "one"), (2, "two")],
        )
    return path


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path / "service.db"))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@asynccontextmanager
async def engine_of(path: Path, busy: int = 5000) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {busy}")

    event.listen(engine.sync_engine, "connect", prepare)
    try:
        yield engine
    finally:
        await engine.dispose()


async def write(path: Path, entries: list[LogEntry], bounds: Bounds | None = None) -> LogWriter:
    async with engine_of(path) as engine:
        writer = LogWriter(engine, bounds or Bounds())
        writer.start()
        for entry in entries:
            writer.put(entry)
        await writer.close()
    return writer


def entry(provider_id: int | None = 1, status: int = 200, **facts: object) -> LogEntry:
    standing: dict[str, object] = {
        "endpoint": "/v1/chat/completions",
        "latency_ms": 100,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "created_at": NOON,
    }
    return LogEntry(provider_id=provider_id, status_code=status, **standing | facts)  # type: ignore[arg-type]


def test_every_field_of_an_entry_is_in_its_row(database: Path) -> None:
    full = entry(
        model="large",
        status=502,
        error_message="no route",
        cost=0.25,
        user_id="hash",
        ip_address="::1",
    )
    asyncio.run(write(database, [full]))
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = connection.execute("SELECT * FROM request_logs").fetchall()
    assert dict(row) == {
        "id": 1,
        "provider_id": 1,
        "model": "large",
        "endpoint": "/v1/chat/completions",
        "method": "POST",
        "status_code": 502,
        "error_message": "no route",
        "latency_ms": 100,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "cost": 0.25,
        "user_id": "hash",
        "ip_address": "::1",
        "created_at": "2026-03-04 12:00:00.000000",
    }


def test_closing_writes_what_waits_in_as_many_batches_as_it_takes(database: Path) -> None:
    writer = asyncio.run(write(database, [entry() for _ in range(250)], Bounds(batch=100)))
    assert rows(database, "SELECT count(*) FROM request_logs") == [(250,)]
    assert (writer.tally.written, writer.waiting) == (250, 0)


def test_each_provider_s_day_adds_up_over_batches(database: Path) -> None:
    late = NOON + dt.timedelta(hours=11, minutes=59)
    entries = [
        entry(1, latency_ms=100),
        entry(1, status=500, latency_ms=400, created_at=late),
        entry(1, created_at=late + dt.timedelta(minutes=2)),
        entry(2, latency_ms=7),
        entry(None, status=404),
    ]
    asyncio.run(write(database, entries, Bounds(batch=1)))
    asyncio.run(write(database, [entry(1, latency_ms=400)]))
    assert rows(
        database,
        "SELECT provider_id, date, total_requests, success_requests, failed_requests, "
        "total_tokens, prompt_tokens, completion_tokens, avg_response_time, last_used_at "
        "FROM provider_stats ORDER BY 1, 2",
    ) == [
        (1, "2026-03-04", 3, 2, 1, 21, 9, 12, 300.0, "2026-03-04 23:59:00.000000"),
        (1, "2026-03-05", 1, 1, 0, 7, 3, 4, 100.0, "2026-03-05 00:01:00.000000"),
        (2, "2026-03-04", 1, 1, 0, 7, 3, 4, 7.0, "2026-03-04 12:00:00.000000"),
    ]


def test_the_log_of_a_deleted_provider_is_kept_without_totals(database: Path) -> None:
    asyncio.run(write(database, [entry(99), entry(1)]))
    assert rows(database, "SELECT provider_id FROM request_logs") == [(99,), (1,)]
    assert rows(database, "SELECT provider_id FROM provider_stats") == [(1,)]


def test_what_no_column_takes_is_cut_to_what_it_takes(database: Path) -> None:
    odd = entry(model="m" * 500, error_message="half \ud83d of a pair", prompt_tokens=2**70)
    asyncio.run(write(database, [odd]))
    assert rows(database, "SELECT length(model), error_message FROM request_logs") == [
        (100, "half ? of a pair")
    ]


def test_an_entry_that_cannot_be_stored_takes_no_other_with_it(database: Path) -> None:
    writer = asyncio.run(write(database, [entry(), entry(status=2**70), entry(), entry()]))
    assert rows(database, "SELECT count(*) FROM request_logs") == [(3,)]
    assert (writer.tally.written, writer.tally.dropped_failed) == (3, 1)


def test_more_than_may_wait_is_counted_and_dropped(database: Path) -> None:
    writer = asyncio.run(write(database, [entry() for _ in range(30)], Bounds(queued=20)))
    assert (writer.tally.written, writer.tally.dropped_full) == (20, 10)


def test_a_database_that_is_locked_for_a_while_gets_every_row(database: Path) -> None:
    async def scenario() -> LogWriter:
        async with engine_of(database, busy=20) as engine:
            writer = LogWriter(engine)
            writer.start()
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                writer.put(entry())
                # The queue is empty again: the writer holds the batch, and tries.
                while writer.waiting:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                other.execute("ROLLBACK")
            await writer.close()
            return writer

    assert asyncio.run(scenario()).tally.written == 1
    assert rows(database, "SELECT count(*) FROM request_logs") == [(1,)]


def test_a_database_that_stays_locked_costs_rows_but_neither_time_nor_memory(
    database: Path,
) -> None:
    async def scenario() -> LogWriter:
        async with engine_of(database, busy=20) as engine:
            writer = LogWriter(engine, Bounds(queued=50, batch=10, gather=0, patience=0.1))
            writer.start()
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                for _ in range(200):
                    writer.put(entry())
                    await asyncio.sleep(0)
                    assert writer.waiting <= 50
                await writer.close()
            return writer

    tally = asyncio.run(scenario()).tally
    assert tally.written == 0
    assert tally.dropped_full + tally.dropped_failed == 200


def test_closing_while_locked_ends_in_time_and_counts_what_it_leaves(database: Path) -> None:
    async def scenario() -> LogWriter:
        async with engine_of(database, busy=20) as engine:
            writer = LogWriter(engine)
            writer.start()
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                for _ in range(5):
                    writer.put(entry())
                await asyncio.wait_for(writer.close(patience=0.2), 10)
            return writer

    assert asyncio.run(scenario()).tally.dropped_failed == 5


def test_where_waiting_cannot_help_nobody_waits(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE request_logs")
    writer = asyncio.run(write(database, [entry() for _ in range(5)], Bounds(patience=1e9)))
    assert (writer.tally.written, writer.tally.dropped_failed) == (0, 5)


def test_who_comes_after_the_end_is_counted(database: Path) -> None:
    async def scenario() -> LogWriter:
        writer = await write(database, [entry()])
        writer.put(entry())
        return writer

    writer = asyncio.run(scenario())
    assert (writer.tally.written, writer.tally.dropped_failed, writer.waiting) == (1, 1, 0)
