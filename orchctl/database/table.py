"""One table as facts: what the PRAGMAs say and what its CREATE TABLE says, put together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchctl.database.clauses import ForeignKey, Key, Table, Term
from orchctl.database.ddl import UnreadableDdlError, parse_index, parse_table
from orchctl.database.inspect import quoted
from orchctl.database.tokens import (
    Kind,
    expression,
    folded,
    identifier,
    identifiers,
    tokens,
    unwrapped,
    verbatim,
)

_STORED = 3
_LITERALS = ("TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP")


@dataclass(frozen=True)
class Fact:
    """One thing that holds in a schema.

    Attributes:
        kind: `table`, `view`, `virtual-table`, `column`, `collation`, `generated`, `primary-key`,
            `rowid-alias`, `autoincrement`, `unique`, `foreign-key`, `check`, `on-conflict`,
            `index`, `trigger`, `table-option`; `statement` for a CREATE TABLE that could not be
            taken apart.
        table: The table or view it belongs to.
        name: What it is about there: a column, an index, the columns of a constraint, the name of
            a CHECK; empty for the table itself.
        text: What holds, in one spelling.
    """

    kind: str
    table: str
    name: str
    text: str


@dataclass(frozen=True)
class ColumnRow:
    """A row of PRAGMA table_xinfo."""

    name: str
    type: str
    not_null: bool
    default: str | None
    key: int
    hidden: int


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[ColumnRow, ...]:
    """The columns of a table of the main database, in order."""
    rows = connection.execute(f"PRAGMA main.table_xinfo({quoted(table)})").fetchall()
    return tuple(
        ColumnRow(name, kind or "", bool(not_null), default, key, hidden)
        for _, name, kind, not_null, default, key, hidden in rows
    )


def table_facts(
    connection: sqlite3.Connection,
    name: str,
    sql: str,
    tables: Mapping[str, tuple[ColumnRow, ...]],
) -> list[Fact]:
    """All facts of one table and its indexes.

    Args:
        connection: To the database.
        name: The table, as `sqlite_schema` names it.
        sql: Its CREATE TABLE.
        tables: The columns of every table: a foreign key may leave its parent's unsaid.
    """
    return _Reading(connection, name, sql, tables).facts()


class _Reading:
    """One table's facts: what the PRAGMAs say and what its CREATE TABLE says, put together."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        sql: str,
        tables: Mapping[str, tuple[ColumnRow, ...]],
    ) -> None:
        self._connection = connection
        self._name = name
        self._sql = sql
        self._tables = tables
        self._columns = tables[name]
        self._known = {folded(column.name) for column in self._columns}
        self._indexes = connection.execute(f"PRAGMA main.index_list({quoted(name)})").fetchall()
        self._rowid = self._rowid_alias()
        self._collations: dict[str, str] = {}

    def facts(self) -> list[Fact]:
        """All facts of the table and its indexes."""
        found = [self._fact("table", "", self._name)]
        table = self._parsed()
        if table is None:
            found.append(self._fact("statement", "", verbatim(tokens(self._sql))))
        else:
            self._collations = {
                folded(column.name): (column.collation or "BINARY").upper()
                for column in table.columns
            }
            found += self._stated(table)
        found += [self._fact("column", one.name, self._column(one)) for one in self._columns]
        if self._rowid:
            found.append(self._fact("rowid-alias", identifier(self._rowid), "the rowid"))
        # Those of constraints are told by the constraints.
        found += [self._index(*row[1:3]) for row in self._indexes if row[3] == "c"]
        return found

    def _parsed(self) -> Table | None:
        """The CREATE TABLE taken apart; None when SQLite sees other columns in it than we do."""
        try:
            table = parse_table(self._sql)
        except UnreadableDdlError:
            return None
        names = [folded(column.name) for column in table.columns]
        return table if names == [folded(column.name) for column in self._columns] else None

    def _fact(self, kind: str, name: str, text: str) -> Fact:
        return Fact(kind, self._name, name, text)

    def _rowid_alias(self) -> str | None:
        keys = [column.name for column in self._columns if column.key]
        if len(keys) != 1 or any(origin == "pk" for *_, origin, _ in self._indexes):
            return None
        return keys[0]

    # -- columns --------------------------------------------------------------------------------

    def _column(self, column: ColumnRow) -> str:
        kind = tokens(column.type)
        if column.hidden and kind and kind[-1].is_word("GENERATED"):
            kind = kind[:-1]  # SQLite cuts GENERATED ALWAYS off, but not across a comment
        words = [verbatim(kind).upper()]
        # SQLite itself never lets the rowid be NULL.
        if column.not_null and column.name != self._rowid:
            words.append("NOT NULL")
        if column.default is not None and (default := _default(column.default)) != "NULL":
            words.append(f"DEFAULT {default}")
        return " ".join(filter(None, words)) or "without a type"

    def _stated(self, table: Table) -> Iterator[Fact]:
        stored = {folded(column.name) for column in self._columns if column.hidden == _STORED}
        for column in table.columns:
            name = identifier(column.name)
            collation = self._collations[folded(column.name)]
            if collation != "BINARY":
                yield self._fact("collation", name, collation)
            if column.generated is not None:
                kept = "STORED" if folded(column.name) in stored else "VIRTUAL"
                text = expression(column.generated, self._known)
                yield self._fact("generated", name, f"({text}) {kept}")
            if column.not_null_conflict:
                yield self._fact("on-conflict", f"{name} NOT NULL", column.not_null_conflict)
        yield from self._constraints(table)
        for option in table.options:
            yield self._fact("table-option", option, option)

    # -- constraints ----------------------------------------------------------------------------

    def _constraints(self, table: Table) -> Iterator[Fact]:
        for key in table.keys:
            yield from self._key(key)
        if table.autoincrement:
            yield self._fact("autoincrement", identifier(self._rowid or ""), "AUTOINCREMENT")
        for foreign in table.foreign_keys:
            text = _named(foreign.name) + self._references(foreign)
            yield self._fact("foreign-key", f"({identifiers(foreign.columns)})", text)
        for check in table.checks:
            text = f"CHECK ({expression(check.condition, self._known)})"
            yield self._fact("check", identifier(check.name) if check.name else "", text)

    def _key(self, key: Key) -> Iterator[Fact]:
        terms = ", ".join(self._term(term) for term in key.terms)
        kind, word = ("primary-key", "PRIMARY KEY") if key.primary else ("unique", "UNIQUE")
        name = "" if key.primary else f"({terms})"
        yield self._fact(kind, name, f"{_named(key.name)}{word} ({terms})")
        if key.conflict:
            yield self._fact("on-conflict", f"{word} ({terms})", key.conflict)

    def _term(self, term: Term) -> str:
        text = identifier(term.name)
        own = self._collations.get(folded(term.name), "BINARY")
        if term.collation and term.collation.upper() != own:
            text += f" COLLATE {term.collation.upper()}"
        return f"{text} DESC" if term.descending else text

    def _references(self, key: ForeignKey) -> str:
        targets = key.targets
        if not targets:  # the parent's primary key is meant
            parent = next((one for one in self._tables if folded(one) == folded(key.table)), "")
            found = sorted((c for c in self._tables.get(parent, ()) if c.key), key=lambda c: c.key)
            if len(found) == len(key.columns):
                targets = tuple(column.name for column in found)
        text = f"REFERENCES {identifier(key.table)}"
        text += f" ({identifiers(targets)})" if targets else ""
        return " ".join(filter(None, (text, *key.actions, key.deferrable)))

    # -- indexes --------------------------------------------------------------------------------

    def _index(self, name: str, unique: int) -> Fact:
        sql = self._connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)
        ).fetchone()[0]
        rows = self._connection.execute(f"PRAGMA main.index_xinfo({quoted(name)})").fetchall()
        keys = [row for row in rows if row[5]]
        try:
            stated = parse_index(sql)
        except UnreadableDdlError:
            return self._fact("index", name, verbatim(tokens(sql)))
        if len(stated.terms) != len(keys):
            return self._fact("index", name, verbatim(tokens(sql)))
        terms = []
        for (_, _, column, descending, collation, _), term in zip(keys, stated.terms, strict=True):
            text = identifier(column) if column else expression(term, self._known)
            own = self._collations.get(folded(column), "BINARY") if column else "BINARY"
            text += f" COLLATE {collation.upper()}" if collation.upper() != own else ""
            terms.append(f"{text} DESC" if descending else text)
        text = f"{'UNIQUE ' if unique else ''}({', '.join(terms)})"
        if stated.where is not None:
            text += f" WHERE {expression(stated.where, self._known)}"
        return self._fact("index", name, text)


def _default(text: str) -> str:
    found = unwrapped(tokens(text))
    if len(found) == 1 and (
        found[0].kind is Kind.NAME
        or (found[0].kind is Kind.WORD and not found[0].is_word("NULL", *_LITERALS))
    ):
        # A name as a default is a string (https://www.sqlite.org/src/file/src/parse.y).
        return "'" + found[0].text.replace("'", "''") + "'"
    return expression(found, ())


def _named(name: str | None) -> str:
    return f"CONSTRAINT {identifier(name)} " if name else ""
