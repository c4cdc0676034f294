"""What a run does around the revisions of one file: preflight, snapshot, checks, journal."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.database.content import PendingHash, content_hash, counted
from orchctl.errors import OrchctlError, UpgradeFailed, UpgradeRestored
from orchctl.upgrade.at_head import heads_of
from orchctl.upgrade.checks import confirm, preflight
from orchctl.upgrade.journal import Beginning, Entry, Journal
from orchctl.upgrade.killed_run import KilledRun, clear_up, find_killed_run, settle
from orchctl.upgrade.leftovers import recover, remove_empty
from orchctl.upgrade.manifest import chain_manifest
from orchctl.upgrade.outcome import Hooks, Outcome, Participant
from orchctl.upgrade.outside_run import OutsideRun
from orchctl.upgrade.patience import STEP, patiently
from orchctl.upgrade.phases import Phases
from orchctl.upgrade.plan import plan_again
from orchctl.upgrade.report import Listener, RunReport
from orchctl.upgrade.safekeeping import Safekeeping
from orchctl.upgrade.starting_point import StartingPoint

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.database.inspect import Violation
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.rehearsal import Rehearsal


class FileRun:
    """One file of a run, its orchctl lock held.

    Args:
        settings: The run's settings.
        plan: What to do; held against the file again by `look_again`.
        listener: Who hears of the progress.
        phases: Where the run's time goes.

    Attributes:
        plan: What is done.
        start: The snapshot it starts from.
        outside: The part of it that runs outside the transaction.
        killed: The run before this one, when it was killed.
        checked: Whether all is written and checked, so that a commit may have been tried.
        run: What its lines in the journal share with those of the run's other files.
    """

    def __init__(
        self, settings: Settings, plan: UpgradePlan, listener: Listener, phases: Phases
    ) -> None:
        self.plan = plan
        self.start = StartingPoint(settings, plan, listener)
        self.outside = OutsideRun(settings, plan, listener)
        self.killed: KilledRun | None = None
        self._in_vain = False  # whether the run before this one changed nothing
        self.checked = False
        self.run: str | None = None
        self._settings = settings
        self._listener = listener
        self._phases = phases
        self._counts: dict[str, int] = {}
        self._began = time.monotonic()
        self._journal = Journal(plan.snapshot_directory, plan.database)
        self._kept: Safekeeping | None = None
        self._was_there = os.path.lexists(os.path.realpath(plan.database))
        self._begun: Beginning | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot of the state before, once it is taken."""
        return self.start.snapshot

    def look_again(self) -> None:
        """Now that the lock is held: where the file is by now, and what the last run left."""
        self._was_there = os.path.lexists(os.path.realpath(self.plan.database))
        self.plan = plan_again(self._settings, self.plan)
        self.start = StartingPoint(self._settings, self.plan, self._listener)
        self.outside = OutsideRun(self._settings, self.plan, self._listener)
        file, heads = self.plan.database, self.plan.before
        self.killed = find_killed_run(self._journal, file, heads, locked=True)
        with contextlib.suppress(OSError):
            self._in_vain = self.killed is not None or self._journal.failed_last()
        if self.killed is not None:
            self._listener.warning(self.killed.told)
            settle(self._journal, self.killed)

    def preflight(self) -> None:
        """See whether it can go through; raises as `checks.preflight`."""
        for warning in patiently(lambda: preflight(self.plan), self._settings.lock_timeout):
            self._listener.warning(warning)

    def take_early(self) -> Snapshot | None:
        """The snapshot, before the write lock; None where nothing needs one."""
        if not (self.plan.backup and self.plan.exists and self.plan.steps):
            return None
        snapshot = self.start.take_early()
        self._begin(snapshot)
        return snapshot

    def rehearsed(self, rehearsal: Rehearsal) -> None:
        """Tell what the rehearsal did to the file's copy."""
        if rehearsal.revisions:
            self._listener.step(f"Rehearsed on a copy: {rehearsal.told}")

    def participant(self) -> Participant:
        """The file and its hooks, for the transaction."""

        def locked(guard: GuardedConnection, steps: Sequence[tuple[str, str]]) -> None:
            self._phases.turn("snapshot")
            snapshot = self.start.settle()
            self._phases.turn("revisions")
            self._begin(snapshot)
            before = snapshot.path if snapshot else self._database_in_wal(guard)
            self._kept = Safekeeping(self._settings, guard, before, self.plan, snapshot)
            self.outside.snapshot = snapshot

        hooks = Hooks(locked=locked, step=self._listener.running, check=self._check)
        return Participant(self.plan.database, hooks, unsafe=self.outside.unsafe)

    def keep(self, outcome: Outcome) -> RunReport:
        """After the commit: confirm it, and write it down.

        Raises:
            UpgradeRestored, UpgradeFailed: The commit is not what the file holds.
        """
        report = self.report(outcome)
        self._phases.turn("confirmation")
        with PendingHash(report.database if report.snapshot else None) as content:
            try:
                self._confirm(outcome)
            except KeyboardInterrupt:
                self._record(report, content)  # what is not in the journal can't be rolled back
                raise
            except OrchctlError as error:
                self.failed(error)
                raise
            self._phases.turn("journal")
            self._record(report, content)
        return replace(report, seconds=time.monotonic() - self._began)

    def failed(self, error: BaseException) -> None:
        """Leave nothing behind that was not there, and write the story down."""
        plan = self.plan
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
            snapshot=self.snapshot.id if self.snapshot else None,
            ok=False,
            error=_told(error),
            seconds=round(time.monotonic() - self._began, 3),
            version_table=plan.version_table,
            run=self.run,
        )
        with contextlib.suppress(OSError):  # the run's own error matters more than its record
            self._journal.append(entry)

    def stands(self, outcome: Outcome) -> None:
        """Write down a commit that stands although another file's failed."""
        report = self.report(outcome)
        with PendingHash(report.database if report.snapshot else None) as content:
            self._record(report, content)

    def report(self, outcome: Outcome) -> RunReport:
        """What was done."""
        return RunReport(
            direction=self.plan.direction,
            database=self.plan.database,
            before=outcome.before,
            after=outcome.after,
            revisions=tuple((step.revision, step.seconds) for step in outcome.applied),
            snapshot=self.snapshot if outcome.applied else None,
            seconds=time.monotonic() - self._began,
            deferred_commits=outcome.deferred_commits,
            proof=self._kept.proof if self._kept else None,
            proof_level=self._kept.level if self._kept else "off",
            put_back=self._kept.put_back if self._kept else (),
        )

    def nothing_done(self) -> RunReport:
        """The report where the file is there already."""
        plan, seconds = self.plan, time.monotonic() - self._began
        return RunReport(plan.direction, plan.database, plan.before, plan.before, (), None, seconds)

    def _begin(self, snapshot: Snapshot | None) -> None:
        """Say in the journal what is about to begin, should this process not live to say more."""
        plan = self.plan
        beginning = Beginning(
            began=plan.direction,
            database=str(plan.database),
            before=plan.before,
            target=plan.target,
            snapshot=snapshot.id if snapshot else None,
            pid=os.getpid(),
            version_table=plan.version_table,
            run=self.run,
        )
        if beginning != self._begun:
            with contextlib.suppress(OSError):  # it only tells; the run is as safe without it
                self._journal.begin(beginning, durable=self.run is not None)
                self._begun = beginning
                if self._in_vain and snapshot is not None:
                    clear_up(self._journal, plan.before, snapshot.id)

    def _database_in_wal(self, guard: GuardedConnection) -> Path | None:
        mode = guard.real.execute("PRAGMA journal_mode").fetchone()[0]
        return self.plan.database if self.plan.exists and mode == "wal" else None

    def _check(self, guard: GuardedConnection, declared: frozenset[str]) -> None:
        if self._kept is not None:
            self._phases.turn("proof")
            self._kept.check(guard, declared)
            self._counts = self._kept.row_counts(guard.writes)
            self._phases.turn("commit")
            for thing in self._kept.put_back:
                self._listener.step(f"Put back, dropped by a table rebuild: {thing}")
            self._listener.step(self._kept.told)
        self.checked = True

    def _confirm(self, outcome: Outcome) -> None:
        try:
            wrong = patiently(lambda: self._wrong(outcome), self._settings.lock_timeout)
        except OrchctlError as error:  # nothing against the commit, which SQLite reported done
            self._listener.warning(f"Not confirmed through a fresh connection: {error.message}")
            return
        if wrong is None:
            self._listener.step("Confirmed through a fresh connection")
            return
        message = f"{self.plan.database} is not what the {self.plan.direction} left: {wrong}"
        if self.snapshot is None:
            raise UpgradeFailed(
                message,
                code="not-confirmed",
                state="The run was committed, and there is no snapshot of what was before",
                hint="orchctl status shows where the database is",
            )
        from orchctl.snapshots.restore import restore

        restore(self.snapshot, self.plan.database, timeout=self._settings.lock_timeout)
        raise UpgradeRestored(
            message,
            code="not-confirmed",
            state=f"Snapshot {self.snapshot.id} was put back",
            hint="orchctl status shows where the database is",
        )

    def _wrong(self, outcome: Outcome) -> str | None:
        file = self.plan.database
        (first, heads), *others = outcome.stamps.items()
        wrong = confirm(file, first, heads, self._violations)
        for table, stamps in others if wrong is None else ():
            if heads_of(file, table, timeout=STEP) != stamps:
                return f"{table} is not at {', '.join(stamps) or 'base'}"
        return wrong

    def _violations(self) -> frozenset[Violation]:
        return self._kept.violations if self._kept else frozenset()

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
            version_table=self.plan.version_table,
            run=self.run,
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
