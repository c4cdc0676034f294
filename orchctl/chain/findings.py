"""What a check of the chain has to say: findings, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchctl.chain.tokens import Severity, Token


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a finding can be mended.

    Attributes:
        path: The file.
        token: What is to be replaced: a string literal, quotes and all, or words of the docstring.
        text: The text that belongs there.
        header: Whether it is in the docstring.
    """

    path: Path
    token: Token
    text: str
    header: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        rule: Its id, such as C01; `orchctl explain C01` prints its page.
        severity: `error` (Alembic fails, or does something else than what is written), `warning`
            or `note`.
        message: What is wrong, one sentence, no final period.
        path: The file it is about, or None when it is about none.
        line: The line, from 1.
        column: The column, from 1, in characters.
        revision: The revision id it is about.
        suggestion: What to write instead: for a wrong id the right one, otherwise a sentence.
        alembic: What Alembic itself says in this case.
        replacement: The edit that mends it, where there is one that cannot be wrong.
        missing: The id that is named and not there, where it is about one.
    """

    rule: str
    severity: Severity
    message: str
    path: Path | None = None
    line: int | None = None
    column: int | None = None
    revision: str | None = None
    suggestion: str | None = None
    alembic: str | None = None
    replacement: Replacement | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The verdict on a chain.

    Attributes:
        revisions: Every id, in the order in which they would be applied.
        heads: The ids that no other revision follows, in file order.
        bases: The ids that follow no other, in file order.
        findings: What was found, by file and line.
    """

    revisions: tuple[str, ...]
    heads: tuple[str, ...]
    bases: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


def by_place(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by file and line, those about no file first."""

    def place(one: Finding) -> tuple[str, int, int, str]:
        return (str(one.path or ""), one.line or 0, one.column or 0, one.rule)

    return tuple(sorted(findings, key=place))


def report_data(report: ChainReport, folder: Path) -> dict[str, Any]:
    """The report as the object that `--format json` prints (docs/json.md).

    Args:
        report: The report.
        folder: The working folder; paths below it are given relative to it.
    """
    return {
        "ok": report.ok,
        "revisions": list(report.revisions),
        "heads": list(report.heads),
        "bases": list(report.bases),
        "findings": [_finding_data(finding, folder) for finding in report.findings],
    }


def summary(report: ChainReport) -> str:
    """The report in one line: how many revisions, which heads, how many findings of each kind."""
    count = len(report.revisions)
    parts = [_counted(count, "revision"), _counted(len(report.heads), "head")]
    if report.heads:
        more = ", …" if len(report.heads) > 5 else ""
        parts[-1] += f" ({', '.join(report.heads[:5])}{more})"
    severities = [finding.severity for finding in report.findings]
    found = [
        _counted(severities.count(severity), severity)
        for severity in ("error", "warning", "note")
        if severity in severities
    ]
    return ", ".join([*parts, *(found or ["no findings"])])


def shown_path(path: Path, folder: Path) -> str:
    """A path for people: relative to the working folder when it is below it."""
    for base in (folder, folder.resolve()):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def _finding_data(finding: Finding, folder: Path) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "path": shown_path(finding.path, folder) if finding.path else None,
        "line": finding.line,
        "column": finding.column,
        "revision": finding.revision,
        "message": finding.message,
        "suggestion": finding.suggestion,
        "alembic": finding.alembic,
    }


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
