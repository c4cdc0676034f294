"""Old request logs go, a little at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

from llm_orchestrator.background.retention import delete_logs_before
from llm_orchestrator.database import Database
from tests.support.orchestrator import in_process
from tests.support.processes import wait_until

NOW = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)


def fill(path: Path, rows: int, moment: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO request_logs (model, created_at) VALUES ('m', ?)", [(moment,)] * rows
        )


def moments(path: Path) -> list[str | None]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT DISTINCT created_at FROM request_logs ORDER BY 1"
        return [moment for (moment,) in connection.execute(query)]


def delete(path: Path, moment: dt.datetime) -> int:
    async def scenario() -> int:
        database = Database(f"sqlite:///{path}")
        try:
            return await delete_logs_before(database.engine, moment)
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_what_is_older_goes_and_the_rest_stays(database: Path) -> None:
    # As the service writes it, as CURRENT_TIMESTAMP does, and out of order.
    fill(database, 700, "2026-03-01 11:59:59.999999")
    fill(database, 3, "2026-03-01 12:00:00.000000")
    fill(database, 600, "2026-02-28 10:00:00")
    fill(database, 2, "2026-03-31 11:00:00")
    assert delete(database, NOW - dt.timedelta(days=30)) == 1300
    assert moments(database) == ["2026-03-01 12:00:00.000000", "2026-03-31 11:00:00"]
    assert delete(database, NOW - dt.timedelta(days=30)) == 0


def test_the_moment_may_be_told_in_any_time_zone(database: Path) -> None:
    fill(database, 1, "2026-03-01 11:59:00")
    fill(database, 1, "2026-03-01 12:01:00")
    zone = dt.timezone(dt.timedelta(hours=5))
    assert delete(database, dt.datetime(2026, 3, 1, 17, tzinfo=zone)) == 1
    assert moments(database) == ["2026-03-01 12:01:00"]


def write_another(path: Path, name: str) -> int:
    """Write something; how many logs there are meanwhile."""
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("INSERT INTO models (name) VALUES (?)", (name,))
        (left,) = connection.execute("SELECT count(*) FROM request_logs").fetchone()
    return int(left)


def test_a_writer_gets_in_between_two_batches(database: Path) -> None:
    # Fifty batches: on a busy machine a writer does not get in after the first few.
    fill(database, 25_000, "2026-01-01 00:00:00")

    async def scenario() -> list[int]:
        service = Database(f"sqlite:///{database}")
        task = asyncio.create_task(delete_logs_before(service.engine, NOW))
        seen = []
        while not task.done():
            seen.append(await asyncio.to_thread(write_another, database, str(len(seen))))
        await task
        await service.close()
        return seen

    seen = asyncio.run(scenario())
    assert any(0 < left < 25_000 for left in seen)
    assert moments(database) == []


def test_the_service_forgets_by_itself(database: Path) -> None:
    fill(database, 10, "2020-01-01 00:00:00")
    recent = dt.datetime.now(dt.UTC) - dt.timedelta(days=6)
    fill(database, 1, f"{recent:%Y-%m-%d %H:%M:%S}")

    async def scenario() -> None:
        async with in_process(database, log_retention_days=7):
            await asyncio.to_thread(wait_until, lambda: len(moments(database)) == 1)

    asyncio.run(scenario())
    assert moments(database) == [f"{recent:%Y-%m-%d %H:%M:%S}"]
