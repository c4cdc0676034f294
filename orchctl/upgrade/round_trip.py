"""Each pending revision up, down and up again on a copy, schema and rows compared each time."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.compare import compare, schema_of
from orchctl.database.space import require
from orchctl.errors import NegativeAnswer, UpgradeFailed
from orchctl.upgrade.comparison import ColumnChange, Comparison, TableChange
from orchctl.upgrade.outcome import Hooks
from orchctl.upgrade.rehearsal import run_on
from orchctl.upgrade.schema_losses import SchemaBefore

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.plan import Step, UpgradePlan
    from orchctl.upgrade.report import Listener

_BEFORE = "orchctl_before"


@dataclass(frozen=True)
class RoundTrip:
    """How one revision fared.

    Attributes:
        revision: Its id.
        faults: What does not come back, a line each; empty when everything does.
    """

    revision: str
    faults: tuple[str, ...]


def round_trip(
    settings: Settings, plan: UpgradePlan, copy: Path, listener: Listener
) -> tuple[RoundTrip, ...]:
    """Take each pending revision up, down and up again on a copy.

    The order of columns may change: a column that comes back stands last in SQLite. Rowids may
    too, where no column holds them.

    Args:
        settings: The run's settings.
        plan: An upgrade.
        copy: From `copy_of`; two more copies are kept beside it meanwhile.
        listener: Hears of every revision that was tried.

    Returns:
        What was found, by revision, in the order of application.

    Raises:
        UpgradeFailed, Refused: A revision does not even go up.
    """
    require(copy.parent, 3 * copy.stat().st_size, "a round trip")
    found = []
    for revision in plan.steps:
        trip = _Trip(settings, plan, copy, revision)
        found.append(RoundTrip(revision.revision, tuple(trip.faults())))
        for fault in found[-1].faults:
            listener.warning(f"Revision {revision.revision} does not come back: {fault}")
        if not found[-1].faults:
            listener.step(f"Revision {revision.revision} up, down and up again")
    return tuple(found)


def require_no_faults(trips: tuple[RoundTrip, ...]) -> None:
    """Say no when a revision does not come back.

    Raises:
        NegativeAnswer: `round-trip`, with every fault of every revision.
    """
    faults = {trip.revision: list(trip.faults) for trip in trips if trip.faults}
    if not faults:
        return
    raise NegativeAnswer(
        f"{len(faults)} of {len(trips)} revisions, taken up, down and up again, do not give the "
        f"same: {', '.join(faults)}",
        code="round-trip",
        state="The database is untouched",
        hint="Make upgrade() and downgrade() of the revision undo each other, or restore snapshots "
        "(orchctl rollback) instead of downgrading",
        details={"revisions": faults},
    )


class _Trip:
    def __init__(self, settings: Settings, plan: UpgradePlan, copy: Path, revision: Step) -> None:
        self._settings = settings
        self._plan = plan
        self._copy = copy
        self._revision = revision

    def faults(self) -> Iterator[str]:
        """Up, down, up; afterwards the copy is as after the first up."""
        before, after = (self._copy.with_name(name) for name in ("before.db", "after.db"))
        _copy_content(self._copy, before)
        self._run("upgrade", self._revision.revision)
        _copy_content(self._copy, after)
        yield from self._down_and_up(before, after)
        _copy_content(after, self._copy)

    def _down_and_up(self, before: Path, after: Path) -> Iterator[str]:
        parents = self._revision.down_revisions
        # REVISION@PARENT takes this one back, whatever other branches are applied.
        below = f"{self._revision.revision}@{parents[0] if parents else 'base'}"
        try:
            self._run("downgrade", below)
        except UpgradeFailed as error:
            yield f"its downgrade fails ({error.message})"
            return
        yield from (f"after its downgrade, {fault}" for fault in self._faults(before))
        try:
            self._run("upgrade", self._revision.revision)
        except UpgradeFailed as error:
            yield f"it does not go up again ({error.message})"
            return
        yield from (f"up again, {fault}" for fault in self._faults(after))

    def _faults(self, before: Path) -> Iterator[str]:
        return _faults(before, self._copy, self._plan.version_table)

    def _run(self, direction: str, target: str) -> None:
        schema: list[SchemaBefore] = []

        def locked(guard: GuardedConnection, _: object) -> None:
            schema.append(SchemaBefore(guard.real))

        def check(guard: GuardedConnection, _: object) -> None:
            writes = guard.writes
            # As a real run does; what is lost all the same is what is looked for here.
            rebuilt = writes.dropped - {name.lower() for name in guard.version_tables}
            schema[0].put_back(guard.real, rebuilt, writes.on_purpose())

        hooks = Hooks(locked=locked, step=lambda _: None, check=check)
        run_on(self._settings, self._plan, self._copy, direction, target, hooks)


def _copy_content(source: Path, target: Path) -> None:
    # Not by its bytes: an env.py may keep a connection open, and so a write-ahead log.
    with (
        contextlib.closing(sqlite3.connect(source)) as reading,
        contextlib.closing(sqlite3.connect(target)) as writing,
    ):
        writing.execute("PRAGMA synchronous=OFF")
        reading.backup(writing)


def _faults(before: Path, copy: Path, version_table: str) -> Iterator[str]:
    """What differs in schema and rows, told from the side of `copy`."""
    with (
        contextlib.closing(sqlite3.connect(before)) as old,
        contextlib.closing(sqlite3.connect(copy)) as new,
    ):
        for difference in compare(schema_of(old), schema_of(new), ignore={version_table}):
            if difference.kind != "column-order":
                yield str(difference)
        new.execute(f"ATTACH ? AS {_BEFORE}", (str(before),))
        comparison = Comparison(new, _BEFORE)
        shapes = comparison.shapes(_BEFORE), comparison.shapes("main")
        for name in sorted(shapes[0].keys() & shapes[1].keys()):
            yield from _told(comparison.table(shapes[0][name], shapes[1][name], rebuilt=True))


def _told(change: TableChange) -> Iterator[str]:
    for rows, what in ((change.gone, "gone"), (change.inserted, "new")):
        if rows:
            yield f"{rows} {'row' if rows == 1 else 'rows'} of {change.table} are {what}"
    for column in change.columns:
        yield f"{change.table}.{column.column}: {_values(column)}"


def _values(column: ColumnChange) -> str:
    counts = (
        (column.nulled, "turned to NULL"),
        (column.emptied, "emptied"),
        (column.changed, "changed"),
        (column.filled, "filled in"),
    )
    keys = next(iter(column.keys.values()), ())
    told = ", ".join(f"{rows} values {what}" for rows, what in counts if rows)
    return f"{told} (first keys: {', '.join(keys)})" if keys else told
