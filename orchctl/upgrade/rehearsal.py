"""The upgrade on a copy of the real data: what it takes, what it changes, if it goes through."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.failure import explain, explain_os, io_error
from orchctl.database.open import reading
from orchctl.database.space import require
from orchctl.snapshots.pages import copy_pages
from orchctl.upgrade.outcome import AppliedRevision, Hooks, Outcome, Participant
from orchctl.upgrade.safekeeping import Safekeeping
from orchctl.upgrade.scratch_folder import REHEARSAL, scratch_folder
from orchctl.upgrade.transaction import Transaction
from orchctl.upgrade.unsafe import Unsafe

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.database.inspect import Violation
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.proof import RowProof
    from orchctl.upgrade.report import Listener

_FICLONE = 0x40049409  # https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html


@dataclass(frozen=True)
class Rehearsal:
    """What a run did to a copy.

    Attributes:
        plan: What ran.
        after: The heads of the copy afterwards.
        revisions: The revisions, each with its seconds.
        proof: How the rows changed, and what was lost but declared; None when nothing ran.
        proof_level: full, keys, counts or off.
        violations: Tells the foreign-key violations that were there before.
        put_back: What a table rebuild had dropped, and was created again.
        version_table: Alembic's table.
        size_before: Bytes of the copy before.
        size_after: Bytes after.
        journal: Bytes of write-ahead log that the run wrote.
        seconds: The run itself, the copying not counted.
    """

    plan: UpgradePlan
    after: tuple[str, ...]
    revisions: tuple[AppliedRevision, ...]
    proof: RowProof | None
    proof_level: str
    violations: Callable[[], frozenset[Violation]]
    put_back: tuple[str, ...]
    version_table: str
    size_before: int
    size_after: int
    journal: int
    seconds: float

    @property
    def told(self) -> str:
        """One line: how many revisions, how long, what became of the rows."""
        count = len(self.revisions)
        text = f"{count} revision{'' if count == 1 else 's'} in {self.seconds:.2f}s"
        changes = self.proof.changes if self.proof else ()
        if not changes:
            return text
        numbers = {
            "added": sum(change.inserted for change in changes),
            "changed": sum(change.updated for change in changes),
            "removed": sum(change.gone for change in changes),
        }
        told = ", ".join(f"{rows} {what}" for what, rows in numbers.items() if rows)
        tables = f"{len(changes)} table{'' if len(changes) == 1 else 's'} written"
        return f"{text}; {tables}, rows: {told or 'none added or removed'}"


@contextlib.contextmanager
def copy_of(plan: UpgradePlan, listener: Listener, snapshot: Path | None = None) -> Iterator[Path]:
    """A copy of the database to rehearse on, removed afterwards.

    Args:
        plan: Names the database; one that doesn't exist gives an empty copy.
        listener: Who hears of the progress.
        snapshot: A closed snapshot of it to copy from; None copies the live file through SQLite.

    Raises:
        Refused: No space, no right to write, no database.
        OperationFailed: The disk failed, or is full after all.
    """
    place = plan.folder
    place = place if os.access(place, os.W_OK) else Path(tempfile.gettempdir())
    require(place, 2 * plan.size, "a rehearsal")
    with _scratch_folder(place) as folder:
        copy = folder / plan.database.name
        try:
            _fill(copy, plan, listener, snapshot)
        except sqlite3.Error as error:
            raise explain(error, folder, doing="write a copy into") from error
        except OSError as error:
            raise explain_os(error, folder, doing="write a copy into") from error
        yield copy


@contextlib.contextmanager
def _scratch_folder(place: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(place, REHEARSAL))
        except OSError as error:
            raise explain_os(error, place, doing="write a copy into") from error
        yield folder


def _fill(copy: Path, plan: UpgradePlan, listener: Listener, snapshot: Path | None) -> None:
    if plan.exists and snapshot is not None:
        _copy_file(snapshot, copy)
    elif plan.exists:
        with (
            listener.bar("Copy") as progress,
            reading(plan.database) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            target.execute("PRAGMA synchronous=OFF")
            copy_pages(source, target, progress)
    with _open(copy) as connection:
        # In WAL mode the state before stays readable while the run writes; in any other the
        # proof, which reads it, would keep the run from its commit.
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise io_error(copy, "switch to WAL mode", "SQLite says only that it stays as it is")


@contextlib.contextmanager
def copies_of(
    plans: Sequence[UpgradePlan], listener: Listener, snapshots: Sequence[Path | None] = ()
) -> Iterator[list[Path]]:
    """As `copy_of`, of every file of a run.

    Args:
        plans: Name the databases.
        listener: Who hears of the progress.
        snapshots: Closed snapshots to copy from, one for each plan; without, all the live files.
    """
    sources = snapshots or [None] * len(plans)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(copy_of(plan, listener, source))
            for plan, source in zip(plans, sources, strict=True)
        ]


def rehearse(settings: Settings, plan: UpgradePlan, copy: Path, listener: Listener) -> Rehearsal:
    """Run the plan of one file on a copy; as `rehearse_all`."""
    return rehearse_all(settings, (plan,), (copy,), listener)[0]


def rehearse_all(
    settings: Settings,
    plans: Sequence[UpgradePlan],
    copies: Sequence[Path],
    listener: Listener,
    snapshots: Sequence[Snapshot | None] = (),
) -> tuple[Rehearsal, ...]:
    """Run plans on copies, with every check of the real run; the live files are not touched.

    Args:
        settings: The run's settings.
        plans: What to run on each file.
        copies: From `copies_of`, one for each plan.
        listener: Who hears of the progress.
        snapshots: What the copies were made from, where that still stands by itself.

    Returns:
        What was done to each copy; `seconds` are those of the whole run.

    Raises:
        UpgradeFailed, Refused, ConfigurationError, UsageError: As the real run would; and
            `not-rehearsable`, when a revision outside the transaction reaches other files.
    """
    sources = snapshots or [None] * len(plans)
    parts = [_Part(settings, *one, listener) for one in zip(plans, copies, sources, strict=True)]
    began = time.monotonic()
    with contextlib.ExitStack() as logs:
        kept = [logs.enter_context(_kept_log(*one)) for one in zip(copies, plans, strict=True)]
        run = Transaction(
            settings, [one.participant for one in parts], plans[0].direction, plans[0].target
        )
        outcomes = run.run()
        if outcomes[0].interrupted:
            raise KeyboardInterrupt
        journals = [log.stat().st_size if log.exists() else 0 for log in kept]
    seconds = time.monotonic() - began
    return tuple(
        one.rehearsal(outcome, journal, seconds)
        for one, outcome, journal in zip(parts, outcomes, journals, strict=True)
    )


class _Part:
    """One file of a rehearsal."""

    def __init__(
        self,
        settings: Settings,
        plan: UpgradePlan,
        copy: Path,
        snapshot: Snapshot | None,
        listener: Listener,
    ) -> None:
        self._settings, self._plan, self._copy = settings, plan, copy
        before = snapshot.path if snapshot else None
        self._before = (before or _second(copy)) if plan.outside else copy
        self._snapshot = snapshot
        self._kept: Safekeeping | None = None
        self._size_before = copy.stat().st_size if plan.exists else 0
        hooks = Hooks(locked=self._locked, step=listener.running, check=self._check)
        unsafe = Unsafe(plan.outside)
        self.participant = Participant(plan.database, hooks, instead=copy, unsafe=unsafe)

    def _locked(self, guard: GuardedConnection, steps: Sequence[tuple[str, str]]) -> None:
        self._kept = Safekeeping(self._settings, guard, self._before, self._plan, self._snapshot)

    def _check(self, guard: GuardedConnection, declared: frozenset[str]) -> None:
        if self._kept is not None:
            self._kept.check(guard, declared)

    def rehearsal(self, outcome: Outcome, journal: int, seconds: float) -> Rehearsal:
        kept = self._kept
        return Rehearsal(
            plan=self._plan,
            after=outcome.after,
            revisions=outcome.applied,
            proof=kept.proof if kept else None,
            proof_level=kept.level if kept else "off",
            violations=lambda: kept.violations if kept else frozenset(),
            put_back=kept.put_back if kept else (),
            version_table=outcome.version_table,
            size_before=self._size_before,
            size_after=self._copy.stat().st_size,
            journal=journal,
            seconds=seconds,
        )


def _copy_file(source: Path, target: Path) -> None:
    """Copy a closed file, sharing its blocks where the file system can (Btrfs, XFS)."""
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfile(source, target)


@contextlib.contextmanager
def _open(copy: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        # Changing to WAL mode, and the last one's closing, would write all of the copy to the disk.
        connection.execute("PRAGMA synchronous=OFF")
        yield connection


@contextlib.contextmanager
def _kept_log(copy: Path, plan: UpgradePlan) -> Iterator[Path]:
    """The copy's write-ahead log, which would go with the last connection, still there."""
    if plan.outside:  # a change of journal_mode needs the file for itself
        yield copy.with_name(copy.name + "-wal")
        return
    with _open(copy) as keeper:
        keeper.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield copy.with_name(copy.name + "-wal")


def _second(copy: Path) -> Path:
    """Another copy, for the state before; the first one keeps it only until something commits."""
    second = copy.with_name(f"before-{copy.name}")
    shutil.copyfile(copy, second)  # nobody has the first one open, and its WAL is empty
    return second


def run_on(
    settings: Settings, plan: UpgradePlan, copy: Path, direction: str, target: str, hooks: Hooks
) -> Outcome:
    """Run revisions on a copy.

    Args:
        settings: The run's settings.
        plan: Names the database that env.py opens; it is not touched.
        copy: What takes its place.
        direction: `upgrade` or `downgrade`.
        target: The revision in Alembic's notation.
        hooks: What happens around the revisions.

    Raises:
        UpgradeFailed, Refused, ConfigurationError, UsageError: As the real run would.
    """
    part = Participant(plan.database, hooks, instead=copy, unsafe=Unsafe(plan.outside))
    (outcome,) = Transaction(settings, [part], direction, target).run()
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome
