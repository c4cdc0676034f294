"""The chain for Graphviz: https://graphviz.org/doc/info/lang.html."""

from __future__ import annotations

from collections.abc import Iterator

from orchctl.chain.picture.chart import Chart, Edge, Node

_COLOURS = {"error": "#c62828", "warning": "#b26a00", "note": "#1565c0"}
_STYLES = {
    "parent": "",
    "dependency": ' [style="dashed"]',
    "loop": ' [color="#c62828", penwidth=2]',
    "missing": ' [style="dotted", color="#c62828"]',
}


def draw(chart: Chart) -> str:
    """The chart as a DOT digraph, oldest revision at the bottom."""
    return "\n".join(_lines(chart)) + "\n"


def _lines(chart: Chart) -> Iterator[str]:
    yield "digraph chain {"
    yield "  rankdir=BT;"
    yield '  node [shape="box", style="rounded", fontname="sans-serif"];'
    yield from (f"  {_quoted(node.id)} [{_attributes(node)}];" for node in chart.nodes)
    yield from (_line(edge) for edge in chart.edges)
    yield "}"


def _attributes(node: Node) -> str:
    tags = f" ({', '.join(node.tags)})" if node.tags else ""
    found = [f"label={_quoted(node.id + tags, node.message)}"]
    if node.severity:
        found.append(f'color="{_COLOURS[node.severity]}"')
    if node.findings:
        found.append(f"tooltip={_quoted(*node.findings)}")
    if node.missing:
        found.append('style="dotted"')
    return ", ".join(found)


def _line(edge: Edge) -> str:
    # Drawn from the earlier to the later one, as the upgrade goes.
    return f"  {_quoted(edge.parent)} -> {_quoted(edge.child)}{_STYLES[edge.kind]};"


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line)
    text = "\\n".join(" ".join(line.splitlines()) for line in escaped)
    return f'"{text}"'
