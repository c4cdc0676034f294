"""L07: upgrades that cannot be taken back, or not wholly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import SCHEMA_ACTS, Act
from orchctl.chain.lint.subject import Script, Subject
from orchctl.chain.lint.things import Built

_ON_PURPOSE = "Write it, or say that there is none: raise NotImplementedError('irreversible')"


def one_way(subject: Subject) -> Iterator[Finding]:
    """L07: a downgrade() that is missing, does nothing, or leaves something behind."""
    up, down = subject.upgrade, subject.downgrade
    if up.node is None or not any(act.effect in SCHEMA_ACTS for act in up.acts):
        return
    if down.node is None:
        if "downgrade" not in subject.names and "*" not in subject.names:
            yield subject.finding(
                "L07",
                "note",
                up.node,
                "There is no downgrade()",
                _ON_PURPOSE,
                "AttributeError: module … has no attribute 'downgrade'",
            )
    elif not down.acts:
        yield subject.finding(
            "L07",
            "note",
            down.node,
            "downgrade() does nothing, upgrade() changes the schema",
            _ON_PURPOSE,
            "nothing: the version goes back, the schema does not",
        )
    elif not _is_opaque(down.acts):
        yield from _left_behind(subject, up, down)


def _is_opaque(acts: Iterable[Act]) -> bool:
    """Whether it raises, or does something that this text does not show."""
    for act in acts:
        kind = act.effect
        if kind in ("raise", "foreign", "unclear", "drop_all", "rename_table", "schema"):
            return True
        if kind in ("drop_table", "drop_column") and act.table is None:
            return True
    return False


def _left_behind(subject: Subject, up: Script, down: Script) -> Iterator[Finding]:
    dropped = {act.table for act in down.acts if act.effect == "drop_table"}
    without = {(act.table, _column(act)) for act in down.acts if act.effect == "drop_column"}
    gone = {act.table for act in up.acts if act.effect in ("drop_table", "rename_table")}
    unsure = {table for table, column in without if column is None}
    taken_back = {(act.table, _column(act)) for act in up.acts if act.effect == "drop_column"}
    taken_back |= _renamed(up)
    renamed = _renamed(down)
    said: set[object] = set()
    for act in up.acts:
        kind = act.effect
        if act.table is None or act.table in dropped or act.table in gone or not act.certain:
            continue
        column = _column(act) if kind == "add_column" else None
        if kind == "create_table":
            if "if_not_exists" in act.keywords:  # it may have been there before
                continue
            told = f"creates the table {act.table!r}"
        elif column and (act.table, column) not in without and act.table not in unsure:
            if not taken_back.isdisjoint(((act.table, column), (act.table, None))):
                continue
            if (act.table, column) in renamed:
                continue
            told = f"adds {act.table}.{column}"
        else:
            continue
        if told not in said:
            said.add(told)
            yield subject.finding(
                "L07",
                "note",
                act.node,
                f"upgrade() {told}, downgrade() does not drop it",
                "Drop it in downgrade()",
                "nothing: after a downgrade the next upgrade fails, it already exists",
            )


def _renamed(script: Script) -> set[tuple[str | None, str | None]]:
    """The columns that get another name, by their tables and old names."""
    found: set[tuple[str | None, str | None]] = set()
    for act in script.acts:
        if act.effect == "alter_column" and "new_column_name" in act.keywords:
            name = act.arg(0, "column_name")
            if type(name) is str:
                found.add((act.table, name))
    return found


def _column(act: Act) -> str | None:
    if act.sql is not None:
        return act.sql.name
    given = act.arg(0, "column" if act.kind == "add_column" else "column_name")
    if isinstance(given, Built):
        given = given.args[0] if given.args else given.keywords.get("name")
    return given if type(given) is str else None
