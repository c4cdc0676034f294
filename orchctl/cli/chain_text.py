"""How a check of the chain looks on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchctl.chain.findings import ChainReport, Finding
    from orchctl.chain.fix import Edit
    from orchctl.chain.lockfile import LockChange
    from orchctl.output import Output

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_ALEMBIC = "    Alembic: "


def draw_report(
    output: Output,
    report: ChainReport,
    edits: Sequence[Edit] | None,
    folder: Path,
    *,
    applied: bool,
) -> None:
    """Show what was found, and what `--fix` changed or would change.

    Args:
        output: Where to.
        report: What was found.
        edits: What `--fix` has for it; None where it was not asked for.
        folder: Paths below it are shown relative to it.
        applied: Whether the edits are in the files.
    """
    from orchctl.chain.findings import shown_path, summary

    for edit in edits or ():
        shown = shown_path(edit.path, folder)
        if applied:
            for finding in edit.findings:
                told = f"{shown}:{finding.line}: {finding.rule} mended"
                output.line(printable(told), "green")
        output.raw("".join(map(printable, edit.diff(shown).splitlines(keepends=True))))
    for finding in report.findings:
        _draw_finding(output, finding, folder)
    output.line(printable(summary(report)))
    if edits is None and (mendable := _mendable(report)):
        output.note(f"--fix mends {mendable} of them")


def _mendable(report: ChainReport) -> int:
    if all(finding.replacement is None for finding in report.findings):
        return 0
    from orchctl.chain.fix import mend

    return sum(len(edit.findings) for edit in mend(report.findings))


def draw_lock(output: Output, path: str, change: LockChange) -> None:
    """Show what writing the lockfile changed."""
    parts = [
        f"{len(ids)} {what} ({', '.join(ids[:5])}{', …' if len(ids) > 5 else ''})"
        for what, ids in (
            ("added", change.added),
            ("changed", change.changed),
            ("removed", change.removed),
        )
        if ids
    ]
    output.line(printable(f"{path}: {', '.join(parts) or 'as it was'}"), "green")


def _draw_finding(output: Output, finding: Finding, folder: Path) -> None:
    first, *more = finding_lines(finding, folder)
    output.line(first, _COLOURS[finding.severity])
    for line in more:
        output.line(line, "dim" if line.startswith(_ALEMBIC) else None)


def finding_lines(finding: Finding, folder: Path) -> list[str]:
    """A finding as it is shown: where and what, the line itself, what Alembic says, what to do.

    Args:
        finding: The finding.
        folder: Paths below it are shown relative to it.
    """
    from orchctl.chain.findings import shown_path
    from orchctl.chain.source import read_line

    where = shown_path(finding.path, folder) + ":" if finding.path else ""
    where += f"{finding.line}: " if finding.path and finding.line else " " if where else ""
    lines = [f"{where}{finding.rule} {finding.severity}: {finding.message}"]
    line = None
    if finding.path and finding.line and finding.path.suffix not in (".pyc", ".pyo"):
        line = read_line(finding.path, finding.line)
    if line and line.strip():
        lines.append(f"    {line.strip()}")
    if finding.alembic:
        lines.append(f"{_ALEMBIC}{finding.alembic}")
    if finding.suggestion:
        lines.append(f"    suggestion: {finding.suggestion}")
    return [printable(one) for one in lines]


def printable(text: str) -> str:
    """Without what would make a terminal do something: the text comes from anybody's files."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\t\n" else ascii(one)[1:-1] for one in text)
