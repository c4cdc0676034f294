"""The whole course of a run over a project's databases, and where it left each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.errors import UsageError

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import Listener, RunReport
    from orchctl.upgrade.target import Database


@dataclass(frozen=True)
class Arrival:
    """Where a run left one database.

    Attributes:
        database: The file; None where the database is no SQLite file.
        before: Its heads before, sorted.
        after: Its heads now.
        report: What was done; None when there was nothing to do, and for other databases.
    """

    database: Path | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    report: RunReport | None = None


def upgrade_databases(
    settings: Settings, revision: str, listener: Listener, *, unsafe: Sequence[str] = ()
) -> tuple[Arrival, ...]:
    """Upgrade every database that env.py goes through: what `upgrade` and `run` both do.

    Where the files alone prove that there is nothing to do, neither Alembic nor env.py is loaded.

    Args:
        settings: The run's settings.
        revision: The target in Alembic's notation.
        listener: Who hears of the progress.
        unsafe: Revisions that run outside the transaction, as typed.

    Raises:
        UsageError, Refused, ConfigurationError, LockHeld: Nothing was changed.
        UpgradeFailed, UpgradeRestored, RestoreFailed, Interrupted: As `execute_all` says.
    """
    from orchctl.upgrade.at_head import already_there

    if there := already_there(settings, revision):
        return nothing_to_do(settings, [there], listener)
    from orchctl.upgrade.target import find_databases

    databases = find_databases(settings)
    if databases[0].file is None:
        return (run_on_server(settings, "upgrade", revision, listener),)
    plans = plan_databases(settings, databases, "upgrade", revision, listener, unsafe=unsafe)
    return carry_out(settings, plans, listener)


def plan_databases(
    settings: Settings,
    databases: Sequence[Database],
    direction: str,
    revision: str,
    listener: Listener,
    *,
    unsafe: Sequence[str] = (),
    dry_run: bool = False,
) -> list[UpgradePlan]:
    """The plan for each file, after a killed run is dealt with.

    Args:
        settings: The run's settings.
        databases: What `find_databases` found; SQLite files.
        direction: `upgrade` or `downgrade`.
        revision: The target in Alembic's notation.
        listener: Who hears of the progress.
        unsafe: Revisions that run outside the transaction, as typed.
        dry_run: Write nothing: of a killed run it is only told.

    Raises:
        UsageError, Refused, ConfigurationError, LockHeld: As `plan_run` says.
    """
    from orchctl.upgrade.plan import plan_run
    from orchctl.upgrade.target import verified_database

    if unsafe and len(databases) > 1:
        raise UsageError(
            "--unsafe commits in between, and env.py goes through several databases, which are "
            "committed together",
            hint="Make the revision fit into a transaction, or run it with a section of its own",
        )
    for one in databases:
        _after_a_killed_run(settings, one, listener, dry_run=dry_run)
    plans = [plan_run(settings, direction, revision, one, unsafe=unsafe) for one in databases]
    for name in sorted(set(plans[0].unsafe).difference(plans[0].outside)):
        listener.warning(f"--unsafe {name}: nothing to do for it in this run")
    if len(plans) == 1 and (dry_run or not plans[0].steps):
        verified_database(settings)
    return plans


def carry_out(
    settings: Settings, plans: Sequence[UpgradePlan], listener: Listener
) -> tuple[Arrival, ...]:
    """Execute the plans of all files; raises as `execute_all`."""
    if not any(plan.steps for plan in plans):
        return nothing_to_do(settings, [(plan.database, plan.before) for plan in plans], listener)
    from orchctl.upgrade.execute import execute_all

    reports = execute_all(settings, plans, listener)
    if not any(report.revisions for report in reports):  # somebody else did it while we waited
        return nothing_to_do(settings, [(one.database, one.after) for one in reports], listener)
    return tuple(Arrival(one.database, one.before, one.after, one) for one in reports)


def nothing_to_do(
    settings: Settings, files: Sequence[tuple[Path, tuple[str, ...]]], listener: Listener
) -> tuple[Arrival, ...]:
    """Files that are where they shall be; what became of a killed run is told.

    Args:
        settings: The run's settings.
        files: Each file with its heads.
        listener: Who hears of it.
    """
    from orchctl.upgrade.killed_run import settle_killed_run

    for file, heads in files:
        if (killed := settle_killed_run(settings, file, heads)) is not None:
            listener.warning(killed.told)
    return tuple(Arrival(file, heads, heads) for file, heads in files)


def run_on_server(
    settings: Settings, direction: str, revision: str, listener: Listener, *, dry_run: bool = False
) -> Arrival:
    """Another database than SQLite: what Alembic does, minus what needs a file.

    Raises:
        UsageError, ConfigurationError: As `run_elsewhere` says.
    """
    from orchctl.upgrade.elsewhere import run_elsewhere

    listener.running(
        "Not a SQLite file: no snapshot, no single transaction beyond what Alembic gives"
    )
    before, after = run_elsewhere(settings, direction, revision, dry_run=dry_run)
    return Arrival(None, before, after)


def _after_a_killed_run(
    settings: Settings, database: Database, listener: Listener, *, dry_run: bool
) -> None:
    """Where an unsafe run was killed: its snapshot back, or, in a dry run, a word about it."""
    from orchctl.upgrade.mark import find_mark
    from orchctl.upgrade.plan import snapshot_directory

    file = database.require_file("this")
    directory = snapshot_directory(settings, file)
    mark = find_mark(directory, file)
    if mark is None:
        return
    if dry_run:
        listener.warning(
            f"{mark.told}, or is at it; unless it ends well, snapshot {mark.snapshot} is put "
            "back first"
        )
        return
    from orchctl.upgrade.unsafe_restore import put_back_killed

    put_back_killed(settings, file, directory, database.version_table, listener)
