"""`orchctl stamp`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.invocation import Invocation, Json, begin, listener
from orchctl.cli.upgrade import LockTimeout
from orchctl.output import path_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.database.compare import SchemaDifference
    from orchctl.upgrade.stamp_plan import StampPlan


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command("stamp")(stamp)


def stamp(
    context: typer.Context,
    revisions: Annotated[
        list[str], typer.Argument(help="What the database is at: an id, head, heads, base …")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Also when the schema is not that revision's.")
    ] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Empty the version table first.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only compare the schema; write nothing.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL instead of running it; compares nothing.")
    ] = False,
    lock_timeout: LockTimeout = None,
    as_json: Json = False,
) -> None:
    """Set the database's revision without running any, if its schema really is that one."""
    invocation = begin(context, as_json, lock_timeout=lock_timeout)
    if sql:
        return _print_sql(invocation, revisions, purge=purge)
    from orchctl.upgrade.stamp import stamping, write_stamps
    from orchctl.upgrade.stamp_plan import plan_stamp
    from orchctl.upgrade.target import find_databases, verified_database

    settings, ears = invocation.settings, listener(invocation.output)
    databases = find_databases(settings)
    if len(databases) == 1:
        databases = (verified_database(settings),)
    if databases[0].file is None:
        return _stamp_elsewhere(invocation, revisions, purge=purge, dry_run=dry_run)
    files = [one.require_file("stamp") for one in databases]
    if dry_run:
        plans = [plan_stamp(settings, revisions, file, purge=purge) for file in files]
        return _show(invocation, plans, force=force, dry_run=True)
    with stamping(settings, files, ears):
        plans = [plan_stamp(settings, revisions, file, purge=purge) for file in files]
        if force or all(plan.fits for plan in plans):
            write_stamps(settings, plans, ears)
    return _show(invocation, plans, force=force, dry_run=False)


def _show(
    invocation: Invocation, plans: Sequence[StampPlan], *, force: bool, dry_run: bool
) -> None:
    """The result; where the schema doesn't fit, the differences and then the refusal."""
    from orchctl.upgrade.stamp import refuse

    done = force or all(plan.fits for plan in plans)
    objects = [_object(plan, ok=done, dry_run=dry_run) for plan in plans]

    def draw() -> None:
        for plan in plans:
            _draw(invocation, plan, done=done, dry_run=dry_run)

    data = objects[0] if len(objects) == 1 else {"ok": done, "databases": objects}
    invocation.output.result(data, draw)
    for plan in plans:
        if not done and not plan.fits:
            refuse(plan)


def _object(plan: StampPlan, *, ok: bool, dry_run: bool) -> dict[str, Any]:
    from orchctl.upgrade.stamp import difference_object

    data: dict[str, Any] = {
        "ok": ok,
        "database": str(plan.database),
        "from": ",".join(plan.before) or None,
        "to": ",".join(plan.after) or None,
        "differences": [difference_object(one) for one in plan.differences],
    }
    return data | {"dry_run": True} if dry_run else data


def _draw(invocation: Invocation, plan: StampPlan, *, done: bool, dry_run: bool) -> None:
    output = invocation.output
    before, after = (", ".join(heads) or "base" for heads in (plan.before, plan.after))
    for one in plan.differences:
        output.line(f"  {_difference(one, after)}")
    if not done:
        return
    if plan.obstacle is not None:
        output.warning(f"nothing was compared: {plan.obstacle.message}")
    elif not plan.fits:
        output.warning(f"the schema is not the one of {after}")
    file = path_text(plan.database)
    if plan.before == plan.after and not plan.purge:
        output.line(f"{file} is stamped {after} already; nothing to do")
    elif dry_run:
        output.line(f"{file}: {before} -> {after} (not written)")
    else:
        output.line(f"{file}: {before} -> {after} (stamped; no revision ran)")


def _difference(one: SchemaDifference, revision: str) -> str:
    subject = f"{one.kind} {one.place}"
    if one.after is None:
        return f"missing  {subject}: {one.before}"
    if one.before is None:
        return f"extra    {subject}: {one.after}"
    return f"differs  {subject}: {one.after}; {revision} has {one.before}"


def _stamp_elsewhere(
    invocation: Invocation, revisions: list[str], *, purge: bool, dry_run: bool
) -> None:
    """Another database than SQLite: what Alembic does."""
    from orchctl.upgrade.elsewhere import run_elsewhere

    output = invocation.output
    output.note("Not a SQLite file: the schema is not compared; Alembic stamps as it does")
    before, after = run_elsewhere(
        invocation.settings, "stamp", revisions, dry_run=dry_run, purge=purge
    )
    told = [", ".join(heads) or "base" for heads in (before, after)]
    data: dict[str, Any] = {
        "ok": True,
        "database": None,
        "from": ",".join(before) or None,
        "to": ",".join(after) or None,
        "differences": [],
    }
    output.result(data, lambda: output.line(" -> ".join(told)))


def _print_sql(invocation: Invocation, revisions: list[str], *, purge: bool) -> None:
    if purge:
        from orchctl.errors import UsageError

        raise UsageError(
            "--purge and --sql don't go together: the SQL can't know what to remove",
            hint="orchctl stamp --sql FROM:TO says what is stamped now",
        )
    from orchctl.upgrade.environment import offline_sql

    text = offline_sql(invocation.settings, "stamp", revisions)
    invocation.output.result({"sql": text}, lambda: invocation.output.raw(text))
