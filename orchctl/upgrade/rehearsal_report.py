"""What a rehearsal tells about the live run: rows, schema, space, time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.compare import SchemaDifference, compare, schema_of
from orchctl.database.content import content_hash, counted
from orchctl.database.inspect import row_counts
from orchctl.database.space import SPARE, free
from orchctl.snapshots.seal import hash_file
from orchctl.upgrade.checks import confirm, space_asked
from orchctl.upgrade.rehearsal import Rehearsal, copies_of, rehearse_all

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.database.schema import Schema
    from orchctl.upgrade.comparison import TableChange
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.report import Listener


@dataclass(frozen=True)
class TableRows:
    """How the rows of one table changed.

    Attributes:
        table: Its name.
        before: Rows before; None when it wasn't there.
        after: Rows after; None when it is gone.
        inserted: Rows that came.
        deleted: Rows that went.
        updated: Rows with another value in a column that is on both sides; None when values were
            not compared.
    """

    table: str
    before: int | None
    after: int | None
    inserted: int
    deleted: int
    updated: int | None


@dataclass(frozen=True)
class Place:
    """Room on one file system.

    Attributes:
        folder: A folder there.
        needed: Bytes that `orchctl upgrade` needs at the most, or asks for before it begins.
        free: Bytes that are free.
    """

    folder: Path
    needed: int
    free: int


@dataclass(frozen=True)
class SpaceNeeds:
    """What the live run will need, in bytes.

    Attributes:
        snapshot: The snapshot, which stays; 0 without one.
        rehearsal: The rehearsal's copy with its log, gone afterwards; 0 without one.
        journal: The live run's write-ahead log or rollback journal.
        growth: How much larger the database gets; negative when it shrinks.
        places: By file system: one, or two when the snapshots are elsewhere.
    """

    snapshot: int
    rehearsal: int
    journal: int
    growth: int
    places: tuple[Place, ...]

    @property
    def measured(self) -> int:
        """What the run was seen to need at one time, without the reserve that is asked for."""
        return self.snapshot + max(self.rehearsal, self.journal + max(self.growth, 0))


@dataclass(frozen=True)
class Estimate:
    """How long `orchctl upgrade` will take, in seconds; every part was measured on the copy.

    Attributes:
        snapshot: Copying the database, making the copy durable, hashing it.
        rehearsal: The rehearsal that comes first, unless it is switched off.
        run: The revisions and the checks, as measured.
        sync: What a live run adds: its bytes made durable (fsync).
        checks: Before and afterwards: SQLite's own checks, the hash for the journal.
    """

    snapshot: float
    rehearsal: float
    run: float
    sync: float
    checks: float

    @property
    def locked(self) -> float:
        """How long other writers have to wait."""
        return self.run + self.sync

    @property
    def total(self) -> float:
        """The whole command, without Python's start."""
        return self.snapshot + self.rehearsal + self.locked + self.checks


@dataclass(frozen=True)
class RehearsalReport:
    """A rehearsal, and what it tells about the live run.

    Attributes:
        rehearsal: What was done to the copy.
        tables: The tables that were written to, created or dropped.
        schema: How the schema changed.
        space: What the live run will need.
        estimate: How long it will take.
    """

    rehearsal: Rehearsal
    tables: tuple[TableRows, ...]
    schema: tuple[SchemaDifference, ...]
    space: SpaceNeeds
    estimate: Estimate


@contextlib.contextmanager
def rehearsed(
    settings: Settings, plans: Sequence[UpgradePlan], listener: Listener
) -> Iterator[tuple[list[Path], tuple[RehearsalReport, ...]]]:
    """Rehearse on copies, and measure everything that the live run will do.

    Args:
        settings: The run's settings.
        plans: What to run on each file.
        listener: Who hears of the progress.

    Yields:
        The upgraded copies, gone afterwards, and a report on each.

    Raises:
        UpgradeFailed, Refused, ConfigurationError, UsageError: As the real run would.
    """
    began = time.monotonic()
    with copies_of(plans, listener) as copies:
        copied = time.monotonic() - began
        copied += sum(_seconds_to_sync(copy) + _seconds_to_hash(copy) for copy in copies)
        before = [_content(copy) for copy in copies]
        found = rehearse_all(settings, plans, copies, listener)
        yield (
            copies,
            tuple(
                _report(settings, one, copy, content, copied)
                for one, copy, content in zip(found, copies, before, strict=True)
            ),
        )


