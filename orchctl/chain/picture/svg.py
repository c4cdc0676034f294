"""The chain as a picture of its own: SVG 1.1, without scripts, fonts or programs from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from orchctl.chain.picture.chart import Chart, Node
from orchctl.chain.picture.layout import Layout, Line, lay_out

# Pixels.
_ROW, _COLUMN, _RADIUS, _MARGIN, _LETTER = 28, 22, 6, 16, 8.4
_STYLE = """
  text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; }
  .dim { fill: #656d76; }
  .tag { fill: #1a7f37; }
  path { fill: none; stroke: #8c959f; stroke-width: 2; }
  path.dependency { stroke-dasharray: 6 4; }
  path.loop { stroke: #c62828; stroke-width: 3; }
  path.missing { stroke: #c62828; stroke-dasharray: 2 4; }
  circle { fill: #57606a; }
  .error circle, .error .found { fill: #c62828; }
  .warning circle, .warning .found { fill: #b26a00; }
  .note circle, .note .found { fill: #1565c0; }
  .missing circle { fill: #ffffff; stroke: #c62828; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .dim { fill: #9198a1; } .tag { fill: #3fb950; }
    circle { fill: #9198a1; }
    .error circle, .error .found { fill: #f47067; }
    .warning circle, .warning .found { fill: #d29922; }
    .note circle, .note .found { fill: #58a6ff; }
  }
"""


def draw(chart: Chart) -> str:
    """The chart as an SVG document, newest revision at the top."""
    layout = lay_out(chart)
    lanes = max([layout.width, *(line.column + 1 for line in layout.lines)])
    left = 2 * _MARGIN + lanes * _COLUMN
    letters = max((len(" ".join(_words(node))) for node in chart.nodes), default=0)
    width = round(left + letters * _LETTER + _MARGIN)
    height = 2 * _MARGIN + max(len(chart.nodes), 1) * _ROW
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Revisions">',
            f"<style>{_STYLE}</style>",
            *(_path(layout, line) for line in layout.lines),
            *(piece for node in chart.nodes for piece in _node(layout, node, left)),
            "</svg>",
            "",
        )
    )


def _x(column: int) -> float:
    return _MARGIN + (column + 0.5) * _COLUMN


def _y(row: int) -> float:
    return _MARGIN + (row + 0.5) * _ROW


def _path(layout: Layout, line: Line) -> str:
    """Down its own column, bending at both ends."""
    child, parent = line.edge.child, line.edge.parent
    x0, y0 = _x(layout.columns[child]), _y(layout.rows[child])
    x1, y1 = _x(layout.columns[parent]), _y(layout.rows[parent])
    x = _x(line.column)
    way = f"M{x0:g} {y0:g}"
    if y1 <= y0:  # back up, beside everything
        way += f" C{x:g} {y0:g} {x:g} {y0:g} {x:g} {(y0 + y1) / 2:g}"
        way += f" C{x:g} {y1:g} {x:g} {y1:g} {x1:g} {y1:g}"
        return f'<path class="{line.edge.kind}" d="{way}"/>'
    bend = _ROW
    way += f" C{x0:g} {y0 + bend / 2:g} {x:g} {y0 + bend / 2:g} {x:g} {y0 + bend:g}"
    if y1 - y0 > _ROW:
        way += f" V{y1 - bend:g}"
    if x != x1 or y0 + bend != y1:
        way += f" C{x:g} {y1 - bend / 2:g} {x1:g} {y1 - bend / 2:g} {x1:g} {y1:g}"
    return f'<path class="{line.edge.kind}" d="{way}"/>'


def _node(layout: Layout, node: Node, left: float) -> Iterator[str]:
    x, y = _x(layout.columns[node.id]), _y(layout.rows[node.id])
    kind = " ".join(filter(None, (node.severity, "missing" if node.missing else "")))
    yield f'<g class="{kind}">'
    if node.findings:
        yield f"<title>{_text(chr(10).join(node.findings))}</title>"
    yield f'<circle cx="{x:g}" cy="{y:g}" r="{_RADIUS}"/>'
    id_, tags, message, found = _words(node)
    yield f'<text x="{left:g}" y="{y + 4.5:g}" xml:space="preserve">{_text(id_)}'
    for text, style in ((tags, "tag"), (message, "dim"), (found, "found")):
        if text:
            yield f'<tspan class="{style}"> {_text(text)}</tspan>'
    yield "</text></g>"


def _words(node: Node) -> tuple[str, str, str, str]:
    tags = f"({', '.join(node.tags)})" if node.tags else ""
    rules = ", ".join(dict.fromkeys(line.partition(" ")[0] for line in node.findings))
    return node.id, tags, node.message, rules


def _text(text: str) -> str:
    """Escaped, and without what XML has no place for."""
    return escape("".join(one if one.isprintable() or one == "\n" else "�" for one in text))
