"""A digest of everything a database says, for "is this the same content?"."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator

from orchctl.database.inspect import quoted


def dump_digest(connection: sqlite3.Connection) -> str:
    """sha256 over schema and rows, the same for the same content however it lies in the file.

    Like the text of `.dump`, with the order fixed: objects by type and name, rows by rowid, or by
    all columns in a table WITHOUT ROWID. Counted as well: the type of every value, rowids,
    `sqlite_sequence`, user_version, application_id. Not counted: page layout, free pages,
    `sqlite_stat*`. Memory stays flat.

    Args:
        connection: To the database; open a read transaction around it when others write.
    """
    digest = hashlib.sha256()
    before = connection.text_factory
    # Text as bytearray, blobs as bytes: repr() tells them apart, and text that isn't UTF-8 passes.
    connection.text_factory = bytearray
    try:
        for piece in _pieces(connection):
            digest.update(repr(piece).encode())
    finally:
        connection.text_factory = before
    return digest.hexdigest()


def _pieces(connection: sqlite3.Connection) -> Iterator[object]:
    for name in ("user_version", "application_id", "encoding"):
        yield connection.execute(f"PRAGMA {name}").fetchone()
    objects = connection.execute(
        "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema "
        "WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY type, name, tbl_name"
    ).fetchall()
    for *known, _ in objects:
        yield known
    for kind, name, *_, rootpage in objects:
        # A virtual table has no pages: its rows are those of its shadow tables.
        if kind == b"table" and rootpage:
            yield name
            yield from _rows(connection, name.decode())


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[object]:
    rowid, order = _identity(connection, table)
    columns = f"{rowid}, *" if rowid else "*"
    sql = f"SELECT {columns} FROM {quoted(table)} ORDER BY {order}"
    # One at a time: a thousand rows may be a gigabyte.
    yield from connection.execute(sql)


def _identity(connection: sqlite3.Connection, table: str) -> tuple[str | None, str]:
    """How the rowid is called here (None: there is none), and what fixes the order of rows."""
    columns = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    names = {row[1].decode().lower() for row in columns}
    for rowid in ("rowid", "_rowid_", "oid"):
        if rowid in names:
            continue
        try:
            connection.execute(f"SELECT {rowid} FROM {quoted(table)} LIMIT 0")
        except sqlite3.OperationalError:  # WITHOUT ROWID
            break
        return rowid, rowid
    keys = sorted((row for row in columns if row[5]), key=lambda row: int(row[5]))
    ordered = [quoted(row[1].decode()) for row in keys or columns]
    return None, ", ".join(f"{name} COLLATE BINARY" for name in ordered)
