"""Executing a plan: lock, preflight, snapshot, one transaction, confirmation, journal."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database import lock
from orchctl.database.content import PendingHash, content_hash, counted
from orchctl.database.failure import explain, explain_os
from orchctl.errors import Interrupted, OrchctlError, Refused, UpgradeFailed, UpgradeRestored
from orchctl.upgrade.checks import confirm, preflight
from orchctl.upgrade.doubt import commit_in_doubt
from orchctl.upgrade.journal import Beginning, Entry, Journal
from orchctl.upgrade.killed_run import KilledRun, clear_up, find_killed_run, settle
from orchctl.upgrade.leftovers import recover, remove_empty
from orchctl.upgrade.manifest import chain_manifest
from orchctl.upgrade.outcome import Hooks, Outcome, Participant
from orchctl.upgrade.outside_run import OutsideRun
from orchctl.upgrade.patience import patiently
from orchctl.upgrade.phases import Phases
from orchctl.upgrade.plan import plan_again
from orchctl.upgrade.safekeeping import Safekeeping
from orchctl.upgrade.starting_point import StartingPoint
from orchctl.upgrade.transaction import Transaction
from orchctl.upgrade.unsafe import NOT_REHEARSABLE

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.proof import RowProof


@dataclass(frozen=True)
class Listener:
    """Who hears of a run's progress.

    Attributes:
        step: Something is done.
        running: A revision begins, or something takes a while.
        warning: Something to know.
        bar: A progress bar: given a title, a context that yields a callable of (done, total).
    """

    step: Callable[[str], None]
    running: Callable[[str], None]
    warning: Callable[[str], None]
    bar: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        direction: `upgrade` or `downgrade`.
        database: The file.
        before: Its heads before.
        after: Its heads now.
        revisions: The revisions that ran, in order, each with its seconds.
        snapshot: The snapshot taken before, if any.
        seconds: The whole run.
        deferred_commits: Commits inside revisions that were put off to the end.
        proof: What the proof found; None when nothing ran, or there was nothing before.
        proof_level: full, keys, counts or off.
        put_back: What table rebuilds had dropped and the run created again: `index ix`, …
        phases: Where the time went, by name: preflight, snapshot, rehearsal, revisions (env.py and
            the wait for the write lock with them), proof, commit, confirmation, journal.
    """

    direction: str
    database: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    revisions: tuple[tuple[str, float], ...]
    snapshot: Snapshot | None
    seconds: float
    deferred_commits: int = 0
    proof: RowProof | None = None
    proof_level: str = "off"
    put_back: tuple[str, ...] = ()
    phases: Mapping[str, float] = field(default_factory=dict)


def execute(settings: Settings, plan: UpgradePlan, listener: Listener) -> RunReport:
    """Run a plan; afterwards the database is at the target, or as it was before.

    Args:
        settings: The run's settings.
        plan: What to do; held against the database again once its lock is held.
        listener: Who hears of the progress.

    Raises:
        LockHeld: Another orchctl, or a writer, kept the database for longer than the timeout.
        Refused, UpgradeFailed, ConfigurationError, UsageError: As `Transaction.run` says.
        UpgradeRestored: The commit could not be confirmed, or a run that left its transaction
            failed; the snapshot was put back.
        RestoreFailed: It could not be put back.
        Interrupted: Ctrl-C or SIGTERM; says whether the run is committed.
    """

    def tell_wait(holder: object, waited: float) -> None:
        listener.running(f"Waiting for {holder} ({waited:.0f}s)")

    if not plan.database.parent.is_dir():
        preflight(plan)  # says so; there is no place for the lock either
    run = _Run(settings, plan, listener)
    try:
        with lock.hold(
            plan.database,
            timeout=settings.lock_timeout,
            purpose=f"{plan.direction} to {plan.target}",
            on_wait=tell_wait,
        ):
            return run.run()
    except KeyboardInterrupt as error:
        raise run.interrupted() from error
    except sqlite3.Error as error:
        raise run.truth_about(explain(error, plan.database, doing=plan.direction)) from error
    except OSError as error:
        raise explain_os(error, plan.database, doing=plan.direction) from error
    except OrchctlError as error:
        if (truth := run.truth_about(error)) is error:
            raise
        raise truth from error


