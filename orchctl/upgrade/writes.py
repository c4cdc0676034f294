"""What a run wrote, as SQLite's authorizer saw it: which tables, and which columns by UPDATE."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from orchctl.upgrade.on_purpose import named_by

_TOUCHING = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


@dataclass
class Writes:
    """The tables and columns that statements of a run may have written.

    A table that is not in `touched` is untouched: every statement passes the authorizer when it is
    prepared, those of triggers included (https://www.sqlite.org/c3ref/set_authorizer.html).

    Attributes:
        touched: Tables with an INSERT, UPDATE, DELETE, DROP or ALTER, lower case.
        dropped: Tables that were dropped (and maybe built again), lower case.
        updated: (table, column) named by an UPDATE that stands in a revision itself, not in a
            trigger; lower case.
        dropped_by_name: (trigger | index | view, name) that a revision dropped by name.
        revisions: The files of the revisions that ran.
        direction: `upgrade` or `downgrade`.
        unseen: Whether a revision ran outside the transaction: any table may have been written
            past the authorizer, and VACUUM renumbers rowids.
    """

    touched: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    updated: set[tuple[str, str]] = field(default_factory=set)
    dropped_by_name: set[tuple[str, str]] = field(default_factory=set)
    revisions: list[Path] = field(default_factory=list)
    direction: str = "upgrade"
    unseen: bool = False

    def on_purpose(self) -> frozenset[tuple[str, str]]:
        """(trigger | index | view | constraint, name) that the revisions drop or make by name."""
        return named_by(self.revisions, self.direction) | self.dropped_by_name

    def note_revision(self, path: str, direction: str) -> None:
        """Take in that a revision begins."""
        self.revisions.append(Path(path))
        self.direction = direction

    def note(self, action: int, first: str | None, second: str | None, trigger: str | None) -> None:
        """Take in one call of the authorizer.

        Args:
            action: SQLite's action code.
            first: Its first argument: the table, or for ALTER TABLE the database.
            second: Its second: the column, or for ALTER TABLE the table.
            trigger: The innermost trigger or view that the access comes from, if any.
        """
        if action in _TOUCHING and first:
            self.touched.add(first.lower())
            if action == sqlite3.SQLITE_UPDATE and second and trigger is None:
                self.updated.add((first.lower(), second.lower()))
        elif action == sqlite3.SQLITE_DROP_TABLE and first:
            self.touched.add(first.lower())
            self.dropped.add(first.lower())
        elif action == sqlite3.SQLITE_ALTER_TABLE and second:
            self.touched.add(second.lower())
