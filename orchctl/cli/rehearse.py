"""`orchctl rehearse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Invocation, Json, begin, listener
from orchctl.output import bytes_text, path_text, seconds_text

if TYPE_CHECKING:
    from orchctl.upgrade.comparison import TableChange
    from orchctl.upgrade.rehearsal import Rehearsal


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("rehearse")(rehearse)


def rehearse(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Where to: head, +1, an id …")] = "head",
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Also each revision up, down and up again.")
    ] = False,
    run: Annotated[
        str | None, typer.Option(metavar="CMD", help="Run this on the copy, DATABASE_URL set.")
    ] = None,
    allow_loss: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE[.COLUMN]", help="Loss of this data is meant; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The upgrade on a copy of the real data; the live file is not touched."""
    invocation = begin(context, as_json, allow_loss=allow_loss or None)
    from orchctl.upgrade import rehearsal
    from orchctl.upgrade.plan import plan_run
    from orchctl.upgrade.target import verified_database

    settings, ears = invocation.settings, listener(invocation.output)
    database = verified_database(settings)
    file = database.require_file("rehearse")
    plan = plan_run(settings, "upgrade", revision, file, database.version_table)
    if round_trip and plan.steps:
        with rehearsal.copy_of(plan, ears) as copy:
            rehearsal.round_trip(settings, plan, copy, ears.step)
    with rehearsal.copy_of(plan, ears) as copy:
        found = rehearsal.rehearse(settings, plan, copy, ears)
        if run:
            rehearsal.run_against(run, copy)
    invocation.output.result(_object(found), lambda: _draw(invocation, found))


def _object(found: Rehearsal) -> dict[str, Any]:
    plan, proof = found.plan, found.proof
    return {
        "ok": True,
        "database": str(plan.database),
        "from": ",".join(plan.before) or None,
        "to": plan.target,
        "revisions": [
            {"revision": one.revision, "message": one.message, "seconds": round(one.seconds, 3)}
            for one in found.revisions
        ],
        "tables": [_table_object(change) for change in (proof.changes if proof else ())],
        "size_before": found.size_before,
        "size_after": found.size_after,
        "space_needed": found.space,
        "seconds": round(found.seconds, 3),
    }


def _table_object(change: TableChange) -> dict[str, Any]:
    return {
        "table": change.table,
        "rows_before": change.before,
        "rows_after": change.after,
        "inserted": _inserted(change),
        "deleted": change.gone,
        "updated": _updated(change),
    }


def _draw(invocation: Invocation, found: Rehearsal) -> None:
    output = invocation.output
    if not found.revisions:
        output.line("Nothing to rehearse: the database is there already")
        return
    rows = [(one.revision, one.message, seconds_text(one.seconds)) for one in found.revisions]
    output.table(("revision", "message", "time"), rows)
    changes = found.proof.changes if found.proof else ()
    if changes:
        output.line()
        numbers = [
            (
                c.table,
                str(c.before),
                str(c.after),
                f"+{_inserted(c)}",
                f"-{c.gone}",
                f"~{_updated(c)}",
            )
            for c in changes
        ]
        output.table(("table", "before", "after", "inserted", "deleted", "updated"), numbers)
    output.line()
    output.line(
        f"{path_text(found.plan.database)} would go to {found.plan.target} in about "
        f"{seconds_text(found.seconds)}, needing {bytes_text(found.space)} beside it; "
        "it was not touched"
    )


def _inserted(change: TableChange) -> int:
    return change.after - (change.before - change.gone)


def _updated(change: TableChange) -> int:
    return max((c.changed + c.nulled + c.emptied + c.filled for c in change.columns), default=0)
