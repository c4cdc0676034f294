"""What is looked at before a run, before its commit, and after it through a fresh connection."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.failure import damaged, explain, inaccessible
from orchctl.database.inspect import (
    Violation,
    foreign_key_violations,
    foreign_keys,
    leftover_tables,
    quick_check,
    stamped,
    tables,
    unreadable,
)
from orchctl.database.open import reading, writing
from orchctl.database.space import require
from orchctl.errors import OperationFailed, Refused
from orchctl.snapshots.frozen import frozen
from orchctl.upgrade.patience import STEP

if TYPE_CHECKING:
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.writes import Writes

_MARGIN = 1 << 20  # bytes for the journal, manifests and the directory itself


def preflight(plan: UpgradePlan) -> tuple[str, ...]:
    """Make sure that a run can go through, before anything is written.

    Args:
        plan: What is going to run.

    Returns:
        Warnings: what is wrong with the database already, and was not made by this run.

    Raises:
        Refused: No directory, no right to write, no space, a damaged database.
        LockHeld: Somebody holds it exclusively; waits for `patience.STEP` only.
    """
    file, folder = plan.database, plan.folder
    if not folder.is_dir():
        raise inaccessible(file, plan.direction)
    if not os.access(folder, os.W_OK | os.X_OK) or (plan.exists and not os.access(file, os.W_OK)):
        raise inaccessible(file, plan.direction, writing=True)
    _require_space(plan)
    if not plan.exists:
        return ()
    with reading(file, timeout=STEP) as connection:
        if complaints := quick_check(connection):
            raise damaged(file, complaints[0])
        return tuple(_standing_faults(connection))


@dataclass(frozen=True)
class SpaceAsked:
    """Room that a run wants to see on one file system before it begins.

    Attributes:
        folder: A folder there.
        bytes: How much.
        purpose: What for.
        holds_database: Whether the database is there.
        holds_snapshot: Whether the run's snapshot will be there.
    """

    folder: Path
    bytes: int
    purpose: str
    holds_database: bool
    holds_snapshot: bool


def space_asked(plan: UpgradePlan) -> tuple[SpaceAsked, ...]:
    """How much room a run asks for before it begins, by file system."""
    # The WAL or rollback journal of a run can grow to the size of the database.
    needed, beside = plan.size + _MARGIN, plan.folder
    if plan.outside:  # VACUUM's own copy; and the present is kept before the snapshot goes back
        needed += 2 * plan.size
    snapshots = plan.snapshot_directory
    place = next(folder for folder in (snapshots, *snapshots.parents) if folder.is_dir())
    if not plan.backup:
        return (SpaceAsked(beside, needed, plan.direction, True, False),)
    if place.stat().st_dev == beside.stat().st_dev:
        purpose = f"snapshot and {plan.direction}"
        return (SpaceAsked(place, needed + plan.size, purpose, True, True),)
    return (
        SpaceAsked(beside, needed, plan.direction, True, False),
        SpaceAsked(place, needed, "snapshot", False, True),
    )


def _require_space(plan: UpgradePlan) -> None:
    for asked in space_asked(plan):
        require(asked.folder, asked.bytes, asked.purpose)


def _standing_faults(connection: sqlite3.Connection) -> Iterable[str]:
    if violations := foreign_key_violations(connection):
        yield (
            f"{len(violations)} foreign-key violations exist already "
            f"({_tables(violations)}); no new ones will be let through"
        )
    if leftovers := leftover_tables(connection):
        yield (
            f"left behind by an interrupted run of plain Alembic: {', '.join(leftovers)}; "
            "compare with the original table, then drop it"
        )


class CommitGuard:
    """What must hold before a run is committed, against what was there before.

    Args:
        connection: The upgrade's own, inside its transaction, nothing written yet.
        snapshot: A closed file with the state before. Violations are then looked for in it, and
            only once there is one to compare with; without it they are looked for at once.
    """

    def __init__(self, connection: sqlite3.Connection, snapshot: Path | None = None) -> None:
        self._snapshot = snapshot
        self._violations = None if snapshot else foreign_key_violations(connection)
        self._links = foreign_keys(connection)
        self._leftovers = set(leftover_tables(connection))

    @property
    def violations(self) -> frozenset[Violation]:
        """The foreign-key violations from before the run."""
        if self._violations is None:
            assert self._snapshot is not None  # noqa: S101 - see __init__
            with frozen(self._snapshot) as connection:
                self._violations = foreign_key_violations(connection)
        return self._violations

    def check(self, connection: sqlite3.Connection, writes: Writes) -> None:
        """Compare.

        Args:
            connection: The upgrade's own, everything written.
            writes: What the run wrote; only where that can make a violation is one looked for.

        Raises:
            Refused: The run leaves a foreign-key violation or a temporary table of Alembic's that
                was not there before. Nothing is committed.
        """
        suspects = self._suspects(foreign_keys(connection), writes)
        among = [name for name in tables(connection) if name.lower() in suspects]
        if among and (after := foreign_key_violations(connection, among)):
            before = {one for one in self.violations if one[0].lower() in suspects}
            if new := new_violations(frozenset(before), after):
                raise _violated(new)
        if leftovers := sorted(set(leftover_tables(connection)) - self._leftovers):
            raise Refused(
                f"The run leaves {', '.join(leftovers)} behind",
                code="leftover-tables",
                state="The database is as before",
                hint="A batch_alter_table in a revision did not end",
            )

    def _suspects(
        self, links: dict[str, frozenset[tuple[str, ...]]], writes: Writes
    ) -> frozenset[str]:
        """Tables whose foreign keys may be violated now and were not before.

        Without a change of its rows, of its foreign keys and of its parents it can't be.
        """
        if writes.everything:
            return frozenset(links)
        changed = {name for name in writes.touched if writes.changed_columns(name) != frozenset()}
        changed |= writes.unindexed  # a foreign key needs a unique one of its parent
        return frozenset(
            table
            for table, mine in links.items()
            if mine
            and (
                table in changed
                or mine != self._links.get(table)
                or any(parent in changed or parent not in links for parent, *_ in mine)
            )
        )


def new_violations(
    before: frozenset[Violation], after: frozenset[Violation]
) -> Counter[tuple[str, str]]:
    """Violations that came up, counted by (child, parent): rowids may change in a rebuild."""
    counted = [
        Counter((child, parent) for child, _, parent, _ in found) for found in (before, after)
    ]
    return counted[1] - counted[0]


def _violated(new: Counter[tuple[str, str]]) -> Refused:
    told = ", ".join(f"{n} in {child} (no such {parent})" for (child, parent), n in new.items())
    return Refused(
        f"The run would leave new foreign-key violations: {told}",
        code="foreign-key-violations",
        state="The database is as before",
        hint="A revision removes rows that other tables point at; mend it, then run again",
        details={
            "violations": [
                {"table": child, "parent": parent, "rows": n} for (child, parent), n in new.items()
            ]
        },
    )


def confirm(
    file: Path,
    version_table: str,
    heads: tuple[str, ...],
    known: Callable[[], frozenset[Violation]],
) -> str | None:
    """Ask a fresh connection what is really in the file after a commit.

    Args:
        file: The database.
        version_table: Name of Alembic's table.
        heads: What it must hold, sorted.
        known: Tells the foreign-key violations from before the run; asked when there are any.

    Returns:
        What is wrong, or None.

    Raises:
        OrchctlError: It can't be read just now, which says nothing against it: somebody holds it
            exclusively (waits for `patience.STEP` only), a full disk, a failing one.
    """
    wrong = _found_wrong(file, version_table, heads, known)
    # A single read that fails makes a sound database look damaged: what is wrong stays wrong.
    return wrong and _found_wrong(file, version_table, heads, known)


def _found_wrong(
    file: Path,
    version_table: str,
    heads: tuple[str, ...],
    known: Callable[[], frozenset[Violation]],
) -> str | None:
    try:
        # Opened for writing, so that the last one out also removes the WAL's files.
        with contextlib.closing(writing(file, timeout=STEP)) as connection:
            found = stamped(connection, version_table) or ()
            if tuple(sorted(found)) != heads:
                return f"it is at {', '.join(found) or 'base'}, not {', '.join(heads) or 'base'}"
            if complaints := quick_check(connection):
                if unreadable(complaints):
                    raise OperationFailed(f"Cannot read {file}: {complaints[0]}", code="io-error")
                return f"quick_check: {complaints[0]}"
            found_now = foreign_key_violations(connection)
            if found_now and (new := new_violations(known(), found_now)):
                return f"new foreign-key violations: {dict(new)}"
    except sqlite3.Error as error:
        told = explain(error, file, doing="read")
        if told.code in ("database-damaged", "not-a-database"):
            return told.message
        raise told from error
    return None


def _tables(violations: frozenset[Violation]) -> str:
    return ", ".join(sorted({f"{child} → {parent}" for child, _, parent, _ in violations}))
