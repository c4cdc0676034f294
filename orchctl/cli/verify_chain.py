"""`orchctl verify-chain`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.errors import ConfigurationError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.chain.findings import ChainReport, Finding
    from orchctl.chain.fix import Edit
    from orchctl.chain.project import ChainPlace
    from orchctl.chain.revision_file import RevisionFile
    from orchctl.config import Settings
    from orchctl.output import Output

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("verify-chain")(verify_chain)


def verify_chain(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(help="Versions folder, script folder or ini file; else the project's."),
    ] = None,
    db: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Hold this database's stamp against it; repeatable."),
    ] = None,
    style: Annotated[
        Format, typer.Option("--format", help="How to write the report.")
    ] = Format.TEXT,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what has one right answer, in the files.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --fix: only show it.")] = False,
    select: Annotated[
        str | None,
        typer.Option(metavar="RULES", help="Only these rules, such as C,L05; commas between."),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(metavar="RULES", help="Not these rules; commas between.")
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")
    ] = False,
    as_json: Json = False,
) -> ExitCode:
    """Check the revision files without running them. Exit 1 when one of them is wrong."""
    invocation = begin(context, as_json or style is Format.JSON)
    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix", hint="Without --fix nothing is written")
    from orchctl.chain.check import check, rule_titles, wants_lint
    from orchctl.chain.examine import examine
    from orchctl.chain.findings import report_data
    from orchctl.chain.project import find_chain
    from orchctl.chain.selection import select as selection_of

    settings, output = invocation.settings, invocation.output
    selection = selection_of(
        [rule.id for rule in rule_titles()],
        settings.verify,
        selected=_words(select),
        ignored=_words(ignore),
        folder=settings.folder,
    )
    place = find_chain(path, settings)
    examination = examine(place, lint=wants_lint(selection))
    report = check(place, examination, selection)
    edits = _mended(report, apply=not dry_run) if fix else ()
    if edits and not dry_run:
        examination = examine(place, lint=wants_lint(selection))
    more = _about_databases(db or (), place, examination.files, settings)
    report = check(place, examination, selection, more)
    data = report_data(report, settings.folder)
    if fix:
        data["edits"] = [_edit_data(edit, settings.folder, applied=not dry_run) for edit in edits]
    output.result(data, lambda: _draw(output, report, edits, settings.folder, applied=not dry_run))
    return ExitCode.DONE if report.ok or exit_zero else ExitCode.NEGATIVE


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _mended(report: ChainReport, *, apply: bool) -> tuple[Edit, ...]:
    from orchctl.chain import fix

    edits = fix.mend(report.findings)
    if apply:
        for edit in edits:
            fix.apply(edit)
    return edits


def _about_databases(
    urls: Sequence[str], place: ChainPlace, files: Sequence[RevisionFile], settings: Settings
) -> list[Finding]:
    if not urls:
        return []
    from orchctl.chain.environment import DEFAULT_VERSION_TABLE, read_environment
    from orchctl.chain.graph import Graph
    from orchctl.chain.stamp import Stamp, check_stamp, created_tables
    from orchctl.config import masked_url
    from orchctl.database.inspect import inspect
    from orchctl.database.location import locate

    stated = read_environment(place.env_py).version_table if place.env_py else None
    table = stated or DEFAULT_VERSION_TABLE
    graph, created = Graph.of(files), created_tables(files)
    findings: list[Finding] = []
    for url in urls:
        # A bare path is what people type.
        file = locate(url if "://" in url else f"sqlite:///{url}", settings.folder)
        facts = inspect(file, version_table=table)
        if not facts.exists:
            raise ConfigurationError(
                f"There is no database {file}",
                code="database-not-found",
                hint=f"--db {masked_url(url)} must name one that exists",
            )
        tables = tuple(name for name in facts.tables if name != table)
        stamp = Stamp(str(file), facts.heads, facts.has_version_table, tables, table)
        findings += check_stamp(graph, stamp, created)
    return findings


def _edit_data(edit: Edit, folder: Path, *, applied: bool) -> dict[str, Any]:
    from orchctl.chain.findings import shown_path

    shown = shown_path(edit.path, folder)
    return {"path": shown, "diff": edit.diff(shown), "applied": applied}


def _draw(
    output: Output, report: ChainReport, edits: Sequence[Edit], folder: Path, *, applied: bool
) -> None:
    from orchctl.chain.findings import shown_path

    for edit in edits:
        shown = shown_path(edit.path, folder)
        if applied:
            for finding in edit.findings:
                told = f"{shown}:{finding.line}: {finding.rule} mended"
                output.line(_printable(told), "green")
        output.raw("".join(map(_printable, edit.diff(shown).splitlines(keepends=True))))
    for finding in report.findings:
        _draw_finding(output, finding, folder)
    output.line(_printable(_summary(report)))
    mendable = sum(finding.replacement is not None for finding in report.findings)
    if mendable and not edits:
        output.note(f"orchctl verify-chain --fix mends {mendable} of them")


def _draw_finding(output: Output, finding: Finding, folder: Path) -> None:
    from orchctl.chain.findings import shown_path
    from orchctl.chain.source import read_line

    where = shown_path(finding.path, folder) + ":" if finding.path else ""
    where += f"{finding.line}: " if finding.path and finding.line else " " if where else ""
    told = f"{where}{finding.rule} {finding.severity}: {finding.message}"
    output.line(_printable(told), _COLOURS[finding.severity])
    line = read_line(finding.path, finding.line) if finding.path and finding.line else None
    if line and line.strip():
        output.line(f"    {_printable(line.strip())}")
    if finding.alembic:
        output.line(_printable(f"    Alembic: {finding.alembic}"), "dim")
    if finding.suggestion:
        output.line(_printable(f"    suggestion: {finding.suggestion}"))


def _printable(text: str) -> str:
    """Without what would make a terminal do something: the text comes from anybody's files."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\t\n" else ascii(one)[1:-1] for one in text)


def _summary(report: ChainReport) -> str:
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


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
