"""From values to facts: what `revision`, `down_revision`, `branch_labels`, `depends_on` say.

Which types Alembic takes for each, and what it does with the others, was tried with Alembic 1.20;
tests/unit/chain/test_against_alembic.py tries it again.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from orchctl.chain.problem import Problem
from orchctl.chain.source import Source, column_of
from orchctl.chain.tokens import Severity, Token
from orchctl.chain.values import Computed, Constant, Series, Value, items_of

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")


class Fact(NamedTuple):
    """What one of the four names holds.

    Attributes:
        values: The ids or labels.
        tokens: Where each is written.
        place: Line and column of the assigned value, None when the name isn't assigned.
        known: Whether `values` is the truth, or only running the file would tell.
        problems: What is wrong with it.
    """

    values: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    place: tuple[int, int] | None = None
    known: bool = True
    problems: tuple[Problem, ...] = ()


def read_fact(name: str, value: Value | None, source: Source) -> Fact:
    """What a value means when Alembic finds it under one of the four names."""
    if value is None:
        return Fact()
    place = _place(value.node, source)
    if isinstance(value, Computed):
        return Fact(place=place, known=False, problems=(_computed(name, place),))
    items = _items(name, value)
    computed = [item for item in items if isinstance(item, Computed)]
    if computed:
        return Fact(place=place, known=False, problems=(_computed(name, place),))
    wrong = [item for item in items if not _is_name(item)]
    if name == "revision" and (len(items) != 1 or isinstance(value, Series)):
        wrong = [value]
    if wrong:
        return Fact(place=place, known=False, problems=(_mistyped(name, wrong[0], place),))
    tokens = tuple(_token(item, source) for item in items if isinstance(item, Constant))
    return Fact(tuple(token.text for token in tokens), tokens, place)


def missing_facts(name: str, values: Mapping[str, Value], *, legacy: bool) -> Iterator[Problem]:
    """What is wrong with the names that are not there, or not together.

    Args:
        name: The file's name.
        values: Every name the module leaves behind.
        legacy: Whether Alembic takes the id from the file's name.
    """
    if "*" in values and not {"revision", "down_revision"} <= values.keys():
        yield _computed("revision", (1, 1))
        return
    if "revision" not in values and not legacy:
        yield Problem(
            "C08",
            "error",
            "The file declares no revision",
            suggestion="Add revision = '…', or move the file out of the versions folder",
            alembic=f"Could not determine revision id from filename {name}. Be sure the "
            "'revision' variable is declared inside the script",
        )
    elif "down_revision" not in values:
        yield Problem(
            "C08",
            "error",
            "The file declares no down_revision",
            suggestion="Add down_revision = the parent's id, or None for the first revision",
            alembic="AttributeError: module has no attribute 'down_revision'",
        )
    elif _is_empty_dependency(values):
        yield Problem(
            "C08",
            "error",
            "depends_on is empty but not None: on a revision without parents Alembic takes it "
            "for a dependency",
            *_line(values["depends_on"].node),
            suggestion="depends_on = None",
            alembic="Dependency cycle is detected in revisions (…)",
        )


def _is_empty_dependency(values: Mapping[str, Value]) -> bool:
    parents, dependencies = values["down_revision"], values.get("depends_on")
    if isinstance(parents, Series):
        base = not parents.items
    else:
        base = isinstance(parents, Constant) and parents.value is None
    if isinstance(dependencies, Series) and len(dependencies.items) == 1:
        dependencies = dependencies.items[0]
    if not base or not isinstance(dependencies, Constant):
        return False
    return not dependencies.value and dependencies.value is not None


def _items(name: str, value: Constant | Series) -> tuple[Value, ...]:
    """The values that Alembic sees: `None` and an empty sequence are nothing at all."""
    if isinstance(value, Series):
        lone_none = len(value.items) == 1 and _is_none(value.items[0])
        return () if lone_none else items_of(value)
    if name == "revision":
        return (value,)
    empty = value.value is None or (not value.value and name == "depends_on")
    # An empty label is a label for Alembic too, but one that nobody can name.
    return () if empty or (name == "branch_labels" and value.value == "") else (value,)


def _is_none(value: Value) -> bool:
    return isinstance(value, Constant) and value.value is None


def _is_name(value: Value) -> bool:
    return isinstance(value, Constant) and isinstance(value.value, str) and value.value != ""


def _computed(name: str, place: tuple[int, int]) -> Problem:
    return Problem(
        "C08",
        "warning",
        f"{name} is computed when the file runs; it is read here without running it",
        *place,
        suggestion=f"Write the value out: {name} = '…'",
        alembic="nothing, when the computation is right",
    )


def _mistyped(name: str, value: Value, place: tuple[int, int]) -> Problem:
    # Labels only show in listings: Alembic upgrades all the same.
    severity: Severity = "warning" if name == "branch_labels" else "error"
    return Problem(
        "C08",
        severity,
        f"{name} holds {_shown(value)}, where Alembic takes {_EXPECTED[name]}",
        *place,
        suggestion=_WRITE[name],
        alembic=_said(name, value),
    )


_EXPECTED = {
    "revision": "a string that is not empty",
    "down_revision": "an id, a sequence of ids, or None",
    "branch_labels": "a label, a sequence of labels, or None",
    "depends_on": "an id or label, a sequence of them, or None",
}
_WRITE = {
    "revision": "Write the id as a string: revision = '…'",
    "down_revision": "Write the parent's id as a string, or None for the first revision",
    "branch_labels": "Write the label as a string, or None",
    "depends_on": "Write the id as a string, or None",
}


def _said(name: str, value: Value) -> str:
    """What Alembic 1.20 makes of a value of the wrong type."""
    held = value.value if isinstance(value, Constant) else ()
    if name == "revision":
        if held == "":
            return "nothing: the revision never runs"
        if held is None or isinstance(held, int | float | complex):
            return f"TypeError: {type(held).__name__!r} object is not iterable"
        if isinstance(value, Series):
            return "TypeError: int() argument must be a string"
        return "revision identifier … is not a string"
    if name == "branch_labels":
        return "TypeError: sequence item 0: expected str instance, when the heads are listed"
    return f"KeyError: {_shown(value) if held != '' else repr('')}"


def _shown(value: Value) -> str:
    if isinstance(value, Series):
        return "a sequence"
    if not isinstance(value, Constant):
        return "something computed"
    if value.value == "":
        return "an empty string"
    try:
        text = repr(value.value)
    except ValueError:
        return "an integer of thousands of digits"
    return text if len(text) <= 40 else text[:39] + "…"


def _token(value: Constant, source: Source) -> Token:
    line, column = _place(value.node, source)
    end_line = value.node.end_lineno or line
    end = column_of(source.text, end_line, value.node.end_col_offset or 0)
    direct = value.direct and isinstance(value.node, ast.Constant)
    return Token(str(value.value), line, column, end_line, end, direct)


def _place(node: ast.AST, source: Source) -> tuple[int, int]:
    line, offset = _line(node)
    return line, column_of(source.text, line, offset - 1)


def _line(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
