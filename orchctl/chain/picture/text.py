"""The chain in the terminal, with the rules that found something beside each revision."""

from __future__ import annotations

from orchctl.chain.picture.chart import Chart, Node
from orchctl.chain.picture.lanes import draw as draw_lanes


def draw(chart: Chart, *, plain: bool) -> str:
    """The chart as text, newest revision first.

    Args:
        chart: The chain.
        plain: ASCII only.
    """
    nodes = {node.id: node for node in chart.nodes}
    parents: dict[str, list[str]] = {id_: [] for id_ in nodes}
    place = {id_: row for row, id_ in enumerate(nodes)}
    loops = []
    for edge in chart.edges:
        if place[edge.parent] <= place[edge.child]:
            loops.append(f"{edge.child} goes back up to {edge.parent}")
        elif edge.kind != "dependency":
            parents[edge.child].append(edge.parent)
    rows = draw_lanes(parents, plain=plain)
    width = max((len(row.text) for row in rows), default=0)
    lines = [
        f"{row.text.ljust(width)}  {_told(nodes[row.revision])}" if row.revision else row.text
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in [*lines, *loops]) + "\n"


def _told(node: Node) -> str:
    tags = f" ({', '.join(node.tags)})" if node.tags else ""
    rules = dict.fromkeys(line.partition(":")[0] for line in node.findings)
    told = f"{node.id}{tags}, {node.message}" if node.message else f"{node.id}{tags}"
    return told + "".join(f" [{rule}]" for rule in rules)
