"""`orchctl upgrade` and `orchctl downgrade`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.files import of_all
from orchctl.cli.invocation import Invocation, Json, Yes, begin, listener
from orchctl.errors import UsageError
from orchctl.output import bytes_text, path_text, seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import RunReport
    from orchctl.upgrade.target import Database

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
    app.command("upgrade")(upgrade)
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
    from orchctl.upgrade.at_head import already_there

    if there := already_there(invocation.settings, revision):
        return _nothing_to_do(invocation, there)
    return run_plan(invocation, "upgrade", revision, dry_run=dry_run, yes=True, unsafe=unsafe or ())


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
    from orchctl.upgrade.plan import plan_run
    from orchctl.upgrade.target import find_databases, verified_database

    settings, output = invocation.settings, invocation.output
    databases = find_databases(settings)
    if databases[0].file is None:
        return _run_elsewhere(invocation, direction, revision, dry_run=dry_run)
    _prepare(invocation, databases, unsafe, dry_run=dry_run)
    plans = [plan_run(settings, direction, revision, one, unsafe=unsafe) for one in databases]
    for name in sorted(set(plans[0].unsafe).difference(plans[0].outside)):
        output.warning(f"--unsafe {name}: nothing to do for it in this run")
    pending = any(plan.steps for plan in plans)
    if len(plans) == 1 and (dry_run or not pending):
        verified_database(settings)
    if dry_run:
        return output.result(
            of_all([_plan_object(plan) for plan in plans]), lambda: _draw_plans(invocation, plans)
        )
    if not pending:
        return _nothing_to_do(invocation, *((plan.database, plan.before) for plan in plans))
    if direction == "downgrade":
        agreed = yes or _agreed(invocation, plans)
        plans = [replace(plan, accept_drops=agreed) for plan in plans]
    from orchctl.upgrade.execute import execute_all

    reports = execute_all(settings, plans, listener(output))
    if not any(report.revisions for report in reports):  # somebody else did it while we waited
        return _nothing_to_do(invocation, *((each.database, each.after) for each in reports))
    return output.result(
        of_all([report_object(report) for report in reports]),
        lambda: _draw_reports(invocation, reports),
    )


def _prepare(
    invocation: Invocation, databases: Sequence[Database], unsafe: Sequence[str], *, dry_run: bool
) -> None:
    if unsafe and len(databases) > 1:
        raise UsageError(
            "--unsafe commits in between, and env.py goes through several databases, which are "
            "committed together",
            hint="Make the revision fit into a transaction, or run it with a section of its own",
        )
    for one in databases:
        _after_a_killed_run(invocation, one, dry_run=dry_run)


def _after_a_killed_run(invocation: Invocation, database: Database, *, dry_run: bool) -> None:
    """Where an unsafe run was killed: its snapshot back, or, in a dry run, a word about it."""
    from orchctl.upgrade.mark import find_mark
    from orchctl.upgrade.plan import snapshot_directory

    file = database.require_file("this")
    directory = snapshot_directory(invocation.settings, file)
    mark = find_mark(directory, file)
    if mark is None:
        return None
    from orchctl.upgrade.unsafe_restore import put_back_killed

    if dry_run:
        return invocation.output.warning(
            f"{mark.told}, or is at it; unless it ends well, snapshot {mark.snapshot} is put "
            "back first"
        )
    table, ears = database.version_table, listener(invocation.output)
    return put_back_killed(invocation.settings, file, directory, table, ears)


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


def _run_elsewhere(invocation: Invocation, direction: str, revision: str, *, dry_run: bool) -> None:
    """Another database than SQLite: what Alembic does, minus what needs a file."""
    from orchctl.upgrade.elsewhere import run_elsewhere

    output = invocation.output
    output.note("Not a SQLite file: no snapshot, no single transaction beyond what Alembic gives")
    before, after = run_elsewhere(invocation.settings, direction, revision, dry_run=dry_run)
    data = {"ok": True, "database": None, "from": _joined(before), "to": _joined(after)}
    output.result(data, lambda: output.line(f"{_joined(before)} -> {_joined(after)}"))


def _print_sql(invocation: Invocation, direction: str, revision: str) -> None:
    from orchctl.upgrade.environment import offline_sql

    text = offline_sql(invocation.settings, direction, revision)
    invocation.output.result({"sql": text}, lambda: invocation.output.raw(text))


def _nothing_to_do(invocation: Invocation, *files: tuple[Path, tuple[str, ...]]) -> None:
    from orchctl.upgrade.killed_run import settle_killed_run

    output = invocation.output
    for file, heads in files:
        if (killed := settle_killed_run(invocation.settings, file, heads)) is not None:
            output.warning(killed.told)
    extra: dict[str, Any] = {"deferred_commits": 0, "put_back": []}
    data = of_all([_object(file, heads, heads, [], None, 0.0) | extra for file, heads in files])

    def draw() -> None:
        for file, heads in files:
            where = _joined(heads) or "base"
            output.line(f"{path_text(file)} is at {where} already; nothing to do")

    output.result(data, draw)


def report_object(report: RunReport) -> dict[str, Any]:
    """The JSON form of a run's report."""
    snapshot = report.snapshot
    told = (
        {"id": snapshot.id, "path": str(snapshot.path), "sha256": snapshot.sha256}
        if snapshot
        else None
    )
    revisions = [revision for revision, _ in report.revisions]
    return {
        **_object(report.database, report.before, report.after, revisions, told, report.seconds),
        "deferred_commits": report.deferred_commits,
        "put_back": list(report.put_back),
        "phases": {name: round(took, 3) for name, took in report.phases.items()},
    }


