"""`orchctl rehearse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.files import of_all
from orchctl.cli.invocation import Invocation, Json, begin, listener
from orchctl.errors import UsageError
from orchctl.output import bytes_text, path_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.round_trip import RoundTrip


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
        str | None,
        typer.Option(metavar="CMD", help="Run this on the upgraded copy, DATABASE_URL set to it."),
    ] = None,
    allow_loss: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE[.COLUMN]", help="Loss of this data is meant; repeatable."),
    ] = None,
    unsafe: Annotated[
        list[str] | None,
        typer.Option(metavar="REV", help="Run this revision outside the transaction; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The upgrade on a copy of the real data; the live file is not touched."""
    invocation = begin(context, as_json, allow_loss=allow_loss or None)
    from orchctl.upgrade.plan import plan_run
    from orchctl.upgrade.target import find_databases, verified_database

    settings = invocation.settings
    databases = find_databases(settings)
    if len(databases) == 1:
        databases = (verified_database(settings),)
    if len(databases) > 1 and (run or round_trip or unsafe):
        raise _one_copy_only()
    plans = [plan_run(settings, "upgrade", revision, one, unsafe=unsafe or ()) for one in databases]
    if not any(plan.steps for plan in plans) and not run:
        return _nothing_to_rehearse(invocation, plans)
    trips = _round_trips(invocation, plans[0]) if round_trip else None
    return _rehearse(invocation, plans, trips, run, databases[0].url)


def _one_copy_only() -> UsageError:
    return UsageError(
        "--run, --round-trip and --unsafe work on one database; env.py goes through several",
        hint="Leave them out: orchctl rehearse",
    )


def _round_trips(invocation: Invocation, plan: UpgradePlan) -> tuple[RoundTrip, ...]:
    from orchctl.upgrade.rehearsal import copy_of
    from orchctl.upgrade.round_trip import require_no_faults, round_trip

    ears = listener(invocation.output)
    with copy_of(plan, ears) as copy:
        trips = round_trip(invocation.settings, plan, copy, ears)
    require_no_faults(trips)
    return trips


def _rehearse(
    invocation: Invocation,
    plans: Sequence[UpgradePlan],
    trips: tuple[RoundTrip, ...] | None,
    command: str | None,
    url: str,
) -> None:
    from orchctl.cli.rehearse_text import draw, report_object
    from orchctl.upgrade.rehearsal_report import rehearsed
    from orchctl.upgrade.trial import require_success, try_command

    output, trial = invocation.output, None
    for plan in plans:
        size = f" ({bytes_text(plan.size)})" if plan.exists else ", which is not there yet"
        output.note(f"Rehearsing on a copy of {path_text(plan.database)}{size}")
    with rehearsed(invocation.settings, plans, listener(output)) as (copies, reports):
        if not output.as_json:  # what came out is worth knowing whatever the command says to it
            for report in reports:
                draw(output, report)
        if command:
            output.note(f"Running {command} on the upgraded copy")
            trial = try_command(command, copies[0], url, keep_output=output.as_json)
            require_success(trial)
            output.step(f"{command} ended with 0")
    if output.as_json:
        output.json(of_all([report_object(report, trips, trial) for report in reports]))


def _nothing_to_rehearse(invocation: Invocation, plans: Sequence[UpgradePlan]) -> None:
    objects: list[dict[str, Any]] = []
    lines = []
    for plan in plans:
        heads, file = ",".join(plan.before) or None, plan.database
        told: dict[str, Any] = {"database": str(file), "from": heads, "to": heads}
        objects.append({"ok": True, **told, "revisions": []})
        lines.append(f"{path_text(file)} is at {heads or 'base'} already; nothing to rehearse")
    invocation.output.result(of_all(objects), lambda: invocation.output.line("\n".join(lines)))
