"""Full-text indexes over a table that was built again.

An FTS table with external content (https://www.sqlite.org/fts5.html#external_content_tables) finds
its rows by rowid. Where no INTEGER PRIMARY KEY holds it, a rebuild numbers the rows anew, and the
index then answers with other rows or with "database disk image is malformed". A contentless one
only knows the rowids that triggers gave it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchctl.database.inspect import quoted
from orchctl.database.schema import Schema
from orchctl.upgrade.proof import SchemaLoss

_VIRTUAL = re.compile(r"\s*create\s+virtual\s+table\b.*?\busing\s+(fts[45])\b", re.I | re.S)
_OPTION = r"[(,]\s*{}\s*=\s*(\"[^\"]*\"|'[^']*'|\w+)"
_CONTENT = re.compile(_OPTION.format("content"), re.IGNORECASE)
_ROWID_COLUMN = re.compile(_OPTION.format("content_rowid"), re.IGNORECASE)
_ROWIDS = ("rowid", "_rowid_", "oid")
_OF_ROW = re.compile(r"\b(?:new|old)\s*\.\s*[\"'`\[]?(?:rowid|_rowid_|oid)\b", re.IGNORECASE)


@dataclass(frozen=True)
class FullText:
    """A full-text table that keeps no content of its own.

    Attributes:
        name: Its name.
        module: fts4 or fts5.
        content: The table its content is in, lower case; empty for a contentless one.
        rowid: The column that holds the rowid there, lower case; `rowid` itself by default.
    """

    name: str
    module: str
    content: str
    rowid: str


def full_texts(connection: Any) -> tuple[FullText, ...]:
    """The full-text tables of a database that keep no content of their own."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0"
    ).fetchall()
    return tuple(found for name, sql in rows if (found := _read(name, sql or "")) is not None)


def _read(name: str, sql: str) -> FullText | None:
    module, content = _VIRTUAL.match(sql), _CONTENT.search(sql)
    if module is None or content is None:
        return None
    rowid = _ROWID_COLUMN.search(sql)
    column = rowid[1].strip("\"'").lower() if rowid else "rowid"
    return FullText(name, module[1].lower(), content[1].strip("\"'").lower(), column)


def numbered_with_gaps(connection: Any, schema: Schema) -> frozenset[str]:
    """Tables whose rows a rebuild numbers anew, lower case; looked for only where FTS is used."""
    if not any(not one.content for one in full_texts(connection)):
        return frozenset()
    fixed = _rowid_columns(schema)
    without = {fact.table.lower() for fact in schema.facts if fact.name == "WITHOUT ROWID"}
    return frozenset(
        table.lower()
        for table in schema.columns
        if table.lower() not in without | set(fixed) and _has_gaps(connection, table)
    )


def _has_gaps(connection: Any, table: str) -> bool:
    rows, first, last = connection.execute(
        f"SELECT count(*), min(rowid), max(rowid) FROM {quoted(table)}"
    ).fetchone()
    return bool(rows) and (first, last) != (1, rows)


def mend(
    connection: Any, before: Schema, after: Schema, rebuilt: Collection[str]
) -> tuple[list[str], list[SchemaLoss]]:
    """Fill the indexes again whose rows have new rowids.

    Args:
        connection: The upgrade's own, inside its transaction.
        before: The schema before the run.
        after: The schema now.
        rebuilt: Tables that were dropped and built again, lower case.

    Returns:
        What was filled again, as text; what could not be.
    """
    done, losses = [], []
    old, new = _rowid_columns(before), _rowid_columns(after)
    for one in full_texts(connection):
        if one.content not in rebuilt:
            continue
        stable = old.get(one.content) == new.get(one.content) is not None
        if stable or _agrees(connection, one):
            continue
        if _command(connection, one, "'rebuild'"):
            done.append(f"full-text index {one.name}, filled again for the new rowids")
        else:
            told = f"full-text index {one.name} no longer finds the rows of {one.content}"
            losses.append(SchemaLoss("full-text", one.content, one.name, told))
    return done, losses


def contentless_losses(
    connection: Any,
    gaps: Collection[str],
    rebuilt: Collection[str],
    triggers: Mapping[str, tuple[str, str]],
) -> Iterator[SchemaLoss]:
    """Contentless indexes that hold rowids which a rebuild changed.

    Args:
        connection: The upgrade's own, inside its transaction.
        gaps: From `numbered_with_gaps`, before the run.
        rebuilt: Tables that were dropped and built again, lower case.
        triggers: The triggers before, by name: their table and text.
    """
    contentless = [one.name for one in full_texts(connection) if not one.content]
    for name in contentless:
        word = re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
        tables = {
            table for table, sql in triggers.values() if word.search(sql) and _OF_ROW.search(sql)
        }
        for table in sorted(tables):
            if table.lower() in rebuilt and table.lower() in gaps:
                told = f"full-text index {name} holds rowids of {table}, whose rows have new ones"
                yield SchemaLoss("full-text", table, name, told)


def _rowid_columns(schema: Schema) -> dict[str, str]:
    return {
        fact.table.lower(): fact.name.strip('"').lower()
        for fact in schema.facts
        if fact.kind == "rowid-alias"
    }


def _agrees(connection: Any, one: FullText) -> bool:
    if one.module == "fts4":
        return _command(connection, one, "'integrity-check'")
    return _command(connection, one, "'integrity-check'", rank=True)


def _command(connection: Any, one: FullText, command: str, *, rank: bool = False) -> bool:
    """Give an FTS table one of its commands; False when it fails."""
    name = quoted(one.name)
    # With rank 1 the external content is compared too.
    columns, values = (f"{name}, rank", f"{command}, 1") if rank else (name, command)
    connection.execute("SAVEPOINT orchctl_full_text").close()
    try:
        connection.execute(f"INSERT INTO {name}({columns}) VALUES ({values})").close()
    except sqlite3.Error:
        connection.execute("ROLLBACK TO orchctl_full_text").close()
        return False
    finally:
        connection.execute("RELEASE orchctl_full_text").close()
    return True
