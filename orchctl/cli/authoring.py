"""`orchctl revision`, `orchctl merge` and `orchctl check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Json, begin

if TYPE_CHECKING:
    from orchctl.output import Output
    from orchctl.upgrade.authoring import NewRevision

Message = Annotated[
    str | None, typer.Option("--message", "-m", help="What the revision does; names its file too.")
]
BranchLabel = Annotated[
    str | None, typer.Option(help="A label for the branch that begins with the revision.")
]
RevId = Annotated[str | None, typer.Option(help="The revision's id, instead of a made-up one.")]
Splice = Annotated[bool, typer.Option("--splice", help="Follow a revision that is no head.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("revision")(revision)
    app.command("merge")(merge)
    app.command("check")(check)


def revision(
    context: typer.Context,
    message: Message = None,
    autogenerate: Annotated[
        bool,
        typer.Option("--autogenerate", help="Write what leads from the database to the models."),
    ] = False,
    sql: Annotated[
        bool,
        typer.Option("--sql", help="Run env.py offline, where revision_environment runs it."),
    ] = False,
    head: Annotated[str, typer.Option(help="What it follows: an id or BRANCH@head.")] = "head",
    splice: Splice = False,
    branch_label: BranchLabel = None,
    version_path: Annotated[
        str | None, typer.Option(help="Folder for the file, where there are several.")
    ] = None,
    rev_id: RevId = None,
    depends_on: Annotated[
        list[str] | None, typer.Option(help="A revision that it needs besides; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a new revision file.

    It is in batch mode on SQLite; nothing is ever written to the database.
    """
    invocation = begin(context, as_json)
    from orchctl.upgrade.authoring import Request, write_revision

    request = Request(
        message=message,
        autogenerate=autogenerate,
        sql=sql,
        head=head,
        splice=splice,
        branch_label=branch_label,
        version_path=version_path,
        rev_id=rev_id,
        depends_on=tuple(depends_on or ()),
    )
    _show(invocation.output, write_revision(invocation.settings, request))


def merge(
    context: typer.Context,
    revisions: Annotated[list[str], typer.Argument(help="What to join: ids, or heads for all.")],
    message: Message = None,
    branch_label: BranchLabel = None,
    rev_id: RevId = None,
    splice: Splice = False,
    as_json: Json = False,
) -> None:
    """Write a revision that joins several heads."""
    invocation = begin(context, as_json)
    from orchctl.upgrade.authoring import write_merge

    written = write_merge(
        invocation.settings,
        revisions,
        message=message,
        branch_label=branch_label,
        rev_id=rev_id,
        splice=splice,
    )
    _show(invocation.output, (written,))


def check(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether models and database differ.

    Exit code 1 when they do, with the operations that would make them the same.
    """
    invocation = begin(context, as_json)
    from orchctl.errors import NegativeAnswer
    from orchctl.upgrade.drift import find_drift

    output = invocation.output
    found = find_drift(invocation.settings)
    data = {
        "ok": not found,
        "operations": [
            {"operation": one.operation, "table": one.table, "name": one.name, "text": one.text}
            for one in found
        ],
    }
    lines = [one.text for one in found] or ["No new upgrade operations detected."]
    output.result(data, lambda: output.line("\n".join(lines)))
    if found:
        plural = "operation" if len(found) == 1 else "operations"
        raise NegativeAnswer(
            f"Models and database differ: {len(found)} new upgrade {plural} detected",
            code="drift",
            hint="orchctl revision --autogenerate -m MESSAGE writes the revision",
        )


def _show(output: Output, written: tuple[NewRevision, ...]) -> None:
    objects = [_object(one) for one in written]
    nothing: dict[str, Any] = {"revision": None, "path": None, "down_revisions": [], "findings": []}
    data = {"ok": True, **(objects[0] if objects else nothing)}
    if len(objects) > 1:
        data["others"] = objects[1:]

    def text() -> None:
        for one in written:
            parents = ", ".join(one.down_revisions) or "<base>"
            output.line(f"Generated {one.path} ({parents} -> {one.revision})")
        if not written:
            output.line("No revision: env.py's process_revision_directives left none")

    output.result(data, text)
    for one in written:
        for finding in one.findings:
            place = f"{finding.path}:{finding.line}" if finding.line else str(finding.path)
            output.warning(f"{place}: {finding.rule} {finding.message}")


def _object(one: NewRevision) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "path": str(one.path),
        "down_revisions": list(one.down_revisions),
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "line": finding.line,
                "message": finding.message,
                "suggestion": finding.suggestion,
            }
            for finding in one.findings
        ],
    }
