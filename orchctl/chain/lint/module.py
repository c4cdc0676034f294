"""A revision file as a module: what it imports, the functions it has."""

from __future__ import annotations

import ast
from typing import NamedTuple

from orchctl.chain.lint.things import Dotted, Thing


class Imported(NamedTuple):
    """One name that an import statement binds.

    Attributes:
        node: The statement.
        module: Where it comes from, with leading dots when relative.
        name: What is imported from there; empty for the module itself.
        bound: The name in this file.
    """

    node: ast.Import | ast.ImportFrom
    module: str
    name: str
    bound: str


def imported(node: ast.Import | ast.ImportFrom) -> list[Imported]:
    """The names that a statement binds."""
    if isinstance(node, ast.Import):
        return [
            Imported(node, one.name, "", one.asname or one.name.partition(".")[0])
            for one in node.names
        ]
    module = "." * node.level + (node.module or "")
    return [Imported(node, module, one.name, one.asname or one.name) for one in node.names]


def thing_of(one: Imported) -> Thing:
    """What the name stands for."""
    if one.name:
        return Dotted(f"{one.module}.{one.name}")
    # `import a.b` binds a, `import a.b as c` binds a.b.
    whole = one.bound != one.module.partition(".")[0]
    return Dotted(one.module if whole else one.bound)
