"""The service's connections: how they are set up, and what they wait for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from llm_orchestrator.database import Database


def journal_mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(mode)


@pytest.fixture
def without_wal(database: Path) -> Path:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return database


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO models (name) VALUES ('theirs')")
        yield writer


async def models(database: Database) -> list[str]:
    async with database.session() as session:
        return list(await session.scalars(text("SELECT name FROM models")))


def test_a_writer_is_waited_for_before_the_database_is_in_wal(without_wal: Path) -> None:
    async def scenario(writer: sqlite3.Connection) -> list[str]:
        database = Database(f"sqlite:///{without_wal}")
        asked = asyncio.create_task(models(database))
        await asyncio.sleep(0.2)
        assert not asked.done()
        writer.execute("COMMIT")
        try:
            return await asked
        finally:
            await database.close()

    with writing(without_wal) as writer:
        assert "theirs" in asyncio.run(scenario(writer))
    assert journal_mode(without_wal) == "wal"


def test_a_writer_without_end_is_an_error(without_wal: Path) -> None:
    async def scenario() -> None:
        database = Database(f"sqlite:///{without_wal}", busy_seconds=0.2)
        try:
            await models(database)
        finally:
            await database.close()

    with writing(without_wal), pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(scenario())
    assert journal_mode(without_wal) == "delete"


def test_each_connection_is_set_up(database: Path) -> None:
    pragmas = ("busy_timeout", "foreign_keys", "journal_mode", "synchronous")

    async def scenario() -> list[object]:
        mine = Database(f"sqlite:///{database}", busy_seconds=1.5)
        try:
            async with mine.session() as session:
                return [await session.scalar(text(f"PRAGMA {one}")) for one in pragmas]
        finally:
            await mine.close()

    assert asyncio.run(scenario()) == [1500, 1, "wal", 1]
