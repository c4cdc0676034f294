"""Facts about one database, cheap ones and dear ones."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchctl.database.failure import inaccessible
from orchctl.database.header import Header
from orchctl.database.open import READ_TIMEOUT, ask, reading_beside, require_regular
from orchctl.errors import Refused

VERSION_TABLE = "alembic_version"
# A quoted thing, a comment, or a run of white space; only the last may be rewritten.
_SPACES = re.compile(r"""('[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/)|\s+""", re.DOTALL)

Violation = tuple[str, int | None, str, int]


@dataclass(frozen=True)
class DatabaseFacts:
    """What a database file is.

    Attributes:
        path: The file, as given.
        exists: Whether it is there; when not, all else is empty.
        size: Bytes of the main file.
        journal_mode: `wal`, or `delete` for every rollback mode (a file doesn't tell them apart).
        page_size: Bytes in a page.
        page_count: Pages, the WAL's included.
        user_version: `PRAGMA user_version`.
        application_id: `PRAGMA application_id`.
        encoding: `UTF-8`, `UTF-16le` or `UTF-16be`.
        has_version_table: Whether Alembic's version table exists.
        heads: The revisions in it, sorted.
        tables: Tables but SQLite's own, sorted.
        schema_hash: See `schema_hash`; empty when the file doesn't exist.
    """

    path: Path
    exists: bool
    size: int = 0
    journal_mode: str = "delete"
    page_size: int = 0
    page_count: int = 0
    user_version: int = 0
    application_id: int = 0
    encoding: str = "UTF-8"
    has_version_table: bool = False
    heads: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    schema_hash: str = ""


def inspect(
    path: Path,
    *,
    version_table: str = VERSION_TABLE,
    beside: bool = False,
    timeout: float = READ_TIMEOUT,
) -> DatabaseFacts:
    """The cheap facts about a database, in a few milliseconds and without a trace.

    Args:
        path: The file. Missing, or of zero bytes, it is an empty database.
        version_table: Name of Alembic's table.
        beside: This process holds a connection to the file already.
        timeout: Seconds to wait for a lock.

    Raises:
        Refused: `no-directory`, `not-a-database`, `database-damaged`, `cannot-open`.
        LockHeld: `database-locked`.
    """
    require_regular(path)
    real = Path(os.path.realpath(path))
    if not os.path.lexists(real):  # SQLite makes it where a link leads to
        if not real.parent.is_dir():
            raise inaccessible(path, "open")
        return DatabaseFacts(path, exists=False)

    if beside:
        with reading_beside(path, timeout=timeout) as connection:
            return facts_of(connection, path, version_table=version_table)

    def question(connection: sqlite3.Connection, header: Header | None) -> DatabaseFacts:
        mode = "wal" if header and header.wal else "delete"
        return facts_of(connection, path, version_table=version_table, journal_mode=mode)

    return ask(path, question, timeout=timeout)


def facts_of(
    connection: sqlite3.Connection,
    path: Path,
    *,
    version_table: str = VERSION_TABLE,
    journal_mode: str | None = None,
) -> DatabaseFacts:
    """The cheap facts, through a connection that is open already.

    Args:
        connection: To the database.
        path: The file the facts are about; only asked for its size.
        version_table: Name of Alembic's table.
        journal_mode: Where it is known already; None asks the connection. (One with immutable=1
            answers `delete` for a WAL database.)
    """
    heads = stamped(connection, version_table)
    return DatabaseFacts(
        path=path,
        exists=True,
        size=path.stat().st_size,
        journal_mode=journal_mode or str(pragma(connection, "journal_mode")),
        page_size=int(pragma(connection, "page_size")),
        page_count=int(pragma(connection, "page_count")),
        user_version=int(pragma(connection, "user_version")),
        application_id=int(pragma(connection, "application_id")),
        encoding=str(pragma(connection, "encoding")),
        has_version_table=heads is not None,
        heads=heads or (),
        tables=tables(connection),
        schema_hash=schema_hash(connection),
    )


def pragma(connection: sqlite3.Connection, name: str) -> int | str:
    """The value of a PRAGMA that has one."""
    row = connection.execute(f"PRAGMA {name}").fetchone()
    value: int | str = row[0] if row else 0
    return value


def stamped(
    connection: sqlite3.Connection, version_table: str = VERSION_TABLE
) -> tuple[str, ...] | None:
    """The revisions a database is stamped with, sorted; None without a version table.

    Raises:
        Refused: `no-version-table`: the table of that name is somebody else's.
    """
    known = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)",
        (version_table,),
    ).fetchone()
    if not known:
        return None
    columns = connection.execute("SELECT lower(name) FROM pragma_table_info(?)", (version_table,))
    if ("version_num",) not in columns.fetchall():
        raise Refused(
            f"The table {version_table} has no column version_num: it is not Alembic's",
            code="no-version-table",
            state="Nothing was changed",
            hint="Rename it, or name another with version_table in env.py",
        )
    rows = connection.execute(f"SELECT version_num FROM {quoted(version_table)}")
    return tuple(sorted(str(row[0]) for row in rows if row[0] is not None))


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Names of the tables, virtual ones and their shadows included, SQLite's own not; sorted."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY name"
    )
    return tuple(row[0] for row in rows)


