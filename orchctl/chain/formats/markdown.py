"""The report as Markdown, for a job's summary page or a comment: counts, findings, the picture.

https://docs.github.com/en/actions/using-workflows/workflow-commands-for-github-actions#adding-a-job-summary
"""

from __future__ import annotations

import re
from pathlib import Path

from orchctl.chain.findings import ChainReport, Finding, shown_path, summary
from orchctl.chain.picture import mermaid
from orchctl.chain.picture.chart import Chart

# A page that takes 1 MiB in all; what stands further down nobody reads.
_MOST_ROWS = 200
# Mermaid's own limits (maxTextSize, maxEdges): https://mermaid.js.org/config/schema-docs/config.html
_MOST_CHARACTERS = 50_000
_MOST_EDGES = 500
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def write(report: ChainReport, folder: Path, chart: Chart) -> str:
    """Counts, a table of the findings, and the chain as a Mermaid picture.

    Args:
        report: The report.
        folder: Paths below it are shown relative to it.
        chart: The chain as it is to be drawn.
    """
    verdict = "sound" if report.ok else "broken"
    parts = [f"### The migration chain is {verdict}", _escaped(summary(report))]
    if report.findings:
        parts.append(_table(report, folder))
    parts.append(_picture(chart))
    return "\n\n".join(parts) + "\n"


def _table(report: ChainReport, folder: Path) -> str:
    rows = ["| | rule | where | what | suggestion |", "|---|---|---|---|---|"]
    rows += [_row(finding, folder) for finding in report.findings[:_MOST_ROWS]]
    more = len(report.findings) - _MOST_ROWS
    if more > 0:
        rows += ["", f"… and {more} more"]
    return "\n".join(rows)


def _row(finding: Finding, folder: Path) -> str:
    where = f"{shown_path(finding.path, folder)}:{finding.line or 1}" if finding.path else ""
    cells = (finding.severity, finding.rule, where, finding.message, finding.suggestion or "")
    return f"| {' | '.join(map(_escaped, cells))} |"


def _picture(chart: Chart) -> str:
    drawn = mermaid.draw(chart)
    if len(drawn) > _MOST_CHARACTERS or len(chart.edges) > _MOST_EDGES:
        return "The chain is too long to be drawn here: `orchctl verify-chain --graph svg`"
    return f"```mermaid\n{drawn}```"


def _escaped(text: str) -> str:
    printable = "".join(one if one.isprintable() else " " for one in text)
    return _SPECIAL.sub(r"\\\1", printable)