def _object(
    file: Path,
    before: tuple[str, ...],
    after: tuple[str, ...],
    revisions: list[str],
    snapshot: dict[str, Any] | None,
    seconds: float,
) -> dict[str, Any]:
    return {
        "ok": True,
        "database": str(file),
        "from": _joined(before),
        "to": _joined(after),
        "revisions": revisions,
        "snapshot": snapshot,
        "seconds": round(seconds, 3),
    }


def _plan_object(plan: UpgradePlan) -> dict[str, Any]:
    return {
        "ok": True,
        "dry_run": True,
        "database": str(plan.database),
        "from": _joined(plan.before),
        "to": plan.target,
        "revisions": [step.revision for step in plan.steps],
        "steps": [
            {"revision": step.revision, "message": step.message, "path": str(step.path)}
            for step in plan.steps
        ],
        "unsafe": list(plan.outside),
        "backup": plan.backup,
        "snapshot_directory": str(plan.snapshot_directory),
    }


def _draw_plans(invocation: Invocation, plans: Sequence[UpgradePlan]) -> None:
    for plan in plans:
        _draw_plan(invocation, plan)
    if any(plan.steps for plan in plans):
        invocation.output.line("Nothing was written.", "dim")


def _draw_plan(invocation: Invocation, plan: UpgradePlan) -> None:
    output = invocation.output
    where = _joined(plan.before) or "base"
    output.line(f"{plan.direction} {path_text(plan.database)} from {where} to {plan.target}")
    if not plan.steps:
        output.line("  nothing to do")
        return
    if plan.backup:
        output.line(
            f"  snapshot ({bytes_text(plan.size)}) into {path_text(plan.snapshot_directory)}"
        )
    for step in plan.steps:
        outside = "  (outside the transaction)" if step.revision in plan.outside else ""
        output.line(f"  {plan.direction} {step.revision}  {step.message}{outside}")


def _draw_reports(invocation: Invocation, reports: Sequence[RunReport]) -> None:
    for report in reports:
        invocation.output.line(_summary(report))
    phases, seconds = reports[-1].phases, reports[-1].seconds
    told = [f"{name} {seconds_text(took)}" for name, took in phases.items()]
    if seconds >= _SLOW:
        invocation.output.line(f"  time: {', '.join(told)}", "dim")


def _summary(report: RunReport) -> str:
    before, after = _joined(report.before) or "base", _joined(report.after) or "base"
    count = len(report.revisions)
    if not count:
        return f"{path_text(report.database)} is at {after} already"
    plural = "revision" if count == 1 else "revisions"
    text = f"{path_text(report.database)}: {before} -> {after} ({count} {plural}, "
    text += f"{seconds_text(report.seconds)})"
    return f"{text}; snapshot {report.snapshot.id}" if report.snapshot else text


def _joined(heads: tuple[str, ...]) -> str | None:
    return ",".join(heads) or None
