"""Rolling back a run over several files: all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchctl.database.inspect import inspect
from orchctl.errors import OrchctlError, Refused, UsageError
from orchctl.snapshots.catalog import Catalog
from orchctl.upgrade.plan import snapshot_directory
from orchctl.upgrade.rollback import (
    RollbackPlan,
    RollbackReport,
    downgrade_target,
    last_change,
    nothing_to_roll_back,
    plan_rollback,
    require_acceptance,
    roll_back,
)

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.journal import Entry
    from orchctl.upgrade.report import Listener
    from orchctl.upgrade.target import Database


def plan_rollbacks(
    settings: Settings, databases: Sequence[Database], *, to: str | None = None
) -> tuple[RollbackPlan, ...]:
    """Find what a rollback puts back into each file.

    Args:
        settings: The run's settings.
        databases: The SQLite files that env.py goes through.
        to: Id (or unique prefix) of a snapshot: then only its file is rolled back. None means the
            files of the last run.

    Raises:
        Refused: Nothing to roll back, or a snapshot can't be used.
        UsageError: No such snapshot, or one of several files.
    """
    meant = _of_last_run(settings, databases) if to is None else [_owner(settings, databases, to)]
    return tuple(
        plan_rollback(file, snapshot_directory(settings, file), one.version_table, to=to)
        for one in meant
        for file in (one.require_file("rollback"),)
    )


def roll_back_all(
    settings: Settings,
    plans: Sequence[RollbackPlan],
    listener: Listener,
    *,
    accept_data_loss: bool,
) -> tuple[RollbackReport, ...]:
    """Put the snapshots back, one file after the other; none where one of them may lose writes.

    Args:
        settings: The run's settings.
        plans: What to do.
        listener: Who hears of the progress.
        accept_data_loss: Whether writes made since may be discarded.

    Raises:
        Refused, LockHeld, RestoreFailed: As `roll_back`; the state says which files are done.
    """
    for plan in plans if not accept_data_loss else ():
        require_acceptance(plan)
    done: list[RollbackReport] = []
    for plan in plans:
        try:
            report = roll_back(settings, plan, listener, accept_data_loss=accept_data_loss)
        except OrchctlError as error:
            if done:
                files = ", ".join(str(each.plan.database) for each in done)
                error.state = f"{files} rolled back already; {plan.database}: {error.state}"
                error.hint = f"{error.hint}. orchctl rollback again takes back the rest"
            raise
        done.append(report)
    return tuple(done)


def common_downgrade_target(settings: Settings, databases: Sequence[Database]) -> str:
    """Where a rollback by downgrades goes, the same for every file.

    Raises:
        Refused: There is no upgrade to undo, or the files began at different revisions.
    """
    targets = {
        str(file): downgrade_target(file, snapshot_directory(settings, file), one.version_table)
        for one in databases
        for file in (one.require_file("rollback"),)
    }
    if len(set(targets.values())) > 1:
        told = ", ".join(f"{file} at {target}" for file, target in targets.items())
        raise Refused(
            f"The last upgrade began at different revisions: {told}",
            code="several-heads",
            state="Nothing was changed",
            hint="orchctl downgrade REVISION takes all of them to one",
        )
    return next(iter(targets.values()))


def _of_last_run(settings: Settings, databases: Sequence[Database]) -> Sequence[Database]:
    if len(databases) == 1:
        return databases
    changes = [(one, change) for one in databases if (change := _change(settings, one))]
    if not changes:
        raise nothing_to_roll_back(databases[0].require_file("rollback"))
    # A line without a time is of a run that was killed since.
    newest, last = max(changes, key=lambda pair: pair[1].at or "9")
    if last.run is None:
        return (newest,)
    return tuple(one for one, change in changes if change.run == last.run)


def _change(settings: Settings, database: Database) -> Entry | None:
    file, table = database.require_file("rollback"), database.version_table
    if not file.exists():
        return None
    heads = inspect(file, version_table=table).heads
    return last_change(Catalog(snapshot_directory(settings, file), file), file, heads, table)


def _owner(settings: Settings, databases: Sequence[Database], to: str) -> Database:
    """The database that a snapshot is of."""
    if len(databases) == 1:
        return databases[0]
    owners = []
    for one in databases:
        file = one.require_file("rollback")
        catalog = Catalog(snapshot_directory(settings, file), file)
        if any(snapshot.id.startswith(to) for snapshot in catalog.list()):
            owners.append(one)
    if len(owners) == 1:
        return owners[0]
    raise UsageError(
        f"{len(owners) or 'No'} databases have a snapshot {to}",
        code="ambiguous-snapshot" if owners else "unknown-snapshot",
        hint="orchctl --url sqlite:///PATH backup list shows the snapshots of each",
    )