def _report(
    settings: Settings,
    rehearsal: Rehearsal,
    copy: Path,
    content: tuple[Schema, dict[str, int]],
    copied: float,
) -> RehearsalReport:
    sync, plan = _seconds_to_sync(copy), rehearsal.plan
    (before, rows_before), (after, rows_after) = content, _content(copy)
    return RehearsalReport(
        rehearsal=rehearsal,
        tables=tuple(_tables(rehearsal, rows_before, rows_after)),
        schema=compare(before, after, ignore={rehearsal.version_table}),
        space=_space(settings, rehearsal),
        estimate=Estimate(
            snapshot=copied if plan.backup else 0.0,
            rehearsal=rehearsal.seconds if plan.backup and settings.rehearse else 0.0,
            run=rehearsal.seconds,
            sync=sync,
            checks=_seconds_to_check(rehearsal, copy),
        ),
    )


def _content(copy: Path) -> tuple[Schema, dict[str, int]]:
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        return schema_of(connection), row_counts(connection)


# -- time -----------------------------------------------------------------------------------------


def _seconds_to_sync(copy: Path) -> float:
    """Make a copy durable, which it need not be, to see what that takes on this disk."""
    began = time.monotonic()
    descriptor = os.open(copy, os.O_RDONLY)  # no connection to it is open, so no lock is lost
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return time.monotonic() - began


def _seconds_to_hash(copy: Path) -> float:
    began = time.monotonic()
    hash_file(copy)
    return time.monotonic() - began


def _seconds_to_check(rehearsal: Rehearsal, copy: Path) -> float:
    """The checks before a run, those after it, and what goes into the journal."""
    began = time.monotonic()
    confirm(copy, rehearsal.version_table, rehearsal.after, rehearsal.violations)
    once = time.monotonic() - began
    if rehearsal.plan.backup:
        content_hash(copy)
        counted(copy)
    return once + (time.monotonic() - began)


# -- space ----------------------------------------------------------------------------------------


def _space(settings: Settings, rehearsal: Rehearsal) -> SpaceNeeds:
    plan = rehearsal.plan
    growth = rehearsal.size_after - rehearsal.size_before
    snapshot = rehearsal.size_before if plan.backup else 0
    run = rehearsal.journal + max(growth, 0)
    copy = rehearsal.size_before + run if plan.backup and settings.rehearse else 0
    places = []
    for asked in space_asked(plan):
        beside = asked.holds_database * max(copy, run)
        needed = asked.holds_snapshot * snapshot + beside
        folder = plan.folder if asked.holds_database else asked.folder
        places.append(Place(folder, max(needed, asked.bytes) + SPARE, free(folder)))
    return SpaceNeeds(
        snapshot=snapshot,
        rehearsal=copy,
        journal=rehearsal.journal,
        growth=growth,
        places=tuple(places),
    )


# -- rows -----------------------------------------------------------------------------------------


def _tables(
    rehearsal: Rehearsal, before: Mapping[str, int], after: Mapping[str, int]
) -> Iterator[TableRows]:
    own = rehearsal.version_table
    changes = rehearsal.proof.changes if rehearsal.proof else ()
    known = {change.table: change for change in changes}
    for table in sorted({*before, *after} - {own}):
        old, new = before.get(table), after.get(table)
        if old is None or new is None:
            yield TableRows(table, old, new, new or 0, old or 0, 0)
        elif table in known:
            yield _compared(known[table], rehearsal.proof_level)
        elif old != new:
            yield TableRows(table, old, new, max(0, new - old), max(0, old - new), None)


def _compared(change: TableChange, level: str) -> TableRows:
    updated = change.updated if level == "full" else None
    return TableRows(
        change.table, change.before, change.after, change.inserted, change.gone, updated
    )
