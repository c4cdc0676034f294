"""Which file a DATABASE_URL names."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = ("sqlite", "sqlite+aiosqlite", "sqlite+pysqlite")


def read_database_url(url: str) -> Path:
    """Return the file a URL names; a relative one starts at the working directory.

    Raises ValueError when it is no URL of a SQLite file. Its query is ignored: what the service
    needs of a connection it sets itself.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        # Whatever it is may hold a password: it is not repeated.
        raise ValueError("is no database URL; one is sqlite:////app/data/name.db") from None
    if parsed.drivername not in DRIVERS:
        raise ValueError(f"names {parsed.drivername}, but the service keeps its data in SQLite")
    if not parsed.database or parsed.database == ":memory:" or "mode=memory" in url:
        raise ValueError("names no file, and a database in memory has no tables")
    if parsed.database.startswith("file:"):
        raise ValueError("is a file: URI; write the path itself, e.g. sqlite:////app/data/name.db")
    return Path(parsed.database)
