"""The plan of an upgrade or downgrade: data that `--dry-run` prints and the executor runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database.inspect import inspect
from orchctl.errors import UsageError
from orchctl.snapshots.catalog import default_directory
from orchctl.upgrade.at_head import heads_of
from orchctl.upgrade.patience import STEP, patiently
from orchctl.upgrade.target import Database

if TYPE_CHECKING:
    from orchctl.config import Settings


@dataclass(frozen=True)
class Step:
    """One revision that will run: its id, its parents, its message, its file."""

    revision: str
    down_revisions: tuple[str, ...]
    message: str
    path: Path


@dataclass(frozen=True)
class UpgradePlan:
    """What a run will do.

    Attributes:
        direction: `upgrade` or `downgrade`.
        database: The SQLite file.
        exists: Whether it is there already.
        size: Its bytes.
        version_table: Name of Alembic's table.
        before: The heads it is at, those of all its version tables.
        stamps: What each version table that env.py uses in it holds.
        target: The revision as it was typed.
        steps: What will run, in order; empty when there is nothing to do.
        backup: Whether a snapshot is taken first (never of a database that isn't there).
        snapshot_directory: Where snapshots and the journal are.
        accept_drops: Whether somebody said yes to the tables and columns that it drops.
        unsafe: Ids of revisions, pending or not, that shall run outside the transaction.
    """

    direction: str
    database: Path
    exists: bool
    size: int
    version_table: str
    before: tuple[str, ...]
    stamps: Mapping[str, tuple[str, ...]]
    target: str
    steps: tuple[Step, ...]
    backup: bool
    snapshot_directory: Path
    accept_drops: bool = False
    unsafe: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The directory of the file itself, where a link leads: SQLite's sidecars are there."""
        return Path(os.path.realpath(self.database)).parent

    @property
    def outside(self) -> tuple[str, ...]:
        """The revisions of this run that run outside the transaction, in order."""
        return tuple(step.revision for step in self.steps if step.revision in self.unsafe)


def plan_run(
    settings: Settings,
    direction: str,
    revision: str,
    database: Database,
    *,
    unsafe: Sequence[str] = (),
) -> UpgradePlan:
    """Plan what a run does to one file, without writing anything.

    Args:
        settings: The run's settings.
        direction: `upgrade` or `downgrade`.
        revision: The target in Alembic's notation: `head`, `+1`, `ae10`, `branch@head`, `base` …
        database: The database; a SQLite file.
        unsafe: Revisions that shall run outside the transaction, as typed.

    Raises:
        UsageError: No such revision.
        Refused: The database is at a revision that this chain doesn't have; something shall run
            outside the transaction and there is to be no snapshot.
        ConfigurationError: No Alembic project, or no SQLite file.
    """
    from orchctl.upgrade.environment import open_script

    file = database.require_file(f"The {direction}")
    tables = (database.version_table, *database.further_tables)
    facts = patiently(
        lambda: inspect(file, version_table=database.version_table, timeout=STEP),
        settings.lock_timeout,
    )
    stamps = {database.version_table: facts.heads} | _stamps(settings, file, tables[1:])
    _, script = open_script(settings)
    directory = snapshot_directory(settings, file)
    known = script.revision_map._revision_map
    stamped = _union(stamps)
    if unknown := [head for head in stamped if head not in known]:
        from orchctl.upgrade.ahead import ahead_of_code

        raise ahead_of_code(file, directory, unknown, [id_ for id_ in known if id_])
    steps = [
        step
        for heads in stamps.values()
        for step in find_steps(script, direction, revision, heads, file)
    ]
    plan = UpgradePlan(
        direction=direction,
        database=file,
        exists=facts.exists and facts.size > 0,
        size=facts.size,
        version_table=database.version_table,
        before=stamped,
        stamps=stamps,
        target=revision,
        steps=tuple(_step(step) for step in steps),
        backup=settings.backup and facts.exists and facts.size > 0,
        snapshot_directory=directory,
    )
    return _with_unsafe(plan, settings, script, unsafe) if unsafe else plan


def _with_unsafe(
    plan: UpgradePlan, settings: Settings, script: Any, typed: Sequence[str]
) -> UpgradePlan:
    from orchctl.upgrade.unsafe import no_snapshot, resolve

    plan = replace(plan, unsafe=tuple(resolve(script, one) for one in typed))
    if plan.outside and not settings.backup:
        raise no_snapshot(plan.outside)
    # Even of a database that isn't there yet: then of the empty one.
    return replace(plan, backup=True) if plan.outside else plan


def plan_again(settings: Settings, plan: UpgradePlan) -> UpgradePlan:
    """The plan for where the database is by now: another run may have come first.

    Args:
        settings: The run's settings.
        plan: Made before the lock was held.

    Raises:
        UsageError, Refused, LockHeld: As `plan_run` says.
    """
    if _stamps(settings, plan.database, plan.stamps) == plan.stamps:
        return plan
    first, *further = plan.stamps
    database = Database("", plan.database, first, True, tuple(further))
    fresh = plan_run(settings, plan.direction, plan.target, database, unsafe=plan.unsafe)
    return replace(fresh, accept_drops=plan.accept_drops)


def _stamps(settings: Settings, file: Path, tables: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {
        table: patiently(
            lambda table=table: heads_of(file, table, timeout=STEP),  # type: ignore[misc]
            settings.lock_timeout,
        )
        for table in tables
    }


def _union(stamps: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({head for heads in stamps.values() for head in heads}))


def snapshot_directory(settings: Settings, file: Path) -> Path:
    """Where the snapshots of a database are: the setting, else `backups/` beside it."""
    return settings.snapshot_directory or default_directory(file)


def find_steps(
    script: Any,
    direction: str,
    revision: str | tuple[str, ...],
    heads: tuple[str, ...],
    file: Path,
) -> list[Any]:
    """Alembic's steps from `heads` to `revision`.

    Args:
        script: Alembic's ScriptDirectory.
        direction: `upgrade`, `downgrade` or `stamp`.
        revision: The target in Alembic's notation; for a stamp several.
        heads: Where the database is.
        file: The database file, for the message.

    Raises:
        UsageError: No such revision, or a range.
        Refused: One of the heads is not in the chain.
    """
    from alembic.script.revision import RevisionError
    from alembic.util import CommandError

    from orchctl.upgrade.environment import resolve_error
    from orchctl.upgrade.failure import unknown_to_chain

    if not revision:
        raise UsageError(
            "The revision is empty",
            code="unknown-revision",
            hint="orchctl history lists the revisions; leave it out for head",
        )
    known = script.revision_map._revision_map
    unknown = [head for head in heads if head not in known]
    if unknown:
        raise unknown_to_chain(unknown, file)
    find = getattr(script, f"_{direction}_revs")
    try:
        return list(find(revision, heads))
    except (CommandError, RevisionError) as error:
        typed = revision if isinstance(revision, str) else " ".join(revision)
        raise resolve_error(error, typed) from error


def _step(step: Any) -> Step:
    revision = step.revision
    parents = revision.down_revision or ()
    return Step(
        revision=revision.revision,
        down_revisions=(parents,) if isinstance(parents, str) else tuple(parents),
        message=revision.doc,
        path=Path(revision.path),
    )
