"""The chain for Mermaid, which GitHub and GitLab draw: https://mermaid.js.org/syntax/flowchart.html."""

from __future__ import annotations

from collections.abc import Iterator

from orchctl.chain.picture.chart import Chart, Node

_ARROWS = {"parent": "-->", "dependency": "-.->", "loop": "==>", "missing": "-.-x"}


def draw(chart: Chart) -> str:
    """The chart as a flowchart, oldest revision at the bottom."""
    return "\n".join(_lines(chart)) + "\n"


def _lines(chart: Chart) -> Iterator[str]:
    yield "flowchart BT"
    # An id of ours may be a word that Mermaid reserves ("end"), or hold what it cannot parse.
    names = {node.id: f"r{place}" for place, node in enumerate(chart.nodes)}
    for node in chart.nodes:
        style = f":::{node.severity}" if node.severity else ""
        yield f"  {names[node.id]}[{_label(node)}]{style}"
    for edge in chart.edges:
        yield f"  {names[edge.parent]} {_ARROWS[edge.kind]} {names[edge.child]}"
    yield "  classDef error stroke:#c62828,stroke-width:2px"
    yield "  classDef warning stroke:#b26a00,stroke-width:2px"
    yield "  classDef note stroke:#1565c0"


def _label(node: Node) -> str:
    tags = f" ({', '.join(node.tags)})" if node.tags else ""
    lines = [node.id + tags, node.message, *node.findings]
    return '"' + "<br/>".join(_escaped(line) for line in lines if line) + '"'


def _escaped(text: str) -> str:
    # Its own entity codes: https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters
    for sign, code in (("#", "#35;"), ("&", "#38;"), ('"', "#34;"), ("<", "#60;"), (">", "#62;")):
        text = text.replace(sign, code)
    return " ".join(text.split())
