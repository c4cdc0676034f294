"""The routes in memory: changes are seen at once, and a database that fails changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from llm_orchestrator.database import Database
from llm_orchestrator.routes_table import RouteTable


@contextmanager
def changing(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database)) as connection, connection:
        yield connection


def names(database: Path, *steps: str) -> list[list[str]]:
    """The models that are known after each of these statements, each one a noted change."""

    async def read() -> list[list[str]]:
        opened = Database(f"sqlite:///{database}")
        found = []
        try:
            async with RouteTable(opened).kept() as table:
                for changes, step in enumerate(steps, start=1):
                    with changing(database) as connection:
                        connection.execute(step)
                    found.append(sorted((await table.current(changes)).models))
        finally:
            await opened.close()
        return found

    return asyncio.run(read())


def test_a_change_is_seen_by_the_next_request(database: Path) -> None:
    steps = [f"INSERT INTO models (name) VALUES ('m{number}')" for number in range(3)]
    assert names(database, *steps) == [["m0"], ["m0", "m1"], ["m0", "m1", "m2"]]


def test_what_can_not_be_read_stays_as_it_was(database: Path) -> None:
    steps = [
        "INSERT INTO models (name) VALUES ('m')",
        "ALTER TABLE models RENAME TO gone",
        "DELETE FROM gone",
        "ALTER TABLE gone RENAME TO models",
    ]
    assert names(database, *steps) == [["m"], ["m"], ["m"], []]


def test_all_who_come_after_a_change_see_it(database: Path) -> None:
    """Also those who come while the routes are read for somebody before the change."""

    async def read() -> list[int]:
        opened = Database(f"sqlite:///{database}")
        try:
            async with RouteTable(opened).kept() as table:
                waiting = []
                for changes in range(1, 30):
                    with changing(database) as connection:
                        connection.execute("INSERT INTO models (name) VALUES (?)", (str(changes),))
                    waiting.append(asyncio.create_task(table.current(changes)))
                    await asyncio.sleep(0)
                return [len(routes.models) for routes in await asyncio.gather(*waiting)]
        finally:
            await opened.close()

    assert all(count >= number for number, count in enumerate(asyncio.run(read()), start=1))


def test_what_is_disabled_is_not_there(database: Path) -> None:
    with changing(database) as connection:
        connection.execute(
            "INSERT INTO providers (id, name, type, api_key, enabled) "
            "VALUES (1, 'on', 'openai', 'k', 1), (2, 'off', 'openai', 'k', 0), "
            "(3, 'of old', 'openai', 'k', NULL)"
        )
        connection.execute("INSERT INTO models (id, name) VALUES (1, 'm')")
        connection.executemany(
            "INSERT INTO model_providers (model_id, provider_id, provider_model, image) "
            "VALUES (1, ?, 'up', NULL)",
            [(1,), (2,), (3,)],
        )

    async def read() -> tuple[set[str], list[tuple[str, bool]]]:
        opened = Database(f"sqlite:///{database}")
        try:
            async with RouteTable(opened).kept() as table:
                routes = await table.current(0)
        finally:
            await opened.close()
        links = [(link.provider.name, link.image) for link in routes.links["m"]]
        return set(routes.providers), links

    assert asyncio.run(read()) == ({"on", "of old"}, [("on", False), ("of old", False)])
