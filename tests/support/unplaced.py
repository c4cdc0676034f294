"""What a syntax tree says, wherever it says it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from orchctl.chain.moulds import Line


def unplaced(tree: ast.Module) -> str:
    """A tree as text: without places, without the module's docstring, each `Line` as its call."""
    body: list[ast.AST] = [*tree.body]
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        del body[0]
    return "\n".join(piece for one in body for piece in _written(one))


def _written(root: ast.AST) -> Iterator[str]:
    """Without recursion: code may be nested deeply."""
    todo: list[object] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, Line):
            row = ast.parse(f"[{node.text}]", mode="eval").body
            assert isinstance(row, ast.List)
            todo += row.elts
        elif isinstance(node, ast.AST):
            yield type(node).__name__
            todo += [value for field in ast.iter_fields(node) for value in reversed(field)]
        elif isinstance(node, list):
            yield f"{len(node)} of"
            todo += reversed(node)
        else:
            yield repr(node)
