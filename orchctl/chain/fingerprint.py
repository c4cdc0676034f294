"""What a revision file does, as one hash: the same after formatting, another after an edit.

Comments, white space, quotes, docstrings and annotations of the four names don't count; the code of
`upgrade()` and `downgrade()`, labels and dependencies do. Parents are kept beside it
(`chain/lockfile.py`). The syntax tree is written down by our own hand: `ast.dump` says the same
code differently from one Python version to the next.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

from orchctl.chain.facts import NAMES
from orchctl.chain.revision_file import RevisionFile

# Said by position or by later versions only; none of it changes what the code does.
_PASSED_OVER = frozenset(("ctx", "kind", "type_comment", "type_ignores", "type_params"))

_LONG = 10**1000


def fingerprint(file: RevisionFile, text: str) -> str | None:
    """The hash of one revision file; None when Python cannot parse it.

    Args:
        file: What it says of itself.
        text: Its text.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    digest = hashlib.sha256()
    digest.update(repr((sorted(file.branch_labels), sorted(file.depends_on))).encode())
    for statement in tree.body:
        if not _is_declaration(statement):
            for piece in _written(statement):
                digest.update(piece.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def _is_declaration(statement: ast.stmt) -> bool:
    """Whether it assigns the four names and nothing else, or is an import for their annotations."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return isinstance(statement, ast.ImportFrom) and statement.module in (
            "typing",
            "collections.abc",
            "__future__",
        )
    return all(isinstance(one, ast.Name) and one.id in NAMES for one in targets)


def _written(root: ast.AST) -> Iterator[str]:
    """A tree as text, without recursion: code may be nested deeper than Python's own stack."""
    todo: list[Any] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, ast.AST):
            if _is_docstring(node):
                continue
            yield f"({type(node).__name__}"
            todo.append(")")
            for name in reversed(node._fields):
                value = getattr(node, name, None)
                if isinstance(node, ast.JoinedStr):
                    value = [one for one in node.values if not _is_empty(one)]
                if name not in _PASSED_OVER and value is not None and value != []:
                    todo += [value, f" {name}="]
        elif isinstance(node, list):
            todo += ["]", *reversed(node), "["]
        elif type(node) is int:
            # In hexadecimal: there Python has no limit of digits.
            yield f"int:{node!r}" if abs(node) < _LONG else f"int:{node:#x}"
        else:
            yield f"{type(node).__name__}:{node!r}"


def _is_empty(node: ast.expr) -> bool:
    """Whether it is one of the empty texts that early releases of Python 3.12 put in f-strings."""
    return isinstance(node, ast.Constant) and node.value == ""


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
