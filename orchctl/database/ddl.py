"""CREATE TABLE and CREATE INDEX taken apart: what SQLite's PRAGMAs don't tell.

The grammar is SQLite's own (https://www.sqlite.org/src/file/src/parse.y), which allows more than
its documentation draws: constraints without commas between them, a CONSTRAINT without anything
after it, columns after table constraints (ALTER TABLE ADD COLUMN writes them so), names in single
quotes. Expressions stay tokens; what they mean depends on all columns of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchctl.database.clauses import Check, Column, ForeignKey, Index, Key, Table, Term
from orchctl.database.tokens import Kind, Token, Tokens, closing, split, tokens, unwrapped


class UnreadableDdlError(Exception):
    """A statement that this parser doesn't understand; SQLite does, or did."""


def parse_table(sql: str) -> Table:
    """Take a CREATE TABLE apart.

    Args:
        sql: As `sqlite_schema` holds it.

    Raises:
        UnreadableDdlError: It isn't one, or not one that this parser knows.
    """
    found = tokens(sql)
    opening = next((i for i, token in enumerate(found) if token.is_sign("(")), len(found))
    end = closing(found, opening)
    if end >= len(found):
        raise UnreadableDdlError(sql)
    table = Table()
    for item in split(found[opening + 1 : end]):
        _Reader(item, table).item()
    for option in split(found[end + 1 :]):
        words = " ".join(token.text.upper() for token in option if token.text != ";")
        if words:
            table.options.append(words)
    return table


def parse_index(sql: str) -> Index:
    """Take a CREATE INDEX apart.

    Raises:
        UnreadableDdlError: It isn't one, or not one that this parser knows.
    """
    found = tokens(sql)
    on = next((i for i, token in enumerate(found) if token.is_word("ON")), len(found))
    opening = on + 2  # ON, the table's name, (
    end = closing(found, opening) if opening < len(found) else len(found)
    if end >= len(found) or not found[opening].is_sign("("):
        raise UnreadableDdlError(sql)
    where = [token for token in found[end + 1 :] if not token.is_sign(";")]
    if where and not where[0].is_word("WHERE"):
        raise UnreadableDdlError(sql)
    terms = tuple(_expression_of(term) for term in split(found[opening + 1 : end]))
    return Index(terms, where[1:] or None)


def body(sql: str) -> Tokens:
    """The tokens of a CREATE VIEW or CREATE TRIGGER after the name of what it creates.

    Args:
        sql: As `sqlite_schema` holds it.
    """
    found = [token for token in tokens(sql) if not token.is_sign(";")]
    start = next((i for i, token in enumerate(found) if token.is_word("VIEW", "TRIGGER")), -1) + 1
    if found[start : start + 1] and found[start].is_word("IF") and len(found) > start + 3:
        start += 3  # IF NOT EXISTS
    if len(found) > start + 1 and found[start + 1].is_sign("."):
        start += 2
    return found[start + 1 :]


def _expression_of(term: Tokens) -> Tokens:
    """An index's term without ASC or DESC and COLLATE, which PRAGMA index_xinfo tells."""
    if len(term) > 1 and term[-1].is_word("ASC", "DESC"):
        term = term[:-1]
    term = unwrapped(term)
    while len(term) > 2 and term[-2].is_word("COLLATE"):
        term = unwrapped(term[:-2])
    return term


_CONSTRAINTS = "CONSTRAINT PRIMARY UNIQUE NOT NULL DEFAULT CHECK COLLATE REFERENCES AS DEFERRABLE"
_STARTS_CONSTRAINT = tuple(_CONSTRAINTS.split())


