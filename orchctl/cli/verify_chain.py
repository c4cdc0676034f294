"""`orchctl verify-chain`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.chain_text import printable
from orchctl.cli.invocation import Json, begin
from orchctl.errors import ExitCode, OperationFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchctl.chain.findings import ChainReport
    from orchctl.chain.fix import Edit
    from orchctl.chain.lockfile import LockChange
    from orchctl.chain.picture.chart import Chart
    from orchctl.chain.selection import Selection
    from orchctl.cli.chain_findings import ChainCheck
    from orchctl.output import Output


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
    JUNIT = "junit"
    MARKDOWN = "markdown"


class Drawing(StrEnum):
    """How the chain is drawn."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"
    HTML = "html"


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
    graph: Annotated[
        Drawing | None,
        typer.Option(help="Draw the chain with what is wrong, instead of the report."),
    ] = None,
    run: Annotated[
        bool,
        typer.Option(
            "--import", help="Run files that compute their ids, to know them; needs deps."
        ),
    ] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")
    ] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Look at every file anew; keep nothing.")
    ] = False,
    as_json: Json = False,
) -> ExitCode:
    """Check the revision files without running them. Exit 1 when one of them is wrong."""
    invocation = begin(context, as_json or style is Format.JSON)
    _require_one_output(style, graph, as_json=invocation.output.as_json)
    if dry_run and not fix:
        raise UsageError("--dry-run goes with --fix", hint="Without --fix nothing is written")
    if dry_run and lock:
        raise UsageError("--dry-run writes nothing, --lock does", hint="Give one of the two")
    if lock and frozen:
        raise UsageError("--lock writes what --frozen checks", hint="Give one of the two")
    from orchctl.chain.project import find_chain
    from orchctl.chain.selection import select as selection_of
    from orchctl.chain.titles import rule_titles
    from orchctl.cli.chain_findings import ChainCheck, Sources, without_database_rules

    settings = invocation.settings
    selection = selection_of(
        [rule.id for rule in rule_titles()],
        settings.verify,
        selected=_words(select),
        ignored=[*_words(ignore), *without_database_rules(settings)],
        folder=settings.folder,
    )
    _require_selected(selection, {"--frozen": frozen, "--base": base is not None, "--db": db})
    sources = Sources(tuple(db or ()), frozen=frozen, base=base, run=run, cached=not no_cache)
    checking = ChainCheck(find_chain(path, settings), selection, sources, settings)
    edits = checking.mend(apply=not dry_run) if fix else None
    report = checking.report()
    change = checking.write_lockfile() if lock else None
    with _to_be_read():
        if graph is not None or style not in (Format.TEXT, Format.JSON):
            text = _drawn(checking, report, graph) if graph else _written(checking, report, style)
            invocation.output.raw(text)
            _note_written(invocation.output, checking, edits or (), change, applied=not dry_run)
        else:
            _show(invocation.output, checking, report, edits, change, applied=not dry_run)
    return ExitCode.DONE if report.ok or exit_zero else ExitCode.NEGATIVE


