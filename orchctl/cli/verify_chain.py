"""`orchctl verify-chain`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin
from orchctl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from orchctl.chain.findings import ChainReport
    from orchctl.chain.fix import Edit
    from orchctl.chain.lockfile import LockChange


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
    base: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Check the tree as it will be once merged into REF."),
    ] = None,
    lock: Annotated[
        bool, typer.Option("--lock", help="Write chain.lock: what every revision now is.")
    ] = False,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Fail when a revision is not as chain.lock says.")
    ] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")
    ] = False,
    as_json: Json = False,
) -> ExitCode:
    """Check the revision files without running them. Exit 1 when one of them is wrong."""
    invocation = begin(context, as_json or style is Format.JSON)
    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix", hint="Without --fix nothing is written")
    if lock and frozen:
        raise UsageError("--lock writes what --frozen checks", hint="Give one of the two")
    from orchctl.chain.check import check, rule_titles, wants_lint
    from orchctl.chain.examine import examine
    from orchctl.chain.findings import report_data, shown_path
    from orchctl.chain.project import find_chain
    from orchctl.chain.selection import select as selection_of
    from orchctl.chain.vanished import with_history
    from orchctl.cli.chain_findings import (
        about_databases,
        about_lockfile,
        about_merge,
        write_lockfile,
    )
    from orchctl.cli.chain_text import draw_lock, draw_report

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
    more = about_databases(db or (), place, examination.files, settings)
    if frozen:
        more += about_lockfile(place, examination.files)
    if base:
        more += about_merge(place, examination.files, base)
    report = check(place, examination, selection, more)
    report = replace(report, findings=tuple(with_history(report.findings, place)))
    data = report_data(report, settings.folder)
    if fix:
        data["edits"] = [_edit_data(edit, settings.folder, applied=not dry_run) for edit in edits]
    locked = write_lockfile(place, examination.files) if lock else None
    if locked:
        data["lock"] = _lock_data(*locked, settings.folder)

    def draw() -> None:
        draw_report(output, report, edits, settings.folder, applied=not dry_run)
        if locked:
            draw_lock(output, shown_path(locked[0], settings.folder), locked[1])

    output.result(data, draw)
    return ExitCode.DONE if report.ok or exit_zero else ExitCode.NEGATIVE


def _lock_data(path: Path, change: LockChange, folder: Path) -> dict[str, Any]:
    from orchctl.chain.findings import shown_path

    return {
        "path": shown_path(path, folder),
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
    }


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _mended(report: ChainReport, *, apply: bool) -> tuple[Edit, ...]:
    from orchctl.chain import fix

    edits = fix.mend(report.findings)
    if apply:
        for edit in edits:
            fix.apply(edit)
    return edits


def _edit_data(edit: Edit, folder: Path, *, applied: bool) -> dict[str, Any]:
    from orchctl.chain.findings import shown_path

    shown = shown_path(edit.path, folder)
    return {"path": shown, "diff": edit.diff(shown), "applied": applied}
