"""What revisions name themselves: an index they drop in a batch is not one that the batch lost.

`batch.drop_index("ix")` and `batch.drop_constraint("ck")` send no statement: the table is built
again without them. Only the revision's text tells that from what Alembic could not reflect.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_OPPOSITE = {"upgrade": "downgrade", "downgrade": "upgrade"}
_CALLS = {
    "drop_index": "index",
    "create_index": "index",
    "drop_constraint": "constraint",
    "create_foreign_key": "constraint",
    "create_unique_constraint": "constraint",
    "create_check_constraint": "constraint",
    "create_primary_key": "constraint",
}
_NAME = r"(\"[^\"]+\"|'[^']+'|`[^`]+`|\[[^\]]+\]|\w+)"
_STATEMENT = re.compile(
    r"\b(?:create|drop)\s+(?:unique\s+|temp\s+|temporary\s+)?(index|trigger|view)\s+"
    rf"(?:if\s+(?:not\s+)?exists\s+)?(?:{_NAME}\s*\.\s*)?{_NAME}",
    re.IGNORECASE,
)


def named_by(revisions: Iterable[Path], direction: str) -> frozenset[tuple[str, str]]:
    """What revisions drop or create by name.

    Args:
        revisions: Their files.
        direction: `upgrade` or `downgrade`: what the other function names doesn't count.

    Returns:
        (index | trigger | view | constraint, name), names in lower case. A name that the file
        computes is not found.
    """
    return frozenset(named for path in revisions for named in _named_in(path, direction))


def _named_in(path: Path, direction: str) -> Iterator[tuple[str, str]]:
    tree = ast.parse(path.read_bytes())
    other = _OPPOSITE.get(direction)
    for part in tree.body:
        if isinstance(part, ast.FunctionDef) and part.name == other:
            continue
        for node in ast.walk(part):
            if isinstance(node, ast.Call):
                yield from _of_call(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for kind, _, name in _STATEMENT.findall(node.value):
                    yield kind.lower(), name.strip("\"'`[]").lower()


def _of_call(call: ast.Call) -> Iterator[tuple[str, str]]:
    kind = _CALLS.get(call.func.attr) if isinstance(call.func, ast.Attribute) else None
    if kind is None:
        return
    given = [keyword.value for keyword in call.keywords if keyword.arg == "constraint_name"]
    given += [keyword.value for keyword in call.keywords if keyword.arg == "index_name"]
    for argument in call.args[:1] or given:
        for node in ast.walk(argument):  # op.f("ix_name") as well
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield kind, node.value.lower()
