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
from orchctl.database.ddl import UnreadableDdlError, parse_index
from orchctl.database.inspect import quoted
from orchctl.upgrade.full_text import contentless_losses, mend, numbered_with_gaps
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
_ORDERED = re.compile(r"\b(?:DESC|COLLATE)\b", re.IGNORECASE)
_CONSTRAINT = re.compile(r'CONSTRAINT (\w+|"[^"]+") ')
_WORD = re.compile(r"\w+")
Named = Collection[tuple[str, str]]


class SchemaBefore:
    """The schema when the write lock was taken.

    Args:
        connection: The upgrade's own, nothing written yet.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._schema = schema_of(connection)
        self._sequences = sequences(connection)
        self._gaps = numbered_with_gaps(connection, self._schema)
        self._full_text: list[SchemaLoss] = []
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema "
            "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        )
        self._statements = {
            (kind, name.lower()): (name, table, sql) for kind, name, table, sql in rows.fetchall()
        }

    def put_back(
        self, connection: Any, rebuilt: Collection[str], on_purpose: Named
    ) -> tuple[str, ...]:
        """Create again what a rebuild dropped and whose text is still valid.

        Args:
            connection: The upgrade's own, inside its transaction.
            rebuilt: Tables that were dropped and built again, lower case.
            on_purpose: (kind, name) of what a revision dropped or made by name, lower case.

        Returns:
            What was put back: `trigger t1`, `index ix1`, `sequence of t`.
        """
        done = []
        for (kind, key), (name, table, sql) in self._statements.items():
            if table.lower() not in rebuilt or (kind, key) in on_purpose:
                continue
            now = _statement(connection, kind, name)
            # Alembic makes no trigger; an index that it can reflect it left out on purpose.
            if now is not None if kind == "trigger" else now == sql or _reflected(sql):
                continue
            if _recreated(connection, kind, name, sql, there=now is not None):
                done.append(f"{kind} {name}")
        full_text, self._full_text = mend(connection, self._schema, schema_of(connection), rebuilt)
        return (*done, *full_text, *self._put_back_sequences(connection, rebuilt))

    def losses(
        self,
        connection: Any,
        rebuilt: Collection[str],
        on_purpose: Named,
        ignore: Collection[str],
    ) -> tuple[SchemaLoss, ...]:
        """What is gone or weaker in the tables that were built again.

        Args:
            connection: The upgrade's own, inside its transaction.
            rebuilt: Tables that were dropped and built again, lower case.
            on_purpose: (kind, name) of what a revision dropped or made by name, lower case.
            ignore: Alembic's own tables.
        """
        if not rebuilt:
            return ()
        after = schema_of(connection)
        columns, integers = _lost_columns(self._schema, after), _integer_columns(after)
        found = [
            SchemaLoss(one.kind, one.table, one.place, str(one))
            for one in compare(self._schema, after, ignore=frozenset(ignore))
            if one.table.lower() in rebuilt
            and not _meant(one, on_purpose)
            and not _new_key(one, self._schema)
            and _weaker(one, columns.get(one.table.lower(), set()), integers)
        ]
        triggers = {
            name: (table, sql)
            for (kind, _), (name, table, sql) in self._statements.items()
            if kind == "trigger"
        }
        found += self._full_text
        return (*found, *contentless_losses(connection, self._gaps, rebuilt, triggers))

    def _put_back_sequences(self, connection: Any, rebuilt: Collection[str]) -> Iterator[str]:
        now, counting = sequences(connection), _autoincrementing(schema_of(connection))
        for table, value in self._sequences.items():
            if table.lower() not in counting & set(rebuilt) or now.get(table, 0) >= value:
                continue
            connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, value)
            )
            yield f"sequence of {table}"


def _meant(one: SchemaDifference, on_purpose: Named) -> bool:
    """Whether a revision itself names what changed."""
    name = one.name.strip('"').lower()
    if (one.kind, name) in on_purpose or ("constraint", name) in on_purpose:
        return True
    constraints = [_CONSTRAINT.match(text) for text in (one.before or "", one.after or "")]
    return any(
        match and ("constraint", match[1].strip('"').lower()) in on_purpose for match in constraints
    )


def _new_key(one: SchemaDifference, before: Schema) -> bool:
    """Whether the table got its INTEGER PRIMARY KEY as a column that it didn't have."""
    if one.kind != "rowid-alias" or one.before is not None:
        return False
    names = (names for table, names in before.columns.items() if table.lower() == one.table.lower())
    return one.name.strip('"').lower() not in {name.lower() for name in next(names, ())}


def _weaker(
    one: SchemaDifference, lost_columns: set[str], integers: Collection[tuple[str, str]]
) -> bool:
    before, after = one.before, one.after
    if one.kind == "rowid-alias":
        # INT PRIMARY KEY became the rowid; or BIGINT: then a row without an id gets NULL for one.
        return before is None or (one.table.lower(), one.name.strip('"').lower()) in integers
    if before is None:
        return False
    if one.kind == "foreign-key":
        return after is not None and any(c in before and c not in after for c in _CLAUSES)
    if one.kind in ("unique", "primary-key"):
        return _key_weaker(one, before, after or "", lost_columns)
    if one.kind == "index":
        return _unreflected(before)
    return after is None and _gone(one, before, lost_columns)


def _gone(one: SchemaDifference, before: str, lost_columns: set[str]) -> bool:
    if one.kind != "trigger" and _words(f"{one.name} {before}") & lost_columns:
        return False  # it went with a column
    return one.kind in _GONE or (one.kind == "check" and not one.name)  # a named one is reflected


def _key_weaker(one: SchemaDifference, before: str, after: str, lost_columns: set[str]) -> bool:
    named = _words(one.name or before) - {"unique", "primary", "key", "constraint"}
    if named & lost_columns:
        # A dropped column takes a constraint over several columns with it.
        return bool(named - lost_columns)
    return bool(_ORDERED.search(before)) and not _ORDERED.search(after)


def _unreflected(terms: str) -> bool:
    """Whether an index has more to it than columns: an expression, a direction, a collation."""
    columns = terms.partition(" WHERE ")[0]
    return bool(_ORDERED.search(columns)) or not re.fullmatch(
        r'(?:UNIQUE )?\((?:\w+|"[^"]*")(?:, (?:\w+|"[^"]*"))*\)', columns
    )


def _reflected(sql: str) -> bool:
    """Whether Alembic sees all of a CREATE INDEX."""
    try:
        terms = parse_index(sql).terms
    except UnreadableDdlError:
        return False
    return all(len(term) == 1 for term in terms) and not _ORDERED.search(
        sql.partition(" WHERE ")[0]
    )


def _autoincrementing(schema: Schema) -> set[str]:
    return {fact.table.lower() for fact in schema.facts if fact.kind == "autoincrement"}


def _integer_columns(schema: Schema) -> set[tuple[str, str]]:
    return {
        (fact.table.lower(), fact.name.strip('"').lower())
        for fact in schema.facts
        if fact.kind == "column" and "INT" in fact.text.partition(" NOT NULL")[0].upper()
    }


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