class _Reader:
    """Reads one item between the commas of a CREATE TABLE into the table."""

    def __init__(self, found: Tokens, table: Table) -> None:
        self._found = found
        self._position = 0
        self._table = table
        self._label: str | None = None

    def item(self) -> None:
        """A column with its constraints, or table constraints."""
        if not self._at("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"):
            self._table.columns.append(Column(self._name()))
            self._skip_type()
            readers = self._column_constraints()
        else:
            readers = self._table_constraints()
        while self._position < len(self._found):
            self._constraint(readers)

    def _constraint(self, readers: dict[str, Callable[[], None]]) -> None:
        if self._accept("CONSTRAINT"):
            self._label = self._name()
            return
        token = self._take()
        read = readers.get(token.text.upper()) if token.kind is Kind.WORD else None
        if read is None:
            raise UnreadableDdlError(f"unexpected {token.text}")
        read()
        self._label = None

    # -- of a column ----------------------------------------------------------------------------

    def _column_constraints(self) -> dict[str, Callable[[], None]]:
        return {
            "PRIMARY": self._inline_primary,
            "UNIQUE": lambda: self._key(primary=False, terms=(Term(self._column.name),)),
            "NOT": self._not,
            "NULL": self._null,
            "DEFAULT": self._default,
            "CHECK": self._check,
            "COLLATE": self._collate,
            "REFERENCES": lambda: self._references((self._column.name,)),
            "DEFERRABLE": lambda: self._deferrable(possible=True),
            "GENERATED": self._generated,
            "AS": self._generation,
        }

    @property
    def _column(self) -> Column:
        return self._table.columns[-1]

    def _change(self, column: Column) -> None:
        self._table.columns[-1] = column

    def _skip_type(self) -> None:
        while self._position < len(self._found) and not self._at(*_STARTS_CONSTRAINT):
            if self._at("GENERATED") and self._at("ALWAYS", ahead=1):
                return
            self._parenthesised() if self._here("(") else self._take()

    def _inline_primary(self) -> None:
        self._expect("KEY")
        term = Term(self._column.name, descending=self._descending())
        self._key(primary=True, terms=(term,))
        self._table.autoincrement |= self._accept("AUTOINCREMENT")

    def _not(self) -> None:
        if self._at("DEFERRABLE"):
            self._not_deferrable()
            return
        self._expect("NULL")
        self._change(replace(self._column, not_null_conflict=self._conflict()))

    def _null(self) -> None:
        self._conflict()  # parsed by SQLite, and without effect

    def _default(self) -> None:
        while self._here("+") or self._here("-"):
            self._take()
        self._parenthesised() if self._here("(") else self._take()

    def _collate(self) -> None:
        self._change(replace(self._column, collation=self._name()))

    def _generated(self) -> None:
        self._expect("ALWAYS")
        self._expect("AS")
        self._generation()

    def _generation(self) -> None:
        self._change(replace(self._column, generated=self._parenthesised()))
        _ = self._accept("STORED") or self._accept("VIRTUAL")

    # -- of the table ---------------------------------------------------------------------------

    def _table_constraints(self) -> dict[str, Callable[[], None]]:
        return {
            "PRIMARY": self._primary,
            "UNIQUE": lambda: self._key(primary=False, terms=self._terms()),
            "CHECK": self._check,
            "FOREIGN": self._foreign,
            "NOT": self._not_deferrable,
            "DEFERRABLE": lambda: self._deferrable(possible=True),
        }

    def _primary(self) -> None:
        self._expect("KEY")
        self._key(primary=True, terms=self._terms())

    def _foreign(self) -> None:
        self._expect("KEY")
        columns = self._names()
        self._expect("REFERENCES")
        self._references(columns)

    # -- of both --------------------------------------------------------------------------------

    def _key(self, *, primary: bool, terms: tuple[Term, ...]) -> None:
        self._table.keys.append(Key(primary, self._label, terms, self._conflict()))

    def _check(self) -> None:
        self._table.checks.append(Check(self._label, self._parenthesised()))
        self._conflict()  # parsed by SQLite, and without effect

    def _references(self, columns: tuple[str, ...]) -> None:
        key = ForeignKey(self._label, columns, self._name())
        if self._here("("):
            key = replace(key, targets=self._names())
        self._table.foreign_keys.append(replace(key, actions=tuple(sorted(self._actions()))))

    def _actions(self) -> list[str]:
        actions: list[str] = []
        while self._at("ON", "MATCH"):
            if self._accept("MATCH"):
                actions.append(f"MATCH {self._name().upper()}")
                continue
            self._expect("ON")
            event, action = self._take().text.upper(), self._take().text.upper()
            if action in ("SET", "NO"):
                action += " " + self._take().text.upper()
            if action != "NO ACTION":
                actions.append(f"ON {event} {action}")
        return actions

    def _not_deferrable(self) -> None:
        self._expect("DEFERRABLE")
        self._deferrable(possible=False)

    def _deferrable(self, *, possible: bool) -> None:
        """A clause of its own in SQLite's grammar, about the last foreign key."""
        deferred = False
        if self._accept("INITIALLY"):
            deferred = self._take().is_word("DEFERRED")
        if self._table.foreign_keys:
            told = f"DEFERRABLE INITIALLY {'DEFERRED' if deferred else 'IMMEDIATE'}"
            last = replace(self._table.foreign_keys[-1], deferrable=told if possible else "")
            self._table.foreign_keys[-1] = last

    def _conflict(self) -> str | None:
        if not (self._at("ON") and self._at("CONFLICT", ahead=1)):
            return None
        self._position += 2
        action = self._take().text.upper()
        return None if action == "ABORT" else action

    def _terms(self) -> tuple[Term, ...]:
        parts = split(self._parenthesised())
        if parts and parts[-1] and parts[-1][-1].is_word("AUTOINCREMENT"):
            self._table.autoincrement = True
            parts[-1] = parts[-1][:-1]
        return tuple(_Reader(part, self._table).term() for part in parts)

    def term(self) -> Term:
        """A column of a key: `name`, `(name) COLLATE x`, `name DESC`."""
        found, descending, collation = self._found, False, None
        if len(found) > 1 and found[-1].is_word("ASC", "DESC"):
            descending, found = found[-1].is_word("DESC"), found[:-1]
        found = unwrapped(found)
        while len(found) > 2 and found[-2].is_word("COLLATE"):
            collation, found = collation or found[-1].text, unwrapped(found[:-2])
        if len(found) != 1 or found[0].kind in (Kind.SIGN, Kind.VALUE):
            raise UnreadableDdlError("a key of something else than columns")
        return Term(found[0].text, collation, descending)

    # -- tokens ---------------------------------------------------------------------------------

    def _at(self, *words: str, ahead: int = 0) -> bool:
        position = self._position + ahead
        return position < len(self._found) and self._found[position].is_word(*words)

    def _here(self, sign: str) -> bool:
        return self._position < len(self._found) and self._found[self._position].is_sign(sign)

    def _accept(self, word: str) -> bool:
        if self._at(word):
            self._position += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise UnreadableDdlError(f"{word} missing")

    def _take(self) -> Token:
        if self._position >= len(self._found):
            raise UnreadableDdlError("too short")
        self._position += 1
        return self._found[self._position - 1]

    def _name(self) -> str:
        token = self._take()
        if token.kind in (Kind.SIGN, Kind.VALUE):
            raise UnreadableDdlError(f"no name: {token.text}")
        return token.text

    def _names(self) -> tuple[str, ...]:
        # SQLite reads, and ignores, COLLATE and ASC here.
        parts = split(self._parenthesised())
        return tuple(_Reader(part, self._table)._name() for part in parts)

    def _descending(self) -> bool:
        return not self._accept("ASC") and self._accept("DESC")

    def _parenthesised(self) -> Tokens:
        if not self._here("("):
            raise UnreadableDdlError("( missing")
        start = self._position
        self._position = closing(self._found, start) + 1
        return self._found[start + 1 : self._position - 1]
