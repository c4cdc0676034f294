"""Syntax trees put together from statements that were parsed before, with other texts in quotes.

Parsing takes longer than all that is done with a tree, and most statements of a chain have been in
it before but for the texts in quotes (`orchctl/chain/syntax.py`, which tells when one may be looked
at by itself). So each shape is parsed once, and filled with the texts of the statement at hand.
Such a tree says what the file says, but not where: the places in it are those of the shapes.
tests/unit/chain/test_moulds.py holds that all else is as the parser has it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Final

from orchctl.chain.syntax import ARGUMENT, CALL, INNER, OUTER, REFUSALS, takes, without_comments

# A longer file repeats its own statements: as many casts of each would have to be kept.
_MOST_CHARACTERS = 60_000
# A node takes fifty times the memory of its text.
_MOST_KEPT = 100_000
_MOST_LINES = 2000
_MOST_SPARE = 32

_LITERAL = re.compile(r"(\"[^\"\n]*\"|'[^'\n]*')")
_PREFIXED = re.compile(r"\w''")
_EMPTY = "'' "
_SLOT = re.compile(r"<(\d+)>")
_SLOTS = re.compile(r"(?:<\d+>)+")


class Unfamiliar(Exception):
    """A name means something else than where a line was worked out."""


class Line(ast.expr):
    """A call that is a line by itself, an argument of another call: worked out once.

    Attributes:
        text: The line.
        tree: The call; None once it was worked out.
        names: The names in it; None where it has to be worked out each time.
        labels: Those of which only the method `f` is called.
        thing: What it stands for, once that is known.
        meanings: What the names meant then.
    """

    _fields = ()

    text: str
    tree: ast.Call | None
    names: frozenset[str] | None
    labels: frozenset[str]
    thing: object
    meanings: tuple[tuple[str, object], ...]

    def keep(self, thing: object, meanings: Iterable[tuple[str, object]]) -> None:
        """Know from now on what it stands for.

        Args:
            thing: That.
            meanings: Each name with what it means; with others, it may stand for something else.
        """
        self.thing, self.meanings, self.tree = thing, tuple(meanings), None
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[self.text] = self


class _Cast:
    """Nodes with the places for their texts; `texts` of which are joined where several follow."""

    __slots__ = ("labels", "names", "nodes", "slots", "spare")

    def __init__(
        self, nodes: list[ast.AST], slots: list[tuple[ast.Constant, int, int]], spare: list[_Cast]
    ) -> None:
        self.nodes: Final = nodes
        self.slots: Final = slots
        self.spare: Final = spare
        self.names, self.labels = _names_in(nodes[0]) if nodes else (None, frozenset())

    def fill(self, texts: list[str]) -> list[ast.AST]:
        for node, first, last in self.slots:
            node.value = (
                texts[first][1:-1]
                if last - first == 1
                else "".join(text[1:-1] for text in texts[first:last])
            )
        return self.nodes


# What stands around a statement of each kind so that Python can take it.
_AROUND = {
    "outer": ("", ""),
    "inner": ("def f():\n    ", ""),
    "head": ("", "\n    0"),
    "call": ("", ")"),
    "argument": ("[", "]"),
}
# Casts that no tree is made of at the moment, by kind and shape.
_spares: dict[str, dict[str, list[_Cast]]] = {kind: {} for kind in _AROUND}
_used: list[_Cast] = []
_lines: dict[str, Line] = {}
# The length of all shapes that were parsed since the casts were last thrown away.
_kept = [0]


def moulded(text: str) -> ast.Module | None:
    """The syntax tree of a text that Python surely takes, without its places.

    Args:
        text: The text of a file.

    Returns:
        The tree, good until the next one is asked for; a `Line` stands in it for calls that were
        met before. None where only the parser tells.
    """
    for cast in _used:
        if len(cast.spare) < _MOST_SPARE:
            cast.spare.append(cast)
    _used.clear()
    if len(text) > _MOST_CHARACTERS or (body := without_comments(text)) is None:
        return None
    statements: list[ast.AST] = []
    for piece in OUTER.split(body.lstrip("\n")):
        code = piece.rstrip()
        if not code:
            continue
        nodes = _function(code) if code.startswith("def ") else _cast("outer", code)
        if nodes is None:
            return None
        statements += nodes
    return ast.Module(body=statements, type_ignores=[])  # type: ignore[arg-type]


def _function(code: str) -> list[ast.AST] | None:
    head, *body = INNER.split(code)
    found = _cast("head", head) if body else None
    if found is None:
        return None
    statements: list[ast.AST] = []
    for piece in body:
        nodes = _statement(piece.rstrip())
        if nodes is None:
            return None
        statements += nodes
    found[0].body = statements  # type: ignore[attr-defined]
    return found


def _statement(code: str) -> list[ast.AST] | None:
    if "\n        " in code and (nodes := _with_lines(code)) is not None:
        return nodes
    return _cast("inner", code)


def _with_lines(code: str) -> list[ast.AST] | None:
    """A call with a line for each argument."""
    head, *arguments = ARGUMENT.split(code)
    # In a call, unlike in a list, `yield` needs brackets of its own.
    if not arguments or not CALL.fullmatch(head) or "yield" in code:
        return None
    last = arguments[-1].removesuffix("\n    )")
    if last is arguments[-1]:
        return None
    arguments[-1] = last
    args: list[ast.AST] = []
    for line in arguments:
        known = _lines.get(line)
        if known is not None:
            args.append(known)
            continue
        nodes = _argument(line) if line.endswith(",") else None
        if nodes is None:
            return None
        args += nodes
    found = _cast("call", head)
    if found is not None:
        found[0].value.args = args  # type: ignore[attr-defined]
    return found


def _argument(line: str) -> list[ast.AST] | None:
    nodes = _cast("argument", line)
    if nodes is None:
        return None
    elements: list[ast.AST] = nodes[0].value.elts  # type: ignore[attr-defined]
    cast = _used[-1]
    if len(elements) != 1 or cast.names is None or type(elements[0]) is not ast.Call:
        return elements
    found = Line()
    found.text, found.tree = line, elements[0]
    found.names, found.labels = cast.names, cast.labels
    return [found]


def _cast(kind: str, code: str) -> list[ast.AST] | None:
    """The nodes of a piece of code; None where Python does not take it, or it is in doubt."""
    parts = _LITERAL.split(code)
    shape = _EMPTY.join(parts[::2])
    spare = _spares[kind].get(shape)
    cast = spare.pop() if spare else _made(kind, parts, shape)
    if cast is None:
        return None
    _used.append(cast)
    return cast.fill(parts[1::2])


def _made(kind: str, parts: list[str], shape: str) -> _Cast | None:
    before, behind = _AROUND[kind]
    doubtful = _PREFIXED.search(shape) or (kind == "argument" and "#" in shape)
    if doubtful:
        return None
    # Within brackets of both kinds: so it closes none that it has not opened.
    if kind == "argument" and not takes(f"({shape})"):
        return None
    filled = "".join(
        f"'<{place // 2}>' " if place % 2 else part for place, part in enumerate(parts)
    )
    try:
        tree = ast.parse(f"{before}{filled}{behind}")
        compile(tree, "", "exec", dont_inherit=True)
    except REFUSALS:
        return None
    nodes: list[ast.AST] = [*tree.body]
    if kind == "inner":
        nodes = tree.body[0].body  # type: ignore[attr-defined]
    slots = _slots_in(nodes, len(parts) // 2)
    if slots is None:
        return None
    _kept[0] += len(shape)
    if _kept[0] > _MOST_KEPT:
        _kept[0] = len(shape)
        for known in _spares.values():
            known.clear()
    return _Cast(nodes, slots, _spares[kind].setdefault(shape, []))


def _slots_in(nodes: list[ast.AST], count: int) -> list[tuple[ast.Constant, int, int]] | None:
    """Where each text stands; None when one stands nowhere, as in a comment."""
    slots: list[tuple[ast.Constant, int, int]] = []
    for root in nodes:
        for node in ast.walk(root):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if not _SLOTS.fullmatch(node.value):
                    return None
                places = [int(one) for one in _SLOT.findall(node.value)]
                slots.append((node, places[0], places[-1] + 1))
    found = sum(last - first for _, first, last in slots)
    return slots if found == count else None


_PLAIN = (ast.Attribute, ast.Constant, ast.List, ast.Load, ast.Tuple, ast.keyword, ast.Call)


def _names_in(root: ast.AST) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The names in an argument, and those of which only `f` is called; None for odd ones."""
    if not isinstance(root, ast.Expr) or not isinstance(root.value, ast.List):
        return None, frozenset()
    nodes = list(ast.walk(root.value))
    labels = [
        node.value
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == "f" and isinstance(node.value, ast.Name)
    ]
    names = [node for node in nodes if isinstance(node, ast.Name) and node not in labels]
    if not all(isinstance(node, (*_PLAIN, ast.Name)) for node in nodes):
        return None, frozenset()
    return frozenset(one.id for one in names), frozenset(one.id for one in labels)
