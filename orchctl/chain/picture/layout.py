"""Where each revision stands in a drawn chain: a row each, a column for each branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchctl.chain.picture.chart import Chart, Edge


@dataclass(frozen=True)
class Line:
    """A line from a child down to a parent.

    Attributes:
        edge: What it stands for.
        column: The column in which it runs between their rows.
    """

    edge: Edge
    column: int


@dataclass(frozen=True)
class Layout:
    """Places in a grid.

    Attributes:
        rows: Each id with its row, from 0 at the top.
        columns: Each id with its column, from 0 at the left.
        lines: The lines between them.
        width: How many columns there are.
    """

    rows: Mapping[str, int]
    columns: Mapping[str, int]
    lines: tuple[Line, ...]
    width: int


def lay_out(chart: Chart) -> Layout:
    """Place the nodes of a chart: lanes as `git log --graph` has them."""
    rows = {node.id: row for row, node in enumerate(chart.nodes)}
    leaving: dict[str, list[Edge]] = {}
    for edge in chart.edges:
        leaving.setdefault(edge.child, []).append(edge)
    waiting: list[str | None] = []
    columns: dict[str, int] = {}
    lines: list[Line] = []
    for node in chart.nodes:
        mine = [place for place, id_ in enumerate(waiting) if id_ == node.id]
        column = mine[0] if mine else _free(waiting)
        columns[node.id] = column
        for place in mine:
            waiting[place] = None
        lines += [
            Line(edge, _lane(edge, rows, waiting, column)) for edge in leaving.get(node.id, ())
        ]
    return Layout(rows, columns, tuple(lines), max(len(waiting), 1))


def _lane(edge: Edge, rows: Mapping[str, int], waiting: list[str | None], column: int) -> int:
    if rows[edge.parent] <= rows[edge.child]:  # a loop: back up, beside everything
        return len(waiting)
    own = column < len(waiting) and waiting[column] is None
    for place, id_ in enumerate(waiting):
        # Straight on where that is further left: the main line then stays where it is.
        if id_ == edge.parent and not (own and column < place):
            return place
    place = column if own else _free(waiting)
    waiting[place] = edge.parent
    return place


def _free(waiting: list[str | None]) -> int:
    for place, id_ in enumerate(waiting):
        if id_ is None:
            return place
    waiting.append(None)
    return len(waiting) - 1
