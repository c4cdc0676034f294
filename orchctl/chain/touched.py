"""Which names statements may give another value, whatever that is."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def touched_by(body: Iterable[ast.stmt]) -> set[str]:
    """Every name that the statements bind, delete or may change."""
    names: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names.add(node.id)
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif name := changed_by(node):
                names.add(name)
    return names


def changed_by(node: ast.AST) -> str | None:
    """The name of what `parents.append('001')` or `parents[0] = '001'` may change."""
    held: ast.AST | None = None
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        held = node.value
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        held = getattr(node.value.func, "value", None)
    return held.id if isinstance(held, ast.Name) else None


# Called outside of functions, any of them may bind any name of the module.
_BINDING = frozenset(("exec", "globals", "locals", "setattr", "vars"))
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def bound_in_passing(body: Iterable[ast.stmt]) -> set[str]:
    """Names of the module that no statement of it binds: `:=`, and `global` in a function.

    Returns:
        The names; among them `*` where any name may be bound.
    """
    names: set[str] = set()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, _DEFINED):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    names.update(inner.names)
            continue
        if isinstance(node, ast.NamedExpr):
            names.add(node.target.id)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _BINDING:
            names.add("*")
        todo.extend(ast.iter_child_nodes(node))
    return names
