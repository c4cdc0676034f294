"""L02: tables and columns that are dropped with what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.subject import Subject, shown
from orchctl.chain.lint.things import Built, Thing
from orchctl.chain.tokens import Severity

_RENAMED = ""
_ALEMBIC = "nothing: the rows are gone"
_READ = re.compile(r"\bFROM\s+[\"`\[]?(\w*)", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def dropped(subject: Subject) -> Iterator[Finding]:
    """L02: a drop in upgrade() of what this revision did not make, and does not declare to lose."""
    acts = subject.upgrade.acts
    declared = _declared(subject)
    made: set[tuple[str | None, str | None]] = set()
    taken = {new: index for index, act in enumerate(acts) if (new := _new_name(act))}
    copies = _Copies()
    for index, act in enumerate(acts):
        made |= _made(act)
        copies.add(act)
        lost = _lost(act)
        if lost is None:
            continue
        table, column = lost
        if _is_meant(table, column, declared, made):
            continue
        # Another table or column takes the dropped one's name: rebuilt by hand.
        if table is not None and taken.get((table, column), -1) > index:
            continue
        moved = copies.read(table)
        severity: Severity = "note" if moved else "warning"
        yield subject.finding(
            "L02", severity, act.node, _message(table, column, moved), _instead(lost), _ALEMBIC
        )


def _message(table: str | None, column: str | None, moved: bool) -> str:
    if column:
        what = f"the column {column!r} of {shown(table)}"
    elif column is None:
        what = shown(table)
    else:
        what = f"a column of {shown(table)}"
    after = ", after this revision copied rows of it" if moved and column is None else ""
    return f"The upgrade drops {what} with all that is in it{after}"


def _instead(lost: tuple[str | None, str | None]) -> str:
    name = ".".join(part for part in lost if part) or "table.column"
    return f'If that is meant: orchctl_allow_loss = {{"{name}"}} in this revision'


def _lost(act: Act) -> tuple[str | None, str | None] | None:
    """The table, and the column: None for the whole table, "" for one that is not known."""
    kind = act.effect
    if kind == "drop_column":
        given = act.sql.name if act.sql else act.arg(0, "column_name")
        if isinstance(given, Built) and given.args:
            given = given.args[0]
        return act.table, given if type(given) is str else ""
    return (act.table, None) if kind in ("drop_table", "drop_all") else None


def _made(act: Act) -> set[tuple[str | None, str | None]]:
    kind = act.effect
    if kind == "create_table":
        return {(act.table, None)}
    if kind == "rename_table":
        new, _ = _new_name(act) or (None, None)
        # The whole table may go, its rows are in another by then; a column of it may not.
        return {(new, _RENAMED)} if new and act.table and act.table != new else set()
    if kind == "add_column":
        name = act.sql.name if act.sql else _name_of(act.column)
        return {(act.table, name)}
    return set()


def _name_of(column: Built | None) -> str | None:
    name: Thing = column.args[0] if column and column.args else None
    return name if type(name) is str else None


def _declared(subject: Subject) -> frozenset[str]:
    given = subject.names.get("orchctl_allow_loss")
    names = given if type(given) is tuple else (given,)
    return frozenset(name for name in names if type(name) is str)


def _is_meant(
    table: str | None,
    column: str | None,
    declared: frozenset[str],
    made: set[tuple[str | None, str | None]],
) -> bool:
    if table is None:
        return bool(declared)
    if table in declared or (column and f"{table}.{column}" in declared):
        return True
    if table.startswith("_alembic_tmp_") or (table, None) in made:
        return True
    return (table, _RENAMED if column is None else column or None) in made


def _new_name(act: Act) -> tuple[str | None, str | None] | None:
    """The name that a table gets, or a column of that table."""
    kind, sql = act.effect, act.sql
    new: Thing = None
    if kind == "rename_table":
        new = sql.name if sql else act.arg(0, "new_table_name")
        return (new, None) if type(new) is str else None
    if kind == "alter_column":
        new = act.keywords.get("new_column_name")
    elif kind == "rename_column" and sql:
        new = sql.text.split()[-1].strip('"`[]')
    return (act.table, new) if type(new) is str else None


class _Copies:
    """Which tables' rows were copied so far: INSERT … SELECT … FROM them."""

    def __init__(self) -> None:
        # By the first word of what stands behind FROM: the table written to, and the text.
        self._found: dict[str, dict[tuple[str | None, str], None]] = {}

    def add(self, act: Act) -> None:
        """Note an act."""
        if act.sql is not None and act.sql.kind == "data":
            for word in _READ.findall(act.sql.text):
                self._found.setdefault(word.casefold(), {})[act.table, act.sql.text] = None

    def read(self, table: str | None) -> bool:
        """Whether rows of the table were copied into another one."""
        if table is None:
            return False
        start = _WORD.match(table)
        found = self._found.get(start[0].casefold() if start else "", ())
        exact = re.compile(rf"\bFROM\s+[\"`\[]?{re.escape(table)}\b", re.IGNORECASE)
        return any(into != table and exact.search(text) for into, text in found)
