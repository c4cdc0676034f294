"""Executing a plan: lock, preflight, snapshot, one transaction a file, confirmation, journal."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database import lock
from orchctl.database.failure import explain, explain_os
from orchctl.errors import Interrupted, OrchctlError, Refused
from orchctl.upgrade.checks import preflight
from orchctl.upgrade.commits import PartlyCommittedError
from orchctl.upgrade.doubt import commit_in_doubt
from orchctl.upgrade.file_run import FileRun
from orchctl.upgrade.outcome import Outcome
from orchctl.upgrade.phases import Phases
from orchctl.upgrade.report import Listener, RunReport
from orchctl.upgrade.transaction import Transaction
from orchctl.upgrade.unsafe import NOT_REHEARSABLE

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.plan import UpgradePlan


def execute(settings: Settings, plan: UpgradePlan, listener: Listener) -> RunReport:
    """Run a plan for one file; raises as `execute_all`."""
    return execute_all(settings, (plan,), listener)[0]


def execute_all(
    settings: Settings, plans: Sequence[UpgradePlan], listener: Listener
) -> tuple[RunReport, ...]:
    """Run the plans of all files that env.py goes through, in one run of env.py.

    Afterwards every database is at the target, or as it was before.

    Args:
        settings: The run's settings.
        plans: What to do to each file; held against it again once its lock is held.
        listener: Who hears of the progress.

    Returns:
        What was done to each file, in the order of the plans.

    Raises:
        LockHeld: Another orchctl, or a writer, kept a database for longer than the timeout.
        Refused, UpgradeFailed, ConfigurationError, UsageError: As `Transaction.run` says.
        UpgradeRestored: A commit could not be confirmed, one after the first one failed, or a run
            that left its transaction did; what was committed was put back from its snapshot.
        RestoreFailed: As before, but something could not be put back; says what stands where.
        Interrupted: Ctrl-C or SIGTERM; says whether the run is committed.
    """

    def tell_wait(holder: object, waited: float) -> None:
        listener.running(f"Waiting for {holder} ({waited:.0f}s)")

    for plan in plans:
        if not plan.folder.is_dir():
            preflight(plan)  # says so; there is no place for the lock either
    run = _Run(settings, plans, listener)
    try:
        with contextlib.ExitStack() as locks:
            # Always in the same order: two runs that start together must not wait for each other.
            for plan in sorted(plans, key=lambda each: os.path.realpath(each.database)):
                held = lock.hold(
                    plan.database,
                    timeout=settings.lock_timeout,
                    purpose=f"{plan.direction} to {plan.target}",
                    on_wait=tell_wait,
                )
                locks.enter_context(held)
            return run.run()
    except KeyboardInterrupt as error:
        raise run.interrupted() from error
    except sqlite3.Error as error:
        told = explain(error, plans[0].database, doing=plans[0].direction)
        raise run.truth_about(told) from error
    except OSError as error:
        raise explain_os(error, plans[0].database, doing=plans[0].direction) from error
    except OrchctlError as error:
        if (truth := run.truth_about(error)) is error:
            raise
        raise truth from error


class _Run:
    """One execution."""

    def __init__(
        self, settings: Settings, plans: Sequence[UpgradePlan], listener: Listener
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._direction, self._target = plans[0].direction, plans[0].target
        self._began, self._phases = time.monotonic(), Phases("preflight")
        names = _names([plan.database for plan in plans])
        self._files = [
            FileRun(settings, plan, _prefixed(listener, name), self._phases)
            for plan, name in zip(plans, names, strict=True)
        ]
        self._transaction: Transaction | None = None

    def interrupted(self) -> Interrupted:
        """The error for Ctrl-C or SIGTERM at this moment."""
        if self._transaction is None or not self._transaction.committed:
            return Interrupted("Interrupted", state="The database is as before")
        return Interrupted(
            "Interrupted after the commit",
            state=f"The {self._direction} is done and committed",
            hint="orchctl status shows where the database is; orchctl rollback takes it back",
        )

    def truth_about(self, error: OrchctlError) -> OrchctlError:
        """The error, or what must be said instead where a commit may stand after all."""
        for one in self._files:
            if one.checked and (truth := commit_in_doubt(error, one.plan)) is not error:
                return truth
        return error

    def run(self) -> tuple[RunReport, ...]:
        """Preflight, rehearsal, transaction, confirmation, journal."""
        for one in self._files:
            one.look_again()
        if not any(one.plan.steps for one in self._files):
            return tuple(one.nothing_done() for one in self._files)  # somebody else did it
        self._name_run()
        for one in self._files:
            one.preflight()
        try:
            outcomes = self._work()
        except PartlyCommittedError as error:
            from orchctl.upgrade.put_back import put_back

            outcomes = self._transaction.outcomes if self._transaction else ()
            raise put_back(self._settings, self._files, outcomes, error) from error
        reports = self._keep(outcomes)
        if outcomes[0].interrupted:
            raise self.interrupted()
        seconds, phases = time.monotonic() - self._began, self._phases.seconds()
        return tuple(replace(one, seconds=seconds, phases=phases) for one in reports)

    def _work(self) -> tuple[Outcome, ...]:
        with contextlib.ExitStack() as watches:
            for one in self._files:
                watches.enter_context(one.outside.restoring())
                watches.enter_context(one.start)
            try:
                if self._settings.rehearse:
                    self._rehearse()
                self._phases.turn("revisions")
                parts = [one.participant() for one in self._files]
                self._transaction = Transaction(
                    self._settings, parts, self._direction, self._target
                )
                outcomes = self._transaction.run()
            except PartlyCommittedError:
                raise
            except BaseException as error:
                for one in self._files:
                    one.failed(error)
                raise
            for one in self._files:
                one.outside.went_through()
            return outcomes

    def _name_run(self) -> None:
        """One name for what this run writes down about several files.

        What finishes a run that was killed between its commits is a part of that run: a rollback
        takes both back together.
        """
        if len(self._files) == 1:
            return
        killed = {
            one.killed.beginning.run
            for one in self._files
            if one.killed and one.killed.committed != bool(one.plan.steps)
        }
        torn = any(one.killed and one.killed.committed for one in self._files)
        known = killed.pop() if torn and len(killed) == 1 else None
        name = known or secrets.token_hex(8)
        for one in self._files:
            one.run = name

    def _rehearse(self) -> None:
        self._phases.turn("snapshot")
        snapshots = [one.take_early() for one in self._files]
        self._phases.turn("rehearsal")
        if not any(snapshots):
            return
        from orchctl.upgrade.rehearsal import copies_of, rehearse_all

        quiet = replace(self._listener, running=lambda _: None)
        plans = [one.plan for one in self._files]
        taken = [snapshot.path if snapshot else None for snapshot in snapshots]
        try:
            with copies_of(plans, quiet, taken) as copies:
                rehearsed = rehearse_all(self._settings, plans, copies, quiet, snapshots)
        except Refused as error:
            if error.code != NOT_REHEARSABLE:
                raise
            self._listener.warning(f"Not rehearsed to the end: {error.message}")
            return
        for one, rehearsal in zip(self._files, rehearsed, strict=True):
            one.rehearsed(rehearsal)

    def _keep(self, outcomes: Sequence[Outcome]) -> tuple[RunReport, ...]:
        reports: list[RunReport] = []
        failures: list[BaseException] = []
        for one, outcome in zip(self._files, outcomes, strict=True):
            try:
                reports.append(one.keep(outcome) if outcome.applied else one.report(outcome))
            except (OrchctlError, KeyboardInterrupt) as error:  # the others are to be told of, too
                failures.append(error)
        if failures:
            raise failures[0]
        return tuple(reports)


def _names(files: Sequence[Path]) -> list[str | None]:
    """How the progress names each of several files."""
    if len(files) == 1:
        return [None]
    distinct = len({file.name for file in files}) == len(files)
    return [file.name if distinct else str(file) for file in files]


def _prefixed(listener: Listener, name: str | None) -> Listener:
    if name is None:
        return listener
    return replace(
        listener,
        step=lambda text: listener.step(f"{name}: {text}"),
        running=lambda text: listener.running(f"{name}: {text}"),
        warning=lambda text: listener.warning(f"{name}: {text}"),
    )
