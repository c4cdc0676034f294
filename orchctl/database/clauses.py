"""What a CREATE TABLE or CREATE INDEX says, clause by clause."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchctl.database.tokens import Tokens


@dataclass(frozen=True)
class Term:
    """A column of a key: its name, the collation if one is given, the direction."""

    name: str
    collation: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class Key:
    """A PRIMARY KEY or UNIQUE constraint, wherever it stands.

    Attributes:
        primary: Whether it is the primary key.
        name: The constraint's name.
        terms: Its columns.
        conflict: `REPLACE`, `IGNORE` …; None for the default, ABORT.
    """

    primary: bool
    name: str | None
    terms: tuple[Term, ...]
    conflict: str | None


@dataclass(frozen=True)
class ForeignKey:
    """A REFERENCES clause, of a column or of the table.

    Attributes:
        name: The constraint's name.
        columns: The child's columns.
        table: The parent.
        targets: The parent's columns; empty when they are left out.
        actions: `ON DELETE CASCADE` and the like that differ from NO ACTION, sorted; MATCH.
        deferrable: `DEFERRABLE INITIALLY DEFERRED`, `… IMMEDIATE`, or empty.
    """

    name: str | None
    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    deferrable: str = ""


@dataclass(frozen=True)
class Check:
    """A CHECK: its name, its expression."""

    name: str | None
    condition: Tokens


@dataclass(frozen=True)
class Column:
    """What a column's definition says beyond `PRAGMA table_xinfo`.

    Attributes:
        name: Its name, as written.
        collation: The collation given.
        not_null_conflict: The conflict clause of NOT NULL.
        generated: The expression of a generated column.
    """

    name: str
    collation: str | None = None
    not_null_conflict: str | None = None
    generated: Tokens | None = None


@dataclass
class Table:
    """What a CREATE TABLE says.

    Attributes:
        columns: The columns in order.
        keys: PRIMARY KEY and UNIQUE constraints.
        foreign_keys: Foreign keys.
        checks: CHECKs of columns and of the table.
        autoincrement: Whether the primary key has AUTOINCREMENT.
        options: `STRICT`, `WITHOUT ROWID`.
    """

    columns: list[Column] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    autoincrement: bool = False
    options: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Index:
    """What a CREATE INDEX says: its terms without collation and direction, its WHERE."""

    terms: tuple[Tokens, ...]
    where: Tokens | None
