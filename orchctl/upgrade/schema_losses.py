"""What Alembic's batch mode drops without a word, found and, where its text still holds, put back.

A batch operation rebuilds a table from what SQLAlchemy could reflect of it. Triggers, expression
indexes, DESC and COLLATE, unnamed CHECKs, column collations, AUTOINCREMENT, ON CONFLICT and the
actions of inline REFERENCES are not among that.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

from orchctl.database.compare import Schema, SchemaDifference, compare, schema_of, sequences
from orchctl.database.inspect import quoted
from orchctl.upgrade.proof import SchemaLoss

_GONE = {
    "trigger",
    "view",
    "collation",
    "autoincrement",
    "on-conflict",
    "generated",
    "table-option",
}
_CLAUSES = ("ON DELETE", "ON UPDATE", "DEFERRABLE", "MATCH")
_UNREFLECTED = re.compile(r"\bDESC\b|\bCOLLATE\b|\(.*\(", re.IGNORECASE)
_WORD = re.compile(r"\w+")


class SchemaBefore:
    """The schema when the write lock was taken.

    Args:
        connection: The upgrade's own, nothing written yet.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._schema = schema_of(connection)
        self._sequences = sequences(connection)
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema "
            "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        )
        self._statements = {
            (kind, name.lower()): (name, table, sql) for kind, name, table, sql in rows.fetchall()
        }

    def put_back(
        self, connection: Any, rebuilt: Collection[str], dropped: Collection[tuple[str, str]]
    ) -> tuple[str, ...]:
        """Create again what a rebuild dropped and whose text is still valid.

        Args:
            connection: The upgrade's own, inside its transaction.
            rebuilt: Tables that were dropped and built again, lower case.
            dropped: (kind, name) of what a revision dropped by name, lower case.

        Returns:
            What was put back: `trigger t1`, `index ix1`, `sequence of t`.
        """
        done = []
        for (kind, key), (name, table, sql) in self._statements.items():
            if table.lower() not in rebuilt or (kind, key) in dropped:
                continue
            now = _statement(connection, kind, name)
            if now == sql or (kind == "index" and not _UNREFLECTED.search(sql)):
                continue
            if _recreated(connection, kind, name, sql, there=now is not None):
                done.append(f"{kind} {name}")
        return (*done, *self._put_back_sequences(connection, rebuilt))

    def losses(
        self,
        connection: Any,
        rebuilt: Collection[str],
        dropped: Collection[tuple[str, str]],
        ignore: Collection[str],
    ) -> tuple[SchemaLoss, ...]:
        """What is gone or weaker in the tables that were built again.

        Args:
            connection: The upgrade's own, inside its transaction.
            rebuilt: Tables that were dropped and built again, lower case.
            dropped: (kind, name) of what a revision dropped by name, lower case.
            ignore: Alembic's own tables.
        """
        if not rebuilt:
            return ()
        after = schema_of(connection)
        columns = _lost_columns(self._schema, after)
        return tuple(
            SchemaLoss(one.kind, one.table, one.place, str(one))
            for one in compare(self._schema, after, ignore=frozenset(ignore))
            if one.table.lower() in rebuilt
            and (one.kind, one.name.lower()) not in dropped
            and _weaker(one, columns.get(one.table.lower(), set()))
        )

    def _put_back_sequences(self, connection: Any, rebuilt: Collection[str]) -> Iterator[str]:
        now = sequences(connection)
        for table, value in self._sequences.items():
            if table.lower() in rebuilt and 0 < now.get(table, value) < value:
                connection.execute(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (value, table)
                )
                yield f"sequence of {table}"


def _weaker(one: SchemaDifference, lost_columns: set[str]) -> bool:
    before, after = one.before, one.after
    if before is None:
        return one.kind == "rowid-alias"  # INT PRIMARY KEY became the rowid
    if one.kind == "foreign-key":
        return after is not None and any(c in before and c not in after for c in _CLAUSES)
    if one.kind in ("unique", "primary-key"):
        # A dropped column takes a constraint over several columns with it.
        named = _words(one.name or before) - {"unique", "primary", "key"}
        return bool(named & lost_columns) and bool(named - lost_columns)
    if one.kind == "index":
        return bool(_UNREFLECTED.search(before))
    if one.kind != "trigger" and _words(f"{one.name} {before}") & lost_columns:
        return False  # it went with a column
    unnamed_check = one.kind == "check" and not one.name  # a named one is reflected
    return after is None and (one.kind in _GONE or unnamed_check)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _lost_columns(before: Schema, after: Schema) -> dict[str, set[str]]:
    now = {
        table.lower(): {name.lower() for name in names} for table, names in after.columns.items()
    }
    return {
        table.lower(): {name.lower() for name in names} - now.get(table.lower(), set())
        for table, names in before.columns.items()
    }


def _statement(connection: Any, kind: str, name: str) -> str | None:
    row = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE type = ? AND name = ?", (kind, name)
    ).fetchone()
    return row[0] if row else None


def _recreated(connection: Any, kind: str, name: str, sql: str, *, there: bool) -> bool:
    connection.execute("SAVEPOINT orchctl_put_back")
    try:
        if there:
            connection.execute(f"DROP {kind} {quoted(name)}")
        connection.execute(sql)
    except sqlite3.Error:
        connection.execute("ROLLBACK TO orchctl_put_back")
        return False
    finally:
        connection.execute("RELEASE orchctl_put_back")
    return True
