"""Putting everything back: zero, the database, the image, the replicas."""

from __future__ import annotations

from typing import Any

from orchctl.deploy.kubernetes.goal import restore_command
from orchctl.deploy.kubernetes.record import ROLLBACK, UNDOING
from orchctl.deploy.kubernetes.run import RESTORE, UPGRADE, Run, changed_by
from orchctl.errors import (
    OrchctlError,
    RestoreFailed,
    TimedOut,
    UpgradeFailed,
    UpgradeRestored,
    WorkloadFailed,
)
from orchctl.workloads.kubernetes.kinds import JOB, images_of
from orchctl.workloads.kubernetes.unfinished import typed

ABORTED = "aborted"
# What was never sent to the database, and so leaves it as it was.
_STILL_STOPPING = "claim-in-use"


def undo(run: Run, why: OrchctlError | None, *, asked: bool = False) -> OrchctlError | None:
    """Undo a run, or go on undoing one.

    Whatever was changed goes back through zero: a StatefulSet whose pod is stuck would not get
    another one otherwise (https://github.com/kubernetes/kubernetes/issues/67250).

    Args:
        run: The run.
        why: What went wrong; None means somebody asked for it, or the record says.
        asked: Whether to be undone is what was asked for, whatever went wrong before.

    Returns:
        What to raise now that all is back; None when somebody asked for it.

    Raises:
        RestoreFailed: `restore-failed`, `outcome-unknown`: the workload stays at zero.
        OrchctlError: It could not be done; the record stays, for another try.
    """
    _begin(run, why)
    if _touched(run):
        run.scale_to(0)
        _learn(run)
        run.remove_jobs(UPGRADE)
        run.stop()
        if run.now.changed:
            _restore(run)
        run.remove_jobs(RESTORE)
        run.give(run.now.old_images)
    started = _start(run)
    run.hold_snapshots(hold=False)
    run.recorded.end(undone=True)
    if asked or run.now.failure["code"] == ABORTED:
        return started
    return _verdict(run, started)


def _begin(run: Run, why: OrchctlError | None) -> None:
    if run.now.step == UNDOING:
        return
    failure: dict[str, Any] = {"code": ABORTED, "message": "Aborted", "exit_code": 0}
    if why is not None:
        failure = {"code": why.code, "message": why.message, "exit_code": int(why.exit_code)}
        failure |= {"hint": why.hint} if why.hint else {}
        run.terms.on_line(f"{why.message}: putting everything back")
    run.recorded.change(step=UNDOING, failure=failure)


def _touched(run: Run) -> bool:
    """Whether anything but the number of replicas was changed."""
    images = images_of(run.recorded.mine())
    if any(images.get(name) != image for name, image in run.now.old_images.items()):
        return True
    made = run.cluster.find(JOB, run.job_name(UPGRADE, 1))
    return bool(run.now.job or run.now.changed or made)


def _learn(run: Run) -> None:
    """What became of an upgrade whose end nobody has seen.

    Where its Job has left no word, the upgrade is run again: that does nothing when it was done.
    """
    if run.now.answer:
        return
    try:
        answer = run.upgrade()
    except OrchctlError as error:
        if error.code not in ("job-failed", "job-not-started"):
            raise
        return  # the record says so by now
    run.recorded.change(answer=answer, changed=run.now.changed or changed_by(answer))


def _restore(run: Run) -> None:
    """Put the database back from the snapshot that the upgrade took.

    What the new version has written since is in a snapshot of its own, which `orchctl rollback`
    takes first.
    """
    # Of a rollback that is undone: what it put aside.
    kept = "put_aside" if run.now.command == ROLLBACK else "snapshot"
    snapshot = run.now.answer.get(kept) or {}
    end = run.job(RESTORE, 1, run.now.job_image, restore_command(snapshot.get("id", "")))
    answer = end.answer or {}
    if not answer.get("ok"):
        told = (answer.get("error") or {}).get("message") or f"exit code {end.exit_code}"
        run.remove_jobs(RESTORE)  # the next try makes a new one
        raise RestoreFailed(
            f"The database could not be put back: {told}",
            code="restore-failed",
            state=f"{run.target} stays at zero, the database is upgraded"
            + (f", its snapshot is {snapshot.get('path')}" if snapshot else ""),
            hint=f"orchctl k8s {typed(run.now.command)} {run.target} --abort tries again",
            details={"log": list(end.lines), "snapshot": snapshot or None},
        )
    run.recorded.change(changed=False, restored=answer)
    run.terms.on_step("The database is as it was before")


def _start(run: Run) -> OrchctlError | None:
    """Start the old version; that it does not get ready is told, but changes nothing more."""
    if run.now.failure.get("code") == _STILL_STOPPING and not run.now.job:
        run.scale_to(run.now.replicas)
        return None  # the pod that would not go is still there
    try:
        run.start()
    except (WorkloadFailed, TimedOut) as error:
        if error.code not in ("rollout-failed", "rollout-timeout", "rollout-paused"):
            raise
        return error
    return None


def _verdict(run: Run, started: OrchctlError | None) -> OrchctlError | None:
    failure, now = run.now.failure, run.now
    state = f"{run.target} has its {now.replicas} replicas and its image from before"
    if started is not None:
        state += f", but is not ready: {started.message}"
    hint = failure.get("hint") or f"orchctl k8s status {run.target}"
    details = {"code": failure.get("code"), "restored": now.restored or None}
    if now.restored:
        state += "; the database is back from its snapshot"
        return UpgradeRestored(
            failure["message"], code="upgrade-restored", state=state, hint=hint, details=details
        )
    state += "; the database is as it was"
    kind = {UpgradeFailed.exit_code: UpgradeFailed, TimedOut.exit_code: TimedOut}.get(
        failure["exit_code"], WorkloadFailed
    )
    return kind(failure["message"], code=failure["code"], state=state, hint=hint, details=details)
