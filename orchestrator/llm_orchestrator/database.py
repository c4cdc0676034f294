"""The SQLite file: its connections, and whether it is at this release's revision."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from llm_orchestrator.database_url import read_database_url
from llm_orchestrator.revision import file_uri, read_revisions, require_head

BUSY_SECONDS = 5.0
_PAUSE = 0.02  # seconds


class Database:
    """The service's database. It is never created here, nor are its tables."""

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = read_database_url(url)
        self.busy_seconds = busy_seconds
        # mode=rw: a file that is gone is an error, not a new empty database.
        self.engine = create_async_engine(
            URL.create(
                "sqlite+aiosqlite",
                database=file_uri(self.path),
                query={"mode": "rw", "uri": "true"},
            ),
            pool_size=10,
            max_overflow=10,
            pool_timeout=busy_seconds,
        )
        event.listen(self.engine.sync_engine, "connect", self._prepare)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    def _prepare(self, connection: Any, _record: Any) -> None:
        connection.run_async(self._set_up)

    async def _set_up(self, connection: aiosqlite.Connection) -> None:
        await connection.execute(f"PRAGMA busy_timeout = {int(self.busy_seconds * 1000)}")
        await connection.execute("PRAGMA foreign_keys = ON")
        await self._use_wal(connection)
        # With WAL a commit survives a crash of the process; one of the machine may lose the last.
        await connection.execute("PRAGMA synchronous = NORMAL")

    async def _use_wal(self, connection: aiosqlite.Connection) -> None:
        # For the change of mode SQLite doesn't wait, whatever busy_timeout says.
        deadline = time.monotonic() + self.busy_seconds
        while True:
            try:
                await connection.execute_fetchall("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session; what was not committed is rolled back at the end.

        Raises SQLAlchemy's OperationalError when the file is locked, full or gone.
        """
        async with self._sessions() as session:
            yield session

    async def revision(self, *, busy_seconds: float = 1.0) -> str:
        """Return the revision in the file. Raises DatabaseRefused where it has none."""
        return ", ".join(await asyncio.to_thread(read_revisions, self.path, busy_seconds))

    async def require_head(self, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Raise DatabaseRefused unless the file is at this release's revision."""
        await asyncio.to_thread(require_head, self.path, busy_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self.engine.dispose()
