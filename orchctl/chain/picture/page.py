"""The chain and its findings as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from orchctl.chain.findings import ChainReport, Finding, shown_path
from orchctl.chain.picture import svg
from orchctl.chain.picture.chart import Chart

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; }
td { vertical-align: top; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.error { color: #c62828; } .warning { color: #b26a00; } .note { color: #1565c0; }
figure { margin: 1rem 0; overflow-x: auto; }
"""


def draw(chart: Chart, report: ChainReport, folder: Path) -> str:
    """The page.

    Args:
        chart: The chain.
        report: What was found.
        folder: Paths below it are shown relative to it.
    """
    count, heads = len(report.revisions), ", ".join(report.heads) or "none"
    found = f"{len(report.findings)} findings"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Revision chain: {count} revisions</title><style>{_STYLE}</style></head><body>",
            "<h1>Revision chain</h1>",
            f"<p>{count} revisions; heads: <code>{escape(heads)}</code>; {found}</p>",
            *_table(report.findings, folder),
            f"<figure>{svg.draw(chart)}</figure>",
            "</body></html>",
            "",
        )
    )


def _table(findings: tuple[Finding, ...], folder: Path) -> Iterator[str]:
    if not findings:
        return
    yield "<table><thead><tr><th>Rule</th><th>Where</th><th>What</th></tr></thead><tbody>"
    for one in findings:
        where = shown_path(one.path, folder) if one.path else ""
        where += f":{one.line}" if one.path and one.line else ""
        hint = f"<br>Suggestion: <code>{escape(one.suggestion)}</code>" if one.suggestion else ""
        yield (
            f'<tr><td class="{one.severity}">{one.rule} {one.severity}</td>'
            f"<td><code>{escape(where)}</code></td><td>{escape(one.message)}{hint}</td></tr>"
        )
    yield "</tbody></table>"