class _Run:
    """One execution; exists for what the hooks of the transaction leave behind."""

    def __init__(self, settings: Settings, plan: UpgradePlan, listener: Listener) -> None:
        self._settings = settings
        self._plan = plan
        self._listener = listener
        self._began = time.monotonic()
        self._phases = Phases("preflight")
        self._journal = Journal(plan.snapshot_directory, plan.database)
        self._kept: Safekeeping | None = None
        self._transaction: Transaction | None = None
        self._outside = OutsideRun(settings, plan, listener)
        self._counts: dict[str, int] = {}
        self._was_there = True
        self._begun: Beginning | None = None
        self._killed: KilledRun | None = None
        self._checked = False

    def interrupted(self) -> Interrupted:
        """The error for Ctrl-C or SIGTERM at this moment."""
        if self._transaction is None or not self._transaction.committed:
            return Interrupted("Interrupted", state="The database is as before")
        return Interrupted(
            "Interrupted after the commit",
            state=f"The {self._plan.direction} is done and committed",
            hint="orchctl status shows where the database is; orchctl rollback takes it back",
        )

    def truth_about(self, error: OrchctlError) -> OrchctlError:
        """The error, or what must be said instead where a commit may stand after all."""
        return commit_in_doubt(error, self._plan) if self._checked else error

    def run(self) -> RunReport:
        """Preflight, rehearsal, transaction, confirmation, journal."""
        self._was_there = os.path.lexists(self._plan.database)
        self._plan = plan_again(self._settings, self._plan)
        self._tell_of_a_killed_run()
        if not self._plan.steps:  # somebody else did it while the lock was waited for
            return self._nothing_done()
        patience = self._settings.lock_timeout
        for warning in patiently(lambda: preflight(self._plan), patience):
            self._listener.warning(warning)
        self._outside = OutsideRun(self._settings, self._plan, self._listener)
        with (
            self._outside.restoring(),
            StartingPoint(self._settings, self._plan, self._listener) as start,
        ):
            try:
                if self._plan.backup and self._plan.exists and self._settings.rehearse:
                    self._rehearse(start)
                outcome = self._migrate(start)
            except BaseException as error:
                self._failed(error, start.snapshot)
                raise
            self._outside.went_through()
            self._phases.turn("confirmation")
            report = self._report(outcome, start.snapshot)
        if outcome.applied:
            self._keep(outcome, report)
        if outcome.interrupted:
            raise self.interrupted()
        seconds = time.monotonic() - self._began
        return replace(report, seconds=seconds, phases=self._phases.seconds())

    def _rehearse(self, start: StartingPoint) -> None:
        from orchctl.upgrade.rehearsal import copy_of, rehearse

        self._phases.turn("snapshot")
        snapshot = start.take_early()
        self._phases.turn("rehearsal")
        self._begin(snapshot)
        quiet = replace(self._listener, running=lambda _: None)
        try:
            with copy_of(self._plan, quiet, snapshot.path) as copy:
                rehearsal = rehearse(self._settings, self._plan, copy, quiet, snapshot)
        except Refused as error:
            if error.code != NOT_REHEARSABLE:
                raise
            self._listener.warning(f"Not rehearsed to the end: {error.message}")
        else:
            self._listener.step(f"Rehearsed on a copy: {rehearsal.told}")

    def _migrate(self, start: StartingPoint) -> Outcome:
        plan = self._plan
        self._phases.turn("revisions")

        def locked(guard: GuardedConnection, steps: Sequence[tuple[str, str]]) -> None:
            self._phases.turn("snapshot")
            snapshot = start.settle()
            self._phases.turn("revisions")
            self._begin(snapshot)
            before = snapshot.path if snapshot else self._database_in_wal(guard)
            self._kept = Safekeeping(self._settings, guard, before, plan, snapshot)
            self._outside.snapshot = snapshot

        hooks = Hooks(locked=locked, step=self._listener.running, check=self._check)
        part = Participant(plan.database, hooks, unsafe=self._outside.unsafe)
        self._transaction = Transaction(self._settings, [part], plan.direction, plan.target)
        return self._transaction.run()[0]

    def _begin(self, snapshot: Snapshot | None) -> None:
        """Say in the journal what is about to begin, should this process not live to say more."""
        plan = self._plan
        beginning = Beginning(
            began=plan.direction,
            database=str(plan.database),
            before=plan.before,
            target=plan.target,
            snapshot=snapshot.id if snapshot else None,
            pid=os.getpid(),
        )
        if beginning != self._begun:
            with contextlib.suppress(OSError):  # it only tells; the run is as safe without it
                self._journal.begin(beginning)
                self._begun = beginning
                if self._killed is not None and snapshot is not None:
                    clear_up(self._journal, plan.before, snapshot.id)

    def _tell_of_a_killed_run(self) -> None:
        plan = self._plan
        killed = find_killed_run(self._journal, plan.database, plan.before, locked=True)
        if killed is not None:
            self._listener.warning(killed.told)
            settle(self._journal, killed)
            self._killed = killed

    def _keep(self, outcome: Outcome, report: RunReport) -> None:
        with PendingHash(report.database if report.snapshot else None) as content:
            try:
                self._confirm(outcome, report.snapshot)
            except KeyboardInterrupt:
                self._record(report, content)  # what is not in the journal can't be rolled back
                raise
            except OrchctlError as error:
                self._failed(error, report.snapshot)
                raise
            self._phases.turn("journal")
            self._record(report, content)

    def _database_in_wal(self, guard: GuardedConnection) -> Path | None:
        mode = guard.real.execute("PRAGMA journal_mode").fetchone()[0]
        return self._plan.database if self._plan.exists and mode == "wal" else None

    def _check(self, guard: GuardedConnection, declared: frozenset[str]) -> None:
        if self._kept is not None:
            self._phases.turn("proof")
            self._kept.check(guard, declared)
            self._counts = self._kept.row_counts(guard.writes)
            self._phases.turn("commit")
            for thing in self._kept.put_back:
                self._listener.step(f"Put back, dropped by a table rebuild: {thing}")
            self._listener.step(self._kept.told)
        self._checked = True

    def _confirm(self, outcome: Outcome, snapshot: Snapshot | None) -> None:
        kept = self._kept
        file, table = self._plan.database, outcome.version_table
        try:
            wrong = patiently(
                lambda: confirm(
                    file, table, outcome.after, lambda: kept.violations if kept else frozenset()
                ),
                self._settings.lock_timeout,
            )
        except OrchctlError as error:  # nothing against the commit, which SQLite reported done
            self._listener.warning(f"Not confirmed through a fresh connection: {error.message}")
            return
        if wrong is None:
            self._listener.step("Confirmed through a fresh connection")
            return
        message = f"{self._plan.database} is not what the {self._plan.direction} left: {wrong}"
        if snapshot is None:
            raise UpgradeFailed(
                message,
                code="not-confirmed",
                state="The run was committed, and there is no snapshot of what was before",
                hint="orchctl status shows where the database is",
            )
        from orchctl.snapshots.restore import restore

        restore(snapshot, self._plan.database, timeout=self._settings.lock_timeout)
        raise UpgradeRestored(
            message,
            code="not-confirmed",
            state=f"Snapshot {snapshot.id} was put back",
            hint="orchctl status shows where the database is",
        )

    def _failed(self, error: BaseException, snapshot: Snapshot | None) -> None:
        """Leave nothing behind that was not there, and write the story down."""
        plan = self._plan
        if not self._was_there:
            remove_empty(plan.database)
        recover(plan.database)
        if self._begun is None:
            return  # nothing was tried
        entry = Entry(
            event=plan.direction,
            database=str(plan.database),
            before=plan.before,
            after=plan.before,
            snapshot=snapshot.id if snapshot else None,
            ok=False,
            error=_told(error),
            seconds=round(time.monotonic() - self._began, 3),
        )
        with contextlib.suppress(OSError):  # the run's own error matters more than its record
            self._journal.append(entry)

    def _report(self, outcome: Outcome, snapshot: Snapshot | None) -> RunReport:
        return RunReport(
            direction=self._plan.direction,
            database=self._plan.database,
            before=outcome.before,
            after=outcome.after,
            revisions=tuple((step.revision, step.seconds) for step in outcome.applied),
            snapshot=snapshot,
            seconds=time.monotonic() - self._began,
            deferred_commits=outcome.deferred_commits,
            proof=self._kept.proof if self._kept else None,
            proof_level=self._kept.level if self._kept else "off",
            put_back=self._kept.put_back if self._kept else (),
        )

    def _nothing_done(self) -> RunReport:
        plan, seconds = self._plan, time.monotonic() - self._began
        return RunReport(plan.direction, plan.database, plan.before, plan.before, (), None, seconds)

    def _record(self, report: RunReport, pending: PendingHash) -> None:
        content, counts = None, {}
        if report.snapshot is not None:  # what a rollback compares with; without one it can't be
            # What can't be read just now is no reason to fail: the run is committed.
            with contextlib.suppress(sqlite3.Error, OrchctlError):
                # Ctrl-C reaches the child, too; then again.
                content = pending.result() or content_hash(report.database)
                counts = counted(report.database, self._counts)
        entry = Entry(
            event=report.direction,
            database=str(report.database),
            before=report.before,
            after=report.after,
            revisions=tuple(revision for revision, _ in report.revisions),
            snapshot=report.snapshot.id if report.snapshot else None,
            content=content,
            row_counts=counts,
            chain=chain_manifest(self._settings),
            seconds=round(time.monotonic() - self._began, 3),
        )
        try:
            self._journal.append(entry)
        except OSError as error:
            self._listener.warning(
                f"the {report.direction} is done, but not in the journal ({self._journal.path}): "
                f"{error}"
            )


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OrchctlError):
        return {"code": error.code, "message": error.message}
    return {"code": "interrupted", "message": type(error).__name__}
