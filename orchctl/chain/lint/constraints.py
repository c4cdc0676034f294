"""L06: constraints that batch mode can only find, or make, by a name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.file_lint import FileLint
from orchctl.chain.lint.subject import Script, Subject, shown
from orchctl.chain.lint.things import UNKNOWN, Built

_NAMELESS = "Constraint must have a name"
# The names that PostgreSQL and MySQL give by themselves. SQLite gives none.
_SERVERS_OWN = re.compile(r"(?:\w_(?:fkey|pkey|key|check|excl)\d*|\w_ibfk_\d+|\w_chk_\d+)$")
# Searching a text for these is a hundred times faster than looking at every name in it.
_PARTS = ("key", "_check", "_excl", "_ibfk_", "_chk_")
_NEED_NAMES = frozenset(("add_column", "constraint", "drop_constraint"))
_ANY_VALUE_ERROR = re.compile(r"\b(?:ValueError|Exception|BaseException)\b")
_NAME_IT = (
    "Give batch_alter_table a naming_convention and name the constraint as that does "
    '(naming_convention={"fk": "fk_%(table_name)s_%(column_0_name)s"})'
)


def without_name(subject: Subject) -> Iterator[Finding]:
    """L06: None for a name, of a constraint that is dropped or made in batch mode."""
    for script, act in _in_batches(subject):
        if act.kind == "drop_constraint" and act.arg(0, "constraint_name") is None:
            yield subject.finding(
                "L06",
                script.severity(act),
                act.node,
                f"A constraint of {shown(act.table)} is dropped without its name",
                _NAME_IT,
                f"ValueError: {_NAMELESS}",
            )
        elif what := _made_nameless(act):
            yield subject.finding(
                "L06",
                "warning",
                act.node,
                f"{what} of {shown(act.table)} has no name, which batch mode needs: only a "
                "naming_convention in env.py's metadata gives one",
                "Name it, unless the metadata in env.py has a naming_convention for it",
                f"ValueError: {_NAMELESS}, without a naming convention",
            )


def _in_batches(subject: Subject) -> Iterator[tuple[Script, Act]]:
    """What is done in batch mode and needs a name, unless that it has none is reckoned with."""
    expected: frozenset[int] | None = None
    for script in subject.scripts:
        for act in script.acts:
            if act.kind not in _NEED_NAMES or not act.in_batch or _has_convention(act):
                continue
            if expected is None:
                # Going through a tree takes longer than all rules together; few files have one.
                has_any = "except" in subject.text
                expected = frozenset(_expecting(subject.tree) if has_any else ())
            if act.node.lineno not in expected:
                yield script, act


def _expecting(tree: ast.Module) -> Iterator[int]:
    """The lines of each `try` that lets a ValueError pass, which is what Alembic raises."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                told = "" if handler.type is None else ast.unparse(handler.type)
                if not told or _ANY_VALUE_ERROR.search(told):
                    yield from range(node.lineno, handler.lineno)


def _has_convention(act: Act) -> bool:
    return act.batch is not None and act.batch.keywords.get("naming_convention") is not None


def _made_nameless(act: Act) -> str | None:
    if act.kind == "constraint":
        return "A constraint" if act.arg(0, "constraint_name") is None else None
    column = act.column if act.kind == "add_column" else None
    if column is None:
        return None
    for one in column.args:
        if isinstance(one, Built) and one.name == "ForeignKey" and "name" not in one.keywords:
            return "The foreign key of a new column"
    if column.keywords.get("unique") is True and column.keywords.get("index") is not True:
        return "The UNIQUE of a new column"
    return None


def pending_names(subject: Subject) -> Iterator[tuple[str, Finding]]:
    """What is wrong unless some file gives that name: drops of names like a server's own."""
    for _, act in _in_batches(subject):
        if act.kind != "drop_constraint":
            continue
        name = act.arg(0, "constraint_name")
        if type(name) is str and _SERVERS_OWN.search(name):
            yield (
                name,
                subject.finding(
                    "L06",
                    "warning",
                    act.node,
                    f"No revision names a constraint {name!r}: PostgreSQL or MySQL gives such "
                    f"names by itself, SQLite gives none to {shown(act.table)}",
                    _NAME_IT,
                    f"ValueError: No such constraint: '{name}'",
                ),
            )


def given_names(subject: Subject) -> frozenset[str]:
    """The names that look like a server's own and are given to constraints here."""
    names: set[str] = set()
    if not any(part in subject.text for part in _PARTS):
        return frozenset()
    for script in subject.scripts:
        for act in script.acts:
            if act.kind == "constraint":
                names.add(act.arg(0, "constraint_name"))
            if act.kind in ("create_table", "add_column"):
                names.update(_names_in(act.args))
            elif act.sql is not None and act.sql.kind in ("create_table", "alter"):
                names.update(re.findall(r"CONSTRAINT\s+[\"`\[]?(\w+)", act.sql.text, re.IGNORECASE))
    return frozenset(one for one in names if type(one) is str and _SERVERS_OWN.search(one))


def _names_in(args: Sequence[object]) -> Iterator[str]:
    for one in args:
        if isinstance(one, Built):
            name = one.keywords.get("name", UNKNOWN)
            if type(name) is str:
                yield name
            elif isinstance(name, Built) and name.args:
                yield name.args[0]
            yield from _names_in(one.args)


def never_given(lints: Sequence[FileLint]) -> Iterator[Finding]:
    """The names that no file of the chain gives."""
    given = frozenset().union(*(lint.given for lint in lints))
    for lint in lints:
        for name, finding in lint.unnamed:
            if name not in given:
                yield finding
