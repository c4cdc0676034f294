"""`orchctl upgrade` and `orchctl downgrade`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from orchctl.cli.invocation import Invocation, Json, Yes, begin, listener
from orchctl.cli.upgrade_text import show_arrivals, show_plans
from orchctl.output import path_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.upgrade.plan import UpgradePlan

Backup = Annotated[
    bool | None, typer.Option("--backup/--no-backup", help="Take a snapshot first (default).")
]
Rehearse = Annotated[
    bool | None,
    typer.Option("--rehearse/--no-rehearse", help="Run on a copy of the snapshot first (default)."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan; write nothing.")]
Sql = Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")]
AllowLoss = Annotated[
    list[str] | None,
    typer.Option(metavar="TABLE[.COLUMN]", help="Loss of this data is meant; repeatable."),
]
Unsafe = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REV",
        help="Run this revision outside the transaction; needs the snapshot; repeatable.",
    ),
]
Proof = Annotated[
    str | None, typer.Option(help="How closely rows are compared: full, keys, counts, off.")
]
LockTimeout = Annotated[
    str | None, typer.Option(help="How long to wait for whoever holds the database, e.g. 30s.")
]


_SLOW = 1.0  # seconds from which on it is told where the time went


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    from orchctl.cli.optional_target import RestartableCommand

    app.command("upgrade", cls=RestartableCommand)(upgrade)
    # `-1` is a revision here, not an option.
    app.command("downgrade", context_settings={"ignore_unknown_options": True})(downgrade)


def upgrade(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Where to: head, +1, an id …")] = "head",
    backup: Backup = None,
    rehearse: Rehearse = None,
    dry_run: DryRun = False,
    sql: Sql = False,
    allow_loss: AllowLoss = None,
    proof: Proof = None,
    unsafe: Unsafe = None,
    lock_timeout: LockTimeout = None,
    restart: Annotated[
        str | None,
        typer.Option(
            metavar="[TARGET]",
            help="Restart it then: docker:NAME, k8s:NAMESPACE/KIND/NAME …, or the settings' own.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Upgrade the database: snapshot, then every revision in one transaction, then proof."""
    invocation = begin(
        context,
        as_json,
        backup=backup,
        rehearse=rehearse,
        lock_timeout=lock_timeout,
        allow_loss=allow_loss or None,
        proof=proof,
    )
    if sql:
        return _print_sql(invocation, "upgrade", revision)
    from orchctl.upgrade.course import nothing_to_do, upgrade_databases

    settings, ears = invocation.settings, listener(invocation.output)
    if restart is not None and not dry_run:
        from orchctl.cli.upgrade_restart import upgrade_and_restart

        return upgrade_and_restart(
            invocation,
            restart,
            lambda: upgrade_databases(settings, revision, ears, unsafe=unsafe or ()),
        )
    if not dry_run:
        arrivals = upgrade_databases(settings, revision, ears, unsafe=unsafe or ())
        return show_arrivals(invocation.output, arrivals)
    from orchctl.upgrade.at_head import already_there

    if there := already_there(settings, revision):
        return show_arrivals(invocation.output, nothing_to_do(settings, [there], ears))
    return run_plan(invocation, "upgrade", revision, dry_run=True, yes=True, unsafe=unsafe or ())


def downgrade(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Where to: -1, an id, base …")],
    backup: Backup = None,
    rehearse: Rehearse = None,
    dry_run: DryRun = False,
    sql: Sql = False,
    allow_loss: AllowLoss = None,
    proof: Proof = None,
    unsafe: Unsafe = None,
    yes: Yes = False,
    lock_timeout: LockTimeout = None,
    as_json: Json = False,
) -> None:
    """Downgrade the database the same safe way; asks before steps that drop data."""
    invocation = begin(
        context,
        as_json,
        backup=backup,
        rehearse=rehearse,
        lock_timeout=lock_timeout,
        allow_loss=allow_loss or None,
        proof=proof,
    )
    if sql:
        return _print_sql(invocation, "downgrade", revision)
    return run_plan(
        invocation, "downgrade", revision, dry_run=dry_run, yes=yes, unsafe=unsafe or ()
    )


def run_plan(
    invocation: Invocation,
    direction: str,
    revision: str,
    *,
    dry_run: bool,
    yes: bool,
    unsafe: Sequence[str] = (),
) -> None:
    """Plan a run, and show the plan or execute it.

    Args:
        invocation: The run of the command line.
        direction: `upgrade` or `downgrade`.
        revision: The target in Alembic's notation.
        dry_run: Only show the plan.
        yes: Don't ask before steps that drop data.
        unsafe: Revisions that run outside the transaction, as typed.
    """
    from orchctl.upgrade.course import carry_out, plan_databases, run_on_server
    from orchctl.upgrade.target import find_databases

    settings, output = invocation.settings, invocation.output
    ears = listener(output)
    databases = find_databases(settings)
    if databases[0].file is None:
        arrival = run_on_server(settings, direction, revision, ears, dry_run=dry_run)
        return show_arrivals(output, (arrival,))
    plans = plan_databases(
        settings, databases, direction, revision, ears, unsafe=unsafe, dry_run=dry_run
    )
    if dry_run:
        return show_plans(output, plans)
    if direction == "downgrade" and any(plan.steps for plan in plans):
        agreed = yes or _agreed(invocation, plans)
        plans = [replace(plan, accept_drops=agreed) for plan in plans]
    return show_arrivals(output, carry_out(settings, plans, ears))


def _agreed(invocation: Invocation, plans: Sequence[UpgradePlan]) -> bool:
    """Whether somebody said yes to what a downgrade drops; False when there is nothing to ask."""
    from orchctl.errors import Refused
    from orchctl.upgrade.losses import downgrade_losses

    told = [
        f"Downgrading {path_text(plan.database)} to {plan.target}: {'; '.join(losses)}"
        for plan in plans
        if (losses := downgrade_losses(plan))
    ]
    if not told:
        return False
    question = ". ".join(told)
    if invocation.output.can_ask():
        if invocation.output.ask(f"{question}. Go on?"):
            return True
        question = "The downgrade was not agreed to"
    raise Refused(question, code="needs-yes", state="Nothing was changed", hint="--yes goes on")


def _print_sql(invocation: Invocation, direction: str, revision: str) -> None:
    from orchctl.upgrade.environment import offline_sql

    text = offline_sql(invocation.settings, direction, revision)
    invocation.output.result({"sql": text}, lambda: invocation.output.raw(text))
