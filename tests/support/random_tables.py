"""Random tables as data, written as SQL in many ways, and changed in one thing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

NAMES = ("id", "name", "Owner Id", "order", "x,y", "größe", "a)b", "key", "desc", "it's", "[b")
TYPES = ("INTEGER", "INT", "TEXT", "VARCHAR(100)", "NUMERIC(10, 2)", "DOUBLE PRECISION", "")
DEFAULTS = (None, "100", "'100'", "(1 + 2)", "CURRENT_TIMESTAMP", "'a,b'", "-5", "x'00'")
COLLATIONS = (None, "NOCASE", "RTRIM")
ACTIONS = ("", "ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE CASCADE")
DEFERRALS = ("", "DEFERRABLE INITIALLY DEFERRED", "DEFERRABLE INITIALLY IMMEDIATE")
CONFLICTS = ("", "ON CONFLICT REPLACE", "ON CONFLICT IGNORE")
LABELS = (None, "c_one", "c two")


@dataclass(frozen=True)
class Column:
    name: str
    type: str = "INTEGER"
    not_null: bool = False
    default: str | None = None
    collation: str | None = None
    generated: str = ""  # "", "STORED", "VIRTUAL"


@dataclass(frozen=True)
class Unique:
    columns: tuple[str, ...]
    label: str | None = None
    conflict: str = ""


@dataclass(frozen=True)
class Foreign:
    column: str
    parent: str
    target: str
    label: str | None = None
    action: str = ""
    deferral: str = ""


@dataclass(frozen=True)
class Check:
    column: str
    bound: str
    label: str | None = None


@dataclass(frozen=True)
class Table:
    """A table; its first column is its primary key, alone or with the second."""

    columns: tuple[Column, ...]
    key: int = 1  # how many columns the primary key has; 0 for none
    autoincrement: bool = False
    uniques: tuple[Unique, ...] = ()
    foreigns: tuple[Foreign, ...] = ()
    checks: tuple[Check, ...] = ()
    without_rowid: bool = False
    indexes: tuple[Index, ...] = ()

    @property
    def valid(self) -> bool:
        first = self.columns[0]
        counted = self.key == 1 and first.type == "INTEGER" and not self.without_rowid
        plain = all(not column.generated for column in self.columns[: max(self.key, 1)])
        keyed = any(unique.columns == (first.name,) for unique in self.uniques)
        return (
            plain
            and not (self.without_rowid and self.key == 0)
            and not (self.autoincrement and not counted)
            and not (keyed and self.key == 1)  # SQLite makes one of the two
            and len({unique.columns for unique in self.uniques}) == len(self.uniques)
            and len({check.label for check in self.checks if check.label}) == len(self.checks)
        )


@dataclass(frozen=True)
class Index:
    column: str
    expression: bool = False
    descending: bool = False
    collation: str | None = None
    where: str | None = None
    unique: bool = False


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    pick = st.sampled_from
    columns = tuple(
        Column(
            name,
            draw(pick(TYPES)),
            draw(st.booleans()),
            draw(pick(DEFAULTS)),
            draw(pick(COLLATIONS)),
        )
        for name in names
    )
    if len(columns) > 2 and draw(st.booleans()):
        last = replace(columns[-1], generated=draw(pick(("STORED", "VIRTUAL"))), default=None)
        columns = (*columns[:-1], last)
    column = pick(names)
    uniques = st.builds(Unique, st.lists(column, min_size=1, max_size=2, unique=True).map(tuple),
                        pick(LABELS), pick(CONFLICTS))  # fmt: skip
    foreigns = st.builds(Foreign, column, pick(NAMES), pick(NAMES), pick(LABELS), pick(ACTIONS),
                         pick(DEFERRALS))  # fmt: skip
    checks = st.builds(Check, column, pick(("0", "'A,)'", "1e3")), pick(LABELS[1:]))
    indexes = st.builds(Index, column, st.booleans(), st.booleans(), pick(COLLATIONS),
                        pick((None, "0", "'x'")), st.booleans())  # fmt: skip
    table = Table(
        columns,
        draw(pick((0, 1, 1, 2))),
        draw(st.booleans()),
        tuple(draw(st.lists(uniques, max_size=2))),
        tuple(draw(st.lists(foreigns, max_size=2))),
        tuple(draw(st.lists(checks, max_size=2))),
        draw(st.booleans()),
        tuple(draw(st.lists(indexes, max_size=2))),
    )
    if not table.valid:
        table = replace(table, autoincrement=False, without_rowid=False, uniques=(), checks=())
    return table


def changes(table: Table) -> Iterator[Table]:
    """Every table that differs from this one in one thing that SQLite can tell apart."""
    for candidate in _changes(table):
        if candidate.valid:
            yield candidate


def _changes(table: Table) -> Iterator[Table]:
    alias = table.key == 1 and table.columns[0].type == "INTEGER" and not table.without_rowid
    for position, column in enumerate(table.columns):
        for changed in _column_changes(column, fixed=position < table.key, alias=alias):
            columns = list(table.columns)
            columns[position] = changed
            yield replace(table, columns=tuple(columns))
    yield replace(table, columns=(*table.columns, Column("added")))
    if len(table.columns) > 1:
        yield replace(table, columns=(table.columns[1], table.columns[0], *table.columns[2:]))
    yield replace(table, key=(table.key + 1) % 3)
    yield replace(table, autoincrement=not table.autoincrement)
    yield replace(table, without_rowid=not table.without_rowid)
    for name in ("uniques", "foreigns", "checks", "indexes"):
        held = getattr(table, name)
        if held:
            yield replace(table, **{name: held[1:]})
            for changed in _part_changes(held[0]):
                yield replace(table, **{name: (changed, *held[1:])})


def _column_changes(column: Column, *, fixed: bool, alias: bool) -> Iterator[Column]:
    yield replace(column, type="BLOB")
    if column.collation != "NOCASE":
        yield replace(column, collation="NOCASE")
    if not fixed:  # what NOT NULL means in a key depends on the key
        yield replace(column, not_null=not column.not_null)
    if column.generated:
        yield replace(column, generated="STORED" if column.generated == "VIRTUAL" else "VIRTUAL")
    else:
        other = "'100'" if column.default == "100" else "100"
        yield replace(column, default=other)


def _part_changes(part: object) -> Iterator[object]:
    match part:
        case Unique():
            yield replace(part, label="other")
            yield replace(part, conflict="ON CONFLICT FAIL")
        case Foreign():
            yield replace(part, label="other")
            yield replace(part, parent="elsewhere")
            yield replace(part, target="other")
            yield replace(part, action="ON DELETE RESTRICT")
            yield replace(part, deferral="" if part.deferral else DEFERRALS[1])
        case Check():
            yield replace(part, bound="2")
            yield replace(part, bound="'a,)'")
            yield replace(part, label="other")
        case Index():
            yield replace(part, descending=not part.descending)
            yield replace(part, expression=not part.expression)
            yield replace(part, unique=not part.unique)
            yield replace(part, where="7")
            yield replace(part, where="'X'")


@dataclass
class Style:
    """One way of writing SQL."""

    seed: int
    inline: bool = False
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def name(self, name: str, *, given: bool = False) -> str:
        """A name; where it is given, not only used, its letters are kept."""
        forms = ['"' + name.replace('"', '""') + '"', "`" + name.replace("`", "``") + "`"]
        if "]" not in name:
            forms.append(f"[{name}]")
        if re.fullmatch("[a-zöß]+", name) and name != "order":
            forms += [name, name if given or not name.isascii() else name.upper()]
        return self.dice.choice(forms)

    def words(self, text: str) -> str:
        """Keywords; strings in them are left alone."""
        parts = re.split(r"('[^']*')", text)
        return "".join(
            part if part.startswith("'") else self._case(part) for part in parts
        ).replace(" ", self.space())

    def _case(self, text: str) -> str:
        return self.dice.choice((text.upper(), text.lower(), text))

    def space(self) -> str:
        return self.dice.choice((" ", "  ", "\n\t", " /* ,( */ ", " -- ), '\n"))


def written(table: Table, style: Style, name: str = "t") -> list[str]:
    """The statements that make a table."""
    items = [_column(table, column, style) for column in table.columns]
    constraints = _constraints(table, style)
    style.dice.shuffle(constraints)
    body = f"{style.space()},{style.space()}".join(items + constraints)
    create = (
        f"{style.words('CREATE TABLE')} {style.name(name, given=True)}({style.space()}{body}\n)"
    )
    create += style.space() + style.words("WITHOUT ROWID") if table.without_rowid else ""
    return [create, *(_index(i, one, style, name) for i, one in enumerate(table.indexes))]


def _column(table: Table, column: Column, style: Style) -> str:
    parts = [style.name(column.name, given=True), style.words(column.type)]
    clauses = []
    if column.not_null:
        clauses.append(style.words("NOT NULL"))
    if column.default is not None:
        clauses.append(f"{style.words('DEFAULT')} {_default(column.default, style)}")
    if column.collation:
        clauses.append(f"{style.words('COLLATE')} {style.words(column.collation)}")
    if column.generated:
        first = style.name(table.columns[0].name)
        prefix = style.dice.choice(("GENERATED ALWAYS AS", "AS"))
        stored = column.generated
        if stored == "VIRTUAL" and style.dice.random() < 0.5:
            stored = ""
        clauses.append(f"{style.words(prefix)} ({first} || ',') {style.words(stored)}")
    if style.inline:
        clauses += _inline(table, column, style)
    style.dice.shuffle(clauses)
    return style.space().join([*parts, *clauses])


def _default(default: str, style: Style) -> str:
    if default.startswith("(") or style.dice.random() < 0.5:
        return style.words(default)
    return f"({style.space()}{style.words(default)})"


def _inline(table: Table, column: Column, style: Style) -> list[str]:
    clauses = []
    if table.key == 1 and column is table.columns[0]:
        automatic = " AUTOINCREMENT" if table.autoincrement else ""
        clauses.append(style.words(f"PRIMARY KEY{automatic}"))
    clauses += [
        f"{_label(unique.label, style)}{style.words(f'UNIQUE {unique.conflict}')}"
        for unique in table.uniques
        if unique.columns == (column.name,)
    ]
    clauses += [_check(check, style) for check in table.checks if check.column == column.name]
    clauses += [
        _references(foreign, style) for foreign in table.foreigns if foreign.column == column.name
    ]
    return clauses


def _constraints(table: Table, style: Style) -> list[str]:
    found = []
    if table.key and not (style.inline and table.key == 1):
        automatic = f" {style.words('AUTOINCREMENT')}" if table.autoincrement else ""
        names = _names([column.name for column in table.columns[: table.key]], style)
        found.append(f"{style.words('PRIMARY KEY')}{style.space()}({names}{automatic})")
    for unique in table.uniques:
        if not (style.inline and len(unique.columns) == 1):
            names = _names(unique.columns, style)
            told = f"{style.words('UNIQUE')} ({names}) {style.words(unique.conflict)}"
            found.append(f"{_label(unique.label, style)}{told}")
    if not style.inline:
        found += [_check(check, style) for check in table.checks]
        for foreign in table.foreigns:
            key = f"{style.words('FOREIGN KEY')} ({style.name(foreign.column)}) "
            label = _label(foreign.label, style)
            found.append(label + key + _references(replace(foreign, label=None), style))
    return found


def _check(check: Check, style: Style) -> str:
    condition = f"{style.name(check.column)}{style.space()}>{style.space()}{check.bound}"
    if style.dice.random() < 0.5:
        condition = f"({condition})"
    return f"{_label(check.label, style)}{style.words('CHECK')} ({condition})"


def _references(foreign: Foreign, style: Style) -> str:
    return _label(foreign.label, style) + style.space().join(
        (
            style.words("REFERENCES"),
            style.name(foreign.parent),
            f"({style.name(foreign.target)})",
            style.words(foreign.action),
            style.words(foreign.deferral),
        )
    )


def _index(position: int, index: Index, style: Style, table: str) -> str:
    term = style.name(index.column)
    term = f"{style.words('LOWER')}({term} || ',')" if index.expression else term
    term += f" {style.words('COLLATE')} {style.words(index.collation)}" if index.collation else ""
    term += f" {style.words('DESC' if index.descending else style.dice.choice(('ASC', '')))}"
    start = style.words("CREATE UNIQUE INDEX" if index.unique else "CREATE INDEX")
    text = f"{start} {style.name(f'i{position}', given=True)} ON {style.name(table)}({term})"
    if index.where:
        text += f" {style.words('WHERE')} ({style.name(index.column)} <> {index.where})"
    return text


def _label(label: str | None, style: Style) -> str:
    return f"{style.words('CONSTRAINT')} {style.name(label)} " if label else ""


def _names(names: list[str] | tuple[str, ...], style: Style) -> str:
    return f"{style.space()},{style.space()}".join(style.name(name) for name in names)
