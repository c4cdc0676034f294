"""A whole run: looked at, taken in hand, carried out or put back; a killed one gone on with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.deploy.kubernetes.copies import Copied, Source, copy_off, snapshots_in
from orchctl.deploy.kubernetes.goal import Wish
from orchctl.deploy.kubernetes.lease import Lease
from orchctl.deploy.kubernetes.plan import ClaimPlan, plan_run
from orchctl.deploy.kubernetes.record import (
    ROLLBACK,
    STOPPING,
    UNDOING,
    Record,
    Recorded,
    new_run,
    read_record,
)
from orchctl.deploy.kubernetes.run import Run, Terms
from orchctl.deploy.kubernetes.undo import undo
from orchctl.errors import (
    Interrupted,
    NegativeAnswer,
    OrchctlError,
    Refused,
    RestoreFailed,
    WorkloadFailed,
)
from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.unfinished import going_on, typed

if TYPE_CHECKING:
    from orchctl.workloads.health import HealthResult
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.waiting import RolledOut

# After these the run is not ours any more, or a person has to look: nothing is put back.
_HANDS_OFF = ("lease-lost", "run-taken-over")


@dataclass(frozen=True)
class Outcome:
    """What a run has come to.

    Attributes:
        record: As it was last.
        resumed: Whether it had been begun by another.
        undone: Whether it was undone, as asked for.
        rolled: The workload when it was ready; None where it has no replicas.
        answer: Of the health check.
        seconds: The whole.
        warnings: What to know.
        copied: The snapshots as they were copied off the claim.
        not_copied: Why they were not, although that was wanted; "" otherwise.
    """

    record: Record
    resumed: bool
    undone: bool
    rolled: RolledOut | None
    answer: HealthResult | None
    seconds: float
    warnings: tuple[str, ...] = ()
    copied: tuple[Copied, ...] = ()
    not_copied: str = ""


@dataclass(frozen=True)
class Going:
    """What to do about a run that is not over.

    Attributes:
        resume: Go on with it, whatever it was.
        abort: Undo it.
        patience: Seconds to wait for another run to end.
    """

    resume: bool = False
    abort: bool = False
    patience: float = 0.0


def carry_out(
    cluster: Cluster, found: Found, wish: Wish, terms: Terms, going: Going = Going()
) -> Outcome:
    """Upgrade a database on its claim and put a new image into service, or put it all back.

    Args:
        cluster: The cluster.
        found: The workload.
        wish: What was asked for.
        terms: How it waits.
        going: What to do about a run that is not over.

    Raises:
        LockHeld: `run-under-way`; `lease-lost`: it stopped before it changed anything further.
        Refused: As `plan_run`; `unfinished-run`.
        NegativeAnswer: `no-unfinished-run`.
        UpgradeFailed: `job-failed`: all is as before.
        UpgradeRestored: `upgrade-restored`: all is as before, from the snapshot.
        WorkloadFailed, TimedOut: It did not get ready; all is as before.
        RestoreFailed: A person is needed.
        Interrupted: The state says where it stopped.
    """
    began = time.monotonic()
    plan, looked_at = None, found.object["metadata"].get("generation")
    # What another run has in hand is looked at when that is over, or was killed.
    if read_record(found.object) is None:
        _require_asked_for(found, going)
        plan = plan_run(cluster, found, wish)
    lease = Lease(cluster, found.kind, found.name, terms.lease_seconds)
    lease.take(time.monotonic() + going.patience)
    # From here on nothing is changed without the Lease, however long a request is repeated.
    cluster = cluster.guarded(lease.check)
    try:
        found = Found(found.kind, cluster.get(found.kind, found.name))
        record = _unfinished(found, wish, going)
        resumed = record is not None
        if record is None:
            if plan is None or found.object["metadata"].get("generation") != looked_at:
                plan = plan_run(cluster, found, wish)
            record = _record(plan)
        recorded = Recorded(cluster, found.kind, found.name, record)
        if not resumed:
            recorded.begin(found.object)
        run = Run(cluster, found.kind, found.name, recorded, terms)
        rolled, answer, copies = _gone_through(run, abort=going.abort)
    finally:
        lease.release()
    return Outcome(
        run.now,
        resumed,
        run.now.step == UNDOING,
        rolled,
        answer,
        time.monotonic() - began,
        plan.warnings if plan else (),
        *copies,
    )


def _unfinished(found: Found, wish: Wish, going: Going) -> Record | None:
    """The record of a run that is to be gone on with; None when there is none."""
    record = read_record(found.object)
    if record is None:
        _require_asked_for(found, going)
        return None
    same = record.command == wish.command
    same = same and (wish.command == ROLLBACK or record.revision == wish.revision)
    if wish.image:
        same = same and wish.image == record.job_image
    if same or going.resume or going.abort:
        return record
    raise Refused(
        f"{found} has an unfinished run: {record.command} with {record.job_image} to "
        f"{record.revision}, at {record.step}, begun {record.started_at}",
        code="unfinished-run",
        state=f"It is as that run left it, {record.replicas} replicas before",
        hint=going_on(record.command, str(found)),
    )


def _require_asked_for(found: Found, going: Going) -> None:
    """Where no run is unfinished, to go on with one, or to undo it, means nothing."""
    if going.resume or going.abort:
        raise NegativeAnswer(
            f"{found} has no unfinished run",
            code="no-unfinished-run",
            state="Nothing was changed",
            hint=f"orchctl k8s status {found}",
        )


def _record(plan: ClaimPlan) -> Record:
    (run, now), goal = new_run(), plan.goal
    return Record(
        run=run,
        command=plan.command,
        step=STOPPING,
        replicas=plan.replicas,
        container=goal.container,
        revision=goal.revision,
        job_image=goal.job_image,
        old_images=goal.old_images,
        new_images=goal.new_images,
        claims=plan.claims,
        started_at=now,
        snapshot=goal.snapshot,
        suspended=plan.suspends,
        allow_loss=goal.allow_loss,
    )


_Copies = tuple[tuple[Copied, ...], str]


def _gone_through(
    run: Run, *, abort: bool
) -> tuple[RolledOut | None, HealthResult | None, _Copies]:
    try:
        return _forth_or_back(run, abort=abort)
    except OrchctlError as error:
        if error.code in _HANDS_OFF and error.state is None:
            error.state = f"{run.target} was left while {run.now.step}, which its annotation says"
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"Interrupted while {run.now.step}",
            state=f"{run.target} is as it was left then, which its annotation says",
            hint=going_on(run.now.command, run.target),
        ) from error


def _forth_or_back(
    run: Run, *, abort: bool
) -> tuple[RolledOut | None, HealthResult | None, _Copies]:
    if abort or run.now.step == UNDOING:
        _put_back(run, None, asked=abort)
        return None, None, ((), "")
    try:
        done = run.forward()
    except RestoreFailed:
        raise
    except OrchctlError as error:
        if error.code in _HANDS_OFF:
            raise
        _put_back(run, error)
        raise
    copies = _copies(run)
    run.hold_snapshots(hold=False)
    run.recorded.end()
    return *done, copies


def _copies(run: Run) -> _Copies:
    """Copy the snapshots off the claim, now that nobody waits for it; a failure undoes nothing."""
    folder, terms = run.terms.folder, run.terms
    if folder is None:
        return (), ""
    found = Found(run.kind, run.recorded.mine())
    source = Source(run.cluster, found, run.now.container, terms.timeout, terms.on_line)
    try:
        copied = copy_off(source, snapshots_in(run.now.answer), folder)
    except OrchctlError as error:
        if error.code in _HANDS_OFF:
            raise
        return (), error.message
    for one in copied:
        terms.on_step(f"{one.path} is a copy of the snapshot")
    return copied, ""


def _put_back(run: Run, why: OrchctlError | None, *, asked: bool = False) -> None:
    try:
        verdict = undo(run, why, asked=asked)
    except RestoreFailed:
        raise
    except OrchctlError as error:
        if error.code in _HANDS_OFF:
            raise
        first = f"{why.message}; then " if why is not None else ""
        raise WorkloadFailed(
            f"{first}it could not be put back: {error.message}",
            code="not-put-back",
            state=f"{run.target} is left while {run.now.step}, which its annotation says",
            hint=_after(error.hint)
            + f"orchctl k8s {typed(run.now.command)} {run.target} --abort goes on with that",
            details={"first": why.code if why else None, "then": error.code},
        ) from error
    if verdict is not None:
        raise verdict from why


def _after(hint: str | None) -> str:
    return f"{hint}{' ' if hint.endswith('?') else '; '}then " if hint else ""
