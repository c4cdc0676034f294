"""A database's schema as facts in one spelling, so that two of them can be compared.

What SQLite's PRAGMAs tell is asked there (columns, index terms, the rowid); the rest is read from
the statements in `sqlite_schema`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from orchctl.database.ddl import body
from orchctl.database.table import Fact, columns_of, table_facts
from orchctl.database.tokens import folded, statement, tokens, verbatim


@dataclass(frozen=True)
class Schema:
    """All facts of a schema, and the order of each table's columns.

    Attributes:
        facts: The facts, in no particular order.
        columns: Names of the columns in order, by table.
    """

    facts: tuple[Fact, ...]
    columns: Mapping[str, tuple[str, ...]]


# Tables that a virtual table's module keeps its rows in; what they look like is the module's.
_SHADOWS = {
    "fts3": ("content", "segments", "segdir", "docsize", "stat"),
    "fts4": ("content", "segments", "segdir", "docsize", "stat"),
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": ("node", "parent", "rowid"),
    "rtree_i32": ("node", "parent", "rowid"),
    "geopoly": ("node", "parent", "rowid"),
}


def schema_of(connection: sqlite3.Connection) -> Schema:
    """The schema of a connection's main database, SQLite's own tables left out.

    Args:
        connection: Any; what an open transaction changed is seen.

    Raises:
        sqlite3.Error: The schema can't be read.
    """
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    objects = [row for row in rows if not folded(row[1]).startswith("sqlite_")]
    virtual = {name: sql for kind, name, _, sql in objects if kind == "table" and _is_virtual(sql)}
    hidden = _shadows(virtual) | {folded(name) for name in virtual}
    tables = {
        name: columns_of(connection, name)
        for kind, name, *_ in objects
        if kind == "table" and folded(name) not in hidden
    }
    names = {folded(row[1]) for row in objects}
    names.update(folded(column.name) for columns in tables.values() for column in columns)
    facts = [Fact("virtual-table", name, "", _module(sql)) for name, sql in virtual.items()]
    for kind, name, table, sql in objects:
        if kind == "table" and name in tables:
            facts += table_facts(connection, name, sql, tables)
        elif kind == "view":
            facts.append(Fact("view", name, "", f"{name}{_view(sql, names)}"))
        elif kind == "trigger":
            facts.append(Fact("trigger", table, name, statement(body(sql), names)))
    order = {name: tuple(column.name for column in columns) for name, columns in tables.items()}
    return Schema(tuple(facts), order)


def sequences(connection: sqlite3.Connection) -> dict[str, int]:
    """The highest rowid ever given out, for every table with AUTOINCREMENT that had a row.

    https://www.sqlite.org/autoinc.html: kept in `sqlite_sequence`, which a rebuilt table loses.
    """
    known = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"
    ).fetchone()
    if not known:
        return {}
    rows = connection.execute("SELECT name, seq FROM sqlite_sequence WHERE name IS NOT NULL")
    return {str(name): int(value or 0) for name, value in rows}


def _is_virtual(sql: str | None) -> bool:
    found = tokens((sql or "")[:200])
    return len(found) > 1 and found[1].is_word("VIRTUAL")


def _module(sql: str) -> str:
    """What follows USING: the module's name and its arguments, which only it understands."""
    found = tokens(sql)
    using = next((i for i, token in enumerate(found) if token.is_word("USING")), 0)
    return verbatim(found[using:])


def _shadows(virtual: Mapping[str, str]) -> set[str]:
    hidden: set[str] = set()
    for name, sql in virtual.items():
        module = folded(_module(sql).removeprefix("USING ").partition("(")[0].strip())
        hidden.update(folded(f"{name}_{ending}") for ending in _SHADOWS.get(module, ()))
    return hidden


def _view(sql: str, names: Collection[str]) -> str:
    found = body(sql)
    start = next((i for i, token in enumerate(found) if token.is_word("AS")), 0)
    listed = f" {verbatim(found[:start])}" if start else ""
    return f"{listed} {statement(found[start:], names)}"
