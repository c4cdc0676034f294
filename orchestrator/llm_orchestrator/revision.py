"""Whether a SQLite file is at the revision that this release is written for.

Plain sqlite3 on a connection of its own that changes nothing: until the answer is yes the file may
be anybody's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from llm_orchestrator import __version__

EARLIER = ("001", "002", "003")
HEAD = "004"


class DatabaseRefused(Exception):
    """The database can't be served; the text says how it is and what to type."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def file_uri(path: Path) -> str:
    """Return SQLite's URI of a file, whatever characters its name has."""
    return "file:" + quote(str(path.absolute()))


def require_head(path: Path, busy_seconds: float) -> None:
    """Raise DatabaseRefused unless the file is there and at HEAD.

    Waits `busy_seconds` for a writer that shuts readers out.
    """
    revisions = read_revisions(path, busy_seconds)
    if revisions == [HEAD]:
        return
    if len(revisions) > 1:
        raise DatabaseRefused(
            f"{path} has several revisions ({', '.join(revisions)}), this release needs {HEAD}: "
            "see `orchctl status`",
            "several-revisions",
        )
    if revisions[0] in EARLIER:
        raise DatabaseRefused(
            f"{path} is at revision {revisions[0]}, this release needs {HEAD}: "
            "type `orchctl upgrade`",
            "older-revision",
        )
    raise DatabaseRefused(
        f"{path} is at revision {revisions[0]}, which release {__version__} does not know "
        f"(it needs {HEAD}): start the release that brought it there, or type `orchctl rollback`",
        "unknown-revision",
    )


def require_writable(path: Path, busy_seconds: float) -> None:
    """Raise DatabaseRefused where nothing can be written. A file being written to passes."""
    with _reading(path, busy_seconds) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            # The lock alone is given for a read-only file as well: as that for reading.
            (kept,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {kept}")
            connection.rollback()
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise


def read_revisions(path: Path, busy_seconds: float) -> list[str]:
    """Return what alembic_version holds: at least one. Raises DatabaseRefused."""
    if not path.exists():
        missing = "" if path.parent.is_dir() else f": there is no folder {path.parent}"
        raise DatabaseRefused(
            f"{path} does not exist{missing or ': type `orchctl upgrade` to make it'}", "missing"
        )
    if not path.is_file():
        raise DatabaseRefused(f"{path} is no file: DATABASE_URL must name one", "no-file")
    with _reading(path, busy_seconds) as connection:
        tables = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if "alembic_version" not in tables:
            raise _without_revision(path, tables)
        rows = connection.execute("SELECT version_num FROM alembic_version ORDER BY 1").fetchall()
    if not rows:
        raise _without_revision(path, tables - {"alembic_version"})
    return [str(number) for (number,) in rows]


def _without_revision(path: Path, tables: set[str]) -> DatabaseRefused:
    if not tables:
        return DatabaseRefused(
            f"{path} has no tables yet: type `orchctl upgrade` to make them", "empty"
        )
    return DatabaseRefused(
        f"{path} has tables but no revision, so no migration made them: see `orchctl status`",
        "no-revision",
    )


@contextmanager
def _reading(path: Path, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(
            f"{file_uri(path)}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None
        )
        with closing(connection):
            yield connection
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        raise DatabaseRefused(f"{path} {_fault(name, str(error))}", "unusable") from error


def _fault(name: str, message: str) -> str:
    if name.startswith("SQLITE_NOTADB"):
        return "is no SQLite database"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "is locked by another process: is an upgrade under way?"
    if name.startswith("SQLITE_READONLY"):
        return "or its folder is read-only: the service must be able to write there"
    if name.startswith("SQLITE_CANTOPEN"):
        return "can't be opened: may this user read and write the file and its folder?"
    return f"can't be read: {message}"