def leftover_tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Alembic's `_alembic_tmp_*` tables: what a batch operation that died half-way leaves."""
    return tuple(name for name in tables(connection) if name.startswith("_alembic_tmp_"))


def row_counts(
    connection: sqlite3.Connection, known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Rows of every table but SQLite's own. Dear: reads an index or the table to its end.

    Virtual tables are left out: counting may need a module that isn't loaded, and what they hold
    is in their shadow tables.

    Args:
        connection: To the database.
        known: Rows of those tables that were counted already, by name.
    """
    there = known or {}
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    return {name: there[name] if name in there else _count(connection, name) for (name,) in rows}


def schema_hash(connection: sqlite3.Connection) -> str:
    """sha256 of the schema: (type, name, table, SQL) of every object but SQLite's own, sorted.

    Runs of white space outside quotes and comments count as one blank; where objects lie in the
    file does not count, nor do `sqlite_sequence`, `sqlite_stat1` and automatic indexes.
    """
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' ORDER BY type, name, tbl_name"
    )
    digest = hashlib.sha256()
    for kind, name, table, sql in rows:
        text = _SPACES.sub(lambda match: match[1] or " ", sql or "").strip()
        digest.update(f"{kind}\0{name}\0{table}\0{text}\n".encode())
    return digest.hexdigest()


def quick_check(connection: sqlite3.Connection) -> tuple[str, ...]:
    """What `PRAGMA quick_check` complains about; about 0.6 s a GB."""
    return _complaints(connection, "quick_check")


def unreadable(complaints: Iterable[str]) -> bool:
    """Whether a check complains of reads that failed: of the disk, that is, not of the content."""
    codes = re.findall(r"unable to get the page\. error code=(\d+)", "\n".join(complaints))
    return any(int(code) & 0xFF == sqlite3.SQLITE_IOERR for code in codes)


def integrity_check(connection: sqlite3.Connection) -> tuple[str, ...]:
    """What `PRAGMA integrity_check` complains about, indexes included; about 5 s a GB."""
    return _complaints(connection, "integrity_check")


def foreign_key_violations(
    connection: sqlite3.Connection, among: Iterable[str] | None = None
) -> frozenset[Violation]:
    """Rows whose parent is missing: (table, rowid, parent table, index of the foreign key).

    The rowid is None in a table WITHOUT ROWID. A foreign key that fits no unique key of its
    parent can't be checked by SQLite: it is reported as (table, None, the complaint, -1).

    Args:
        connection: To the database.
        among: Look at the rows of these tables only.
    """
    if among is None:
        try:
            return frozenset(connection.execute("PRAGMA foreign_key_check").fetchall())
        except sqlite3.OperationalError as error:
            if "foreign key mismatch" not in str(error):
                raise
    found: set[Violation] = set()
    for table in tables(connection) if among is None else among:
        try:
            found.update(connection.execute(f"PRAGMA foreign_key_check({quoted(table)})"))
        except sqlite3.OperationalError as error:
            found.add((table, None, str(error), -1))
    return frozenset(found)


def foreign_keys(connection: sqlite3.Connection) -> dict[str, frozenset[tuple[str, ...]]]:
    """By table, lower case: what its foreign keys are, as (parent, column, parent's column)."""
    found: dict[str, set[tuple[str, ...]]] = {name.lower(): set() for name in tables(connection)}
    rows = connection.execute(
        'SELECT s.name, f."table", f."from", f."to" FROM sqlite_schema AS s, '
        "pragma_foreign_key_list(s.name) AS f WHERE s.type = 'table'"
    )
    for table, *link in rows.fetchall():
        found[table.lower()].add(tuple(str(part).lower() for part in link))
    return {table: frozenset(links) for table, links in found.items()}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _count(connection: sqlite3.Connection, table: str) -> int:
    sql = f"SELECT count(*) FROM {quoted(table)}"
    return int(connection.execute(sql).fetchone()[0])


def _complaints(connection: sqlite3.Connection, check: str) -> tuple[str, ...]:
    found = tuple(str(row[0]) for row in connection.execute(f"PRAGMA {check}(100)"))
    return () if found == ("ok",) else found