@contextmanager
def _to_be_read() -> Iterator[None]:
    """Write the report out. Whoever reads only its first line (`| head -1`) gets the verdict too.

    Raises:
        OperationFailed: It cannot be written, as to a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        return
    except OSError as error:
        raise OperationFailed(
            f"The report cannot be written: {error.strerror or error}",
            code="report-unwritable",
            hint="Look at where stdout leads to: df -h",
        ) from error


def _require_one_output(style: Format, graph: Drawing | None, *, as_json: bool) -> None:
    chosen = [f"--format {style.value}"] if style is not Format.TEXT else []
    chosen += [f"--graph {graph.value}"] if graph else []
    if as_json and style is not Format.JSON:
        chosen.append("--json")
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other", hint="Give one of them")


# What each of these options looks for, and finds nothing of where that is not selected.
_RULES_OF = {"--frozen": "C13", "--base": "C15", "--db": "C16"}


def _require_selected(selection: Selection, given: Mapping[str, object]) -> None:
    for option, rule in _RULES_OF.items():
        if given[option] and rule not in selection.rules:
            raise UsageError(
                f"{option} looks for {rule}, which is not selected",
                code="rule-not-selected",
                hint=f"Select {rule} too, or take {option} away",
            )


def _written(checking: ChainCheck, report: ChainReport, style: Format) -> str:
    from orchctl.chain.formats import github, junit, sarif
    from orchctl.chain.titles import rule_titles

    folder = checking.settings.folder
    if style is Format.SARIF:
        return sarif.write(report, _checkout(folder), checking.place.about)
    if style is Format.GITHUB:
        return github.write(report, _checkout(folder))
    if style is Format.MARKDOWN:
        from orchctl.chain.formats import markdown

        return markdown.write(report, folder, _chart(checking, report))
    looked_for = [one for one in rule_titles() if one.id in checking.selection.rules]
    return junit.write(report, folder, [(one.id, one.title) for one in looked_for])


def _checkout(folder: Path) -> Path:
    """Where GitHub counts paths from: the top of the checkout, of which a project may be a part."""
    from orchctl.chain.git import Repository
    from orchctl.errors import TimedOut

    try:
        top = Repository.of(folder).folder
    except (UsageError, TimedOut):
        return folder
    # By the name that the project's own paths have, which may lead through a link.
    return next((one for one in (folder, *folder.parents) if one.resolve() == top), folder)


def _drawn(checking: ChainCheck, report: ChainReport, drawing: Drawing) -> str:
    from orchctl.chain.picture import dot, mermaid, page, svg, text
    from orchctl.chain.picture.lanes import DRAWING
    from orchctl.cli.revision_text import encodable

    chart = _chart(checking, report)
    if drawing is Drawing.TEXT:
        drawn = text.draw(chart, plain=encodable(DRAWING) != DRAWING)
        return encodable(printable(drawn))
    if drawing is Drawing.HTML:
        return page.draw(chart, report, checking.settings.folder)
    if drawing is Drawing.DOT:
        return dot.draw(chart)
    return mermaid.draw(chart) if drawing is Drawing.MERMAID else svg.draw(chart)


def _chart(checking: ChainCheck, report: ChainReport) -> Chart:
    from orchctl.chain.checked import CheckedChain
    from orchctl.chain.picture.chart import chart_of

    chain = CheckedChain.of(checking.files, checking.place.locations)
    return chart_of(chain.graph, report)


def _note_written(
    output: Output,
    checking: ChainCheck,
    edits: Sequence[Edit],
    change: LockChange | None,
    *,
    applied: bool,
) -> None:
    """Say on stderr what was written, where stdout is for a machine."""
    from orchctl.chain.findings import shown_path

    folder = checking.settings.folder
    for edit in edits:
        shown = shown_path(edit.path, folder)
        for finding in edit.findings:
            done = "mended" if applied else "would be mended"
            output.note(printable(f"{shown}:{finding.line}: {finding.rule} {done}"))
    if change is not None:
        output.note(printable(f"{shown_path(checking.place.lockfile, folder)} written"))


def _show(
    output: Output,
    checking: ChainCheck,
    report: ChainReport,
    edits: Sequence[Edit] | None,
    change: LockChange | None,
    *,
    applied: bool,
) -> None:
    from orchctl.chain.findings import report_data, shown_path
    from orchctl.cli.chain_text import draw_lock, draw_report

    folder = checking.settings.folder
    data = report_data(report, folder)
    if edits is not None:
        data["edits"] = [_edit_data(edit, folder, applied=applied) for edit in edits]
    lockfile = shown_path(checking.place.lockfile, folder) if change is not None else ""
    if change is not None:
        data["lock"] = _lock_data(lockfile, change)

    def draw() -> None:
        draw_report(output, report, edits, folder, applied=applied)
        if change is not None:
            draw_lock(output, lockfile, change)

    output.result(data, draw)


def _lock_data(path: str, change: LockChange) -> dict[str, Any]:
    return {
        "path": path,
        "added": list(change.added),
        "changed": list(change.changed),
        "removed": list(change.removed),
    }


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _edit_data(edit: Edit, folder: Path, *, applied: bool) -> dict[str, Any]:
    from orchctl.chain.findings import shown_path

    shown = shown_path(edit.path, folder)
    return {"path": shown, "diff": edit.diff(shown), "applied": applied}
