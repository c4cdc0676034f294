"""A chain drawn in the terminal, newest first: one lane a branch, as `git log --graph` has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

# By the directions in which a line leaves the cell.
_LINES = {
    "": " ",
    "UD": "│",
    "LR": "─",
    "U": "╵",
    "UR": "╰",
    "UL": "╯",
    "DR": "╭",
    "DL": "╮",
    "UDR": "├",
    "UDL": "┤",
    "ULR": "┴",
    "DLR": "┬",
    "UDLR": "┼",
}
_NODE, _CURRENT, _CUT = "●", "◉", "┆"
DRAWING = "".join(_LINES.values()) + _NODE + _CURRENT + _CUT
_ASCII = str.maketrans("│─╵╰╯╭╮├┤┴┬┼●◉┆", "|-'''..||+++*@:")

Parents = Sequence[str]


@dataclass(frozen=True)
class Row:
    """One line of the drawing.

    Attributes:
        text: The lanes.
        below: The lanes as they go on just below, for text that needs further lines.
        revision: The revision whose node is on it, or None.
    """

    text: str
    below: str = ""
    revision: str | None = None


def draw(
    parents: Mapping[str, Parents], *, current: Collection[str] = (), plain: bool = False
) -> list[Row]:
    """Draw revisions and the lines between them.

    Args:
        parents: Each revision, children first, with the ids of its parents. Parents that are not
            among the revisions leave a cut line.
        current: Revisions to be marked with another node.
        plain: ASCII only.
    """
    lanes = _Lanes(parents)
    rows = [row for id_ in parents for row in lanes.rows(id_, id_ in current)]
    if not plain:
        return rows
    return [
        Row(row.text.translate(_ASCII), row.below.translate(_ASCII), row.revision) for row in rows
    ]


class _Lanes:
    """The lanes at one moment; each holds the id that its line leads down to, or nothing."""

    def __init__(self, parents: Mapping[str, Parents]) -> None:
        self._parents = parents
        self._waiting: list[str | None] = []

    def rows(self, id_: str, current: bool) -> Iterator[Row]:
        """The rows of the next revision."""
        column, *others = self._columns(id_) or [self._free()]
        self._waiting[column] = id_
        if others:  # several children: their lines meet above the node
            before = self._taken()
            for other in others:
                self._waiting[other] = None
            yield Row(_line(before, self._taken(), {column, *others}))
        yield self._node(column, id_, _CURRENT if current else _NODE)
        yield from self._descend(column, self._parents[id_])

    def _descend(self, column: int, parents: Parents) -> Iterator[Row]:
        """Lead the lines on from a node to its parents."""
        shown = [parent for parent in dict.fromkeys(parents) if parent in self._parents]
        if len(shown) < len(set(parents)) and not shown:
            yield self._node(column, None, _CUT)
        self._waiting[column] = shown[0] if shown else None
        if len(shown) > 1:
            before, ends = self._taken(), {column}
            for parent in shown[1:]:
                there = self._columns(parent)
                ends.add(there[0] if there else self._open(parent))
            yield Row(_line(before, self._taken(), ends))
        while self._waiting and self._waiting[-1] is None:
            self._waiting.pop()

    def _columns(self, id_: str) -> list[int]:
        return [column for column, waiting in enumerate(self._waiting) if waiting == id_]

    def _taken(self) -> set[int]:
        return {column for column, waiting in enumerate(self._waiting) if waiting is not None}

    def _free(self) -> int:
        if None not in self._waiting:
            self._waiting.append(None)
        return self._waiting.index(None)

    def _open(self, id_: str) -> int:
        column = self._free()
        self._waiting[column] = id_
        return column

    def _node(self, column: int, id_: str | None, sign: str) -> Row:
        cells = ["│" if waiting is not None else " " for waiting in self._waiting]
        cells[column] = sign
        goes_on = "│" if id_ is not None and self._parents[id_] else " "
        below = [*cells[:column], goes_on, *cells[column + 1 :]]
        return Row(" ".join(cells).rstrip(), " ".join(below).rstrip(), id_)


def _line(above: set[int], below: set[int], ends: set[int]) -> str:
    """The row between two states of the lanes, with a line across that joins the ends."""
    left, right = min(ends), max(ends)
    text = ""
    for column in range(max(above | below | ends) + 1):
        sides = ("U" if column in above else "") + ("D" if column in below else "")
        if column in ends:
            sides += ("L" if column > left else "") + ("R" if column < right else "")
        elif left < column < right and not sides:
            sides = "LR"
        # A lane that is only crossed stays unbroken, so that nothing seems to join it.
        text += _LINES[sides] + ("─" if left <= column < right else " ")
    return text.rstrip()
