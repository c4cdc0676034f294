"""Two schemas compared: everything that differs, and nothing that is only written differently.

Alembic's batch mode rebuilds a table from what it could reflect: what it could not see is gone
without a word. So triggers, CHECKs, collations, conflict clauses and the like are all compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.schema import Schema, schema_of, sequences
from orchctl.database.table import Fact
from orchctl.database.tokens import folded

__all__ = ["Schema", "SchemaDifference", "compare", "schema_of", "sequences"]

_NOTHING = Fact("", "", "", "")
_OBJECTS = ("table", "view", "virtual-table")


@dataclass(frozen=True)
class SchemaDifference:
    """One thing that differs.

    Attributes:
        kind: As in `Fact`, and `column-order`.
        table: The table or view it belongs to.
        name: What it is about there; empty for the table itself.
        before: What held before, in one spelling; None when it wasn't there.
        after: What holds after; None when it is gone.
    """

    kind: str
    table: str
    name: str
    before: str | None
    after: str | None

    @property
    def place(self) -> str:
        """The table and what it is about there: `providers.name`, `child (parent_id)`."""
        if not self.name:
            return self.table
        return f"{self.table}{' ' if self.name.startswith('(') else '.'}{self.name}"

    def __str__(self) -> str:
        subject = f"{self.kind} {self.place}"
        if self.before is None:
            return f"{subject} is new: {self.after}"
        if self.after is None:
            return f"{subject} is gone: {self.before}"
        return f"{subject}: {self.before} -> {self.after}"


def compare(
    before: Schema, after: Schema, *, ignore: Collection[str] = frozenset({VERSION_TABLE})
) -> tuple[SchemaDifference, ...]:
    """What differs between two schemas.

    Not a difference: quotes, letter case of keywords and types, white space, comments, the order
    of constraints, whether a constraint stands with its column or with the table, names of NOT
    NULL and DEFAULT clauses, DEFAULT NULL, NOT NULL on the rowid, REFERENCES with or without the
    parent's primary key spelled out. The order of columns has a kind of its own, `column-order`,
    and counts only the columns that are on both sides.

    Args:
        before: What was, or what should be.
        after: What is.
        ignore: Tables not to look at.

    Returns:
        The differences, table by table; empty when the schemas are equal. Of a table or view that
        is on one side only nothing else is told.
    """
    ignored = {folded(name) for name in ignore}
    old, new = (_facts(schema, ignored) for schema in (before, after))
    lone = _objects(old) ^ _objects(new)
    found = [
        *_paired(
            _lasting((old - new).elements(), lone),
            _lasting((new - old).elements(), lone),
        ),
        *_orders(before, after, ignored),
    ]
    names = {folded(fact.table): fact.table for fact in (*before.facts, *after.facts)}
    told = (_told(one, names[one.table], before, after) for one in found)
    return tuple(sorted(told, key=_place))


def _facts(schema: Schema, ignored: Collection[str]) -> Counter[Fact]:
    # The table's own spelling counts once, in the fact about the table itself.
    return Counter(
        Fact(fact.kind, folded(fact.table), fact.name, fact.text)
        for fact in schema.facts
        if folded(fact.table) not in ignored
    )


def _objects(facts: Iterable[Fact]) -> set[tuple[str, str]]:
    return {(fact.kind, fact.table) for fact in facts if fact.kind in _OBJECTS}


def _lasting(facts: Iterable[Fact], lone: Collection[tuple[str, str]]) -> Iterator[Fact]:
    """Without what a table takes along when it comes or goes."""
    tables = {table for _, table in lone}
    for fact in facts:
        if fact.kind in _OBJECTS or fact.table not in tables:
            yield fact


def _paired(old: Iterable[Fact], new: Iterable[Fact]) -> Iterator[SchemaDifference]:
    """The facts of one thing put together: what it was, what it is."""
    sides: dict[tuple[str, str, str], tuple[list[Fact], list[Fact]]]
    sides = defaultdict(lambda: ([], []))
    for side, facts in enumerate((old, new)):
        for fact in sorted(facts, key=lambda fact: fact.text):
            sides[fact.kind, fact.table, folded(fact.name)][side].append(fact)
    for (kind, table, _), (gone, come) in sides.items():
        for position in range(max(len(gone), len(come))):
            was = gone[position] if position < len(gone) else None
            is_ = come[position] if position < len(come) else None
            yield _difference(kind, table, was, is_)


def _difference(kind: str, table: str, was: Fact | None, is_: Fact | None) -> SchemaDifference:
    if was is None or is_ is None:
        text = [one.text if one else None for one in (was, is_)]
        return SchemaDifference(kind, table, (was or is_ or _NOTHING).name, *text)
    if was.text == is_.text:  # the name's spelling is all that changed
        return SchemaDifference(kind, table, is_.name, was.name, is_.name)
    return SchemaDifference(kind, table, is_.name, was.text, is_.text)


def _orders(before: Schema, after: Schema, ignored: Collection[str]) -> Iterator[SchemaDifference]:
    now = {folded(table): columns for table, columns in after.columns.items()}
    for table, columns in before.columns.items():
        others = now.get(folded(table))
        if others is None or folded(table) in ignored:
            continue
        left, right = [folded(name) for name in columns], [folded(name) for name in others]
        both = set(left) & set(right)
        was, is_ = ([name for name in side if name in both] for side in (left, right))
        if was != is_:
            yield SchemaDifference(
                "column-order", folded(table), "", ", ".join(was), ", ".join(is_)
            )


def _told(one: SchemaDifference, name: str, before: Schema, after: Schema) -> SchemaDifference:
    """With the table's name as it is written; a table that came or went with its columns."""
    if one.kind != "table" or (one.before and one.after):
        return replace(one, table=name)
    schema = before if one.after is None else after
    text = f"({', '.join(schema.columns.get(name, ()))})"
    if one.after is None:
        return SchemaDifference("table", name, "", text, None)
    return SchemaDifference("table", name, "", None, text)


def _place(one: SchemaDifference) -> tuple[bool, str, bool, str, str, str]:
    return (one.kind not in _OBJECTS, one.table, one.name != "", one.kind, one.name, str(one))
