"""The report as workflow commands, which GitHub shows beside the lines.

https://docs.github.com/en/actions/using-workflows/workflow-commands-for-github-actions
"""

from __future__ import annotations

from pathlib import Path

from orchctl.chain.findings import ChainReport, Finding, shown_path

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def write(report: ChainReport, folder: Path) -> str:
    """One line for each finding.

    Args:
        report: What was found.
        folder: The root of the checkout: paths below it are given relative to it.
    """
    return "".join(f"{_line(finding, folder)}\n" for finding in report.findings)


def _line(finding: Finding, folder: Path) -> str:
    properties = []
    if finding.path:
        properties.append(f"file={_escaped(shown_path(finding.path, folder), more=True)}")
        properties.append(f"line={finding.line or 1}")
        if finding.column:
            properties.append(f"col={finding.column}")
    properties.append(f"title={finding.rule}")
    told = finding.message
    if finding.suggestion:
        told += f"\nsuggestion: {finding.suggestion}"
    return f"::{_COMMANDS[finding.severity]} {','.join(properties)}::{_escaped(told)}"


def _escaped(text: str, *, more: bool = False) -> str:
    signs = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    if more:  # inside a property
        signs |= {":": "%3A", ",": "%2C"}
    return "".join(signs.get(one, one) for one in text)
