"""`orchctl rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.files import of_all
from orchctl.cli.invocation import Invocation, Json, Yes, begin, listener
from orchctl.errors import UsageError
from orchctl.output import path_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.upgrade.rollback import RollbackPlan, RollbackReport


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("rollback")(rollback)


def rollback(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option("--to", help="Snapshot to put back (id or its beginning).")
    ] = None,
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Run the downgrades instead; keeps later rows.")
    ] = False,
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Discard what was written since.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be put back; write nothing.")
    ] = False,
    image: Annotated[
        bool,
        typer.Option("--image", help="Undo the last deploy: the image and the database together."),
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="With --image: whose; else the one in the settings."),
    ] = None,
    yes: Yes = False,
    lock_timeout: Annotated[
        str | None, typer.Option(help="How long to wait for whoever holds the database.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Undo the last upgrade: its snapshot back in place, after a snapshot of the present."""
    invocation = begin(context, as_json, lock_timeout=lock_timeout)
    if target and not image:
        raise UsageError("--target goes with --image", hint="orchctl rollback --image")
    if image:
        if to or downgrade:
            raise UsageError("--image goes to where the deploy began: neither --to nor --downgrade")
        from orchctl.cli.deploy import take_back_last

        return take_back_last(invocation, target, dry_run=dry_run, accept=accept_data_loss)
    from orchctl.upgrade.target import find_databases_or_named

    settings, output = invocation.settings, invocation.output
    databases = find_databases_or_named(settings)
    if downgrade:
        from orchctl.cli.upgrade import run_plan
        from orchctl.upgrade.rollback_run import common_downgrade_target

        target = common_downgrade_target(settings, databases)
        return run_plan(invocation, "downgrade", target, dry_run=dry_run, yes=yes)
    from orchctl.upgrade.rollback_run import plan_rollbacks, roll_back_all

    plans = plan_rollbacks(settings, databases, to=to)
    if dry_run:
        return output.result(
            of_all([_plan_object(plan) for plan in plans]), lambda: _draw_plans(invocation, plans)
        )
    reports = roll_back_all(settings, plans, listener(output), accept_data_loss=accept_data_loss)
    return output.result(
        of_all([_object(report) for report in reports]),
        lambda: output.line("\n".join(map(_summary, reports))),
    )


def _plan_object(plan: RollbackPlan) -> dict[str, Any]:
    return {
        "database": str(plan.database),
        "from": ",".join(plan.before) or None,
        "to": ",".join(plan.after) or None,
        "snapshot": {
            "id": plan.snapshot.id,
            "path": str(plan.snapshot.path),
            "sha256": plan.snapshot.sha256,
        },
        "written_since": plan.changed,
        "rows_since": dict(plan.written),
    }


def _object(report: RollbackReport) -> dict[str, Any]:
    aside = report.put_aside
    return {
        "ok": True,
        **_plan_object(report.plan),
        "put_aside": aside and {"id": aside.id, "path": str(aside.path)},
        "seconds": round(report.seconds, 3),
    }


def _draw_plans(invocation: Invocation, plans: Sequence[RollbackPlan]) -> None:
    for plan in plans:
        _draw_plan(invocation, plan)
    invocation.output.line("Nothing was written.", "dim")


def _draw_plan(invocation: Invocation, plan: RollbackPlan) -> None:
    line = invocation.output.line
    line(f"rollback {path_text(plan.database)} from {_heads(plan.before)} to {_heads(plan.after)}")
    line(f"  snapshot of the present into {path_text(plan.snapshot_directory)}")
    line(f"  restore {plan.snapshot.id} ({plan.snapshot.reason}, {plan.snapshot.created_at})")
    for table, rows in plan.written.items():
        line(f"  would discard: {table} {rows:+d} rows", "yellow")
    if plan.loses and not plan.written:
        line("  would discard what was written since, if anything was", "yellow")


def _summary(report: RollbackReport) -> str:
    plan = report.plan
    text = (
        f"{path_text(plan.database)}: {_heads(plan.before)} -> {_heads(plan.after)}, snapshot "
        f"{plan.snapshot.id} is back ({seconds_text(report.seconds)})"
    )
    if report.put_aside is None:
        return text
    return f"{text}; what was there before is {report.put_aside.id}"


def _heads(heads: tuple[str, ...]) -> str:
    return ",".join(heads) or "base"
