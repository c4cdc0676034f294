"""What a run wrote, as SQLite's authorizer saw it: which tables, and which columns by UPDATE."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from orchctl.upgrade.on_purpose import named_by
from orchctl.upgrade.statements import adds_column

_TOUCHING = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


@dataclass
class Writes:
    """The tables and columns that statements of a run may have written.

    A table that is not in `touched` is untouched: every statement passes the authorizer when it is
    prepared, those of triggers included (https://www.sqlite.org/c3ref/set_authorizer.html).

    Attributes:
        touched: Tables with an INSERT, UPDATE, DELETE, DROP or ALTER, lower case.
        dropped: Tables that were dropped (and maybe built again), lower case.
        rearranged: Touched tables with anything but an UPDATE or ALTER TABLE ADD COLUMN, lower
            case. Of the others, every row that was there is, but for one that an UPDATE replaces.
        updated: (table, column) named by an UPDATE that stands in a revision itself, not in a
            trigger; lower case.
        updated_somehow: (table, column) named by any UPDATE; lower case.
        dropped_by_name: (trigger | index | view, name) that a revision dropped by name.
        unindexed: Tables that lost an index, lower case.
        revisions: The files of the revisions that ran.
        direction: `upgrade` or `downgrade`.
        unseen: Whether a revision ran outside the transaction: any table may have been written
            past the authorizer, and VACUUM renumbers rowids.
        schema_open: Whether `PRAGMA writable_schema` was set: then no table is untouched.
    """

    touched: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    rearranged: set[str] = field(default_factory=set)
    updated: set[tuple[str, str]] = field(default_factory=set)
    updated_somehow: set[tuple[str, str]] = field(default_factory=set)
    dropped_by_name: set[tuple[str, str]] = field(default_factory=set)
    unindexed: set[str] = field(default_factory=set)
    revisions: list[Path] = field(default_factory=list)
    direction: str = "upgrade"
    unseen: bool = False
    schema_open: bool = False

    def on_purpose(self) -> frozenset[tuple[str, str]]:
        """(trigger | index | view | constraint, name) that the revisions drop or make by name."""
        return named_by(self.revisions, self.direction) | self.dropped_by_name

    def note_revision(self, path: str, direction: str) -> None:
        """Take in that a revision begins."""
        self.revisions.append(Path(path))
        self.direction = direction

    def note(
        self,
        action: int,
        first: str | None,
        second: str | None,
        trigger: str | None,
        third: str | None = None,
        sql: str | None = None,
    ) -> None:
        """Take in one call of the authorizer.

        Args:
            action: SQLite's action code.
            first: Its first argument: the table, or for ALTER TABLE the database.
            second: Its second: the column, or for ALTER TABLE the table.
            trigger: The innermost trigger or view that the access comes from, if any.
            third: Its third: the schema, or for ALTER TABLE DROP COLUMN the column.
            sql: The statement, as far as it is known.
        """
        if action == sqlite3.SQLITE_UPDATE and first:
            self.touched.add(first.lower())
            self._updated(first.lower(), second, by_trigger=trigger is not None)
        elif action in _TOUCHING and first:
            self._rearranged(first)
        elif action == sqlite3.SQLITE_DROP_TABLE and first:
            self._rearranged(first)
            self.dropped.add(first.lower())
        elif action == sqlite3.SQLITE_ALTER_TABLE and second:
            if third is None and adds_column(sql or ""):
                self.touched.add(second.lower())
            else:
                self._rearranged(second)
        elif action == sqlite3.SQLITE_DROP_INDEX and second:
            self.unindexed.add(second.lower())
        elif action == sqlite3.SQLITE_PRAGMA and first and first.lower() == "writable_schema":
            self.schema_open |= second is not None

    @property
    def everything(self) -> bool:
        """Whether any table may have been written to."""
        return self.unseen or self.schema_open

    def changed_columns(self, table: str) -> frozenset[str] | None:
        """The columns in which rows of a table may differ from before, lower case.

        ALTER TABLE ADD COLUMN rewrites no row: one that is shorter than the schema reads as the
        default (https://www.sqlite.org/lang_altertable.html). An UPDATE writes the columns that
        the authorizer names, one of the rowid as the rowid's alias or as `ROWID`.

        Args:
            table: Its name before, lower case.

        Returns:
            None when rows may have come or gone, or anything may be different.
        """
        if self.everything or table in self.rearranged:
            return None
        return frozenset(column for name, column in self.updated_somehow if name == table)

    def _rearranged(self, table: str) -> None:
        self.touched.add(table.lower())
        self.rearranged.add(table.lower())

    def _updated(self, table: str, column: str | None, *, by_trigger: bool) -> None:
        if column is None:
            self.rearranged.add(table)
            return
        self.updated_somehow.add((table, column.lower()))
        if not by_trigger:
            self.updated.add((table, column.lower()))
