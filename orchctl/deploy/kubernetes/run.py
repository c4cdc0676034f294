"""Carrying out a run, step by step, each of which may be begun again after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.deploy.kubernetes.goal import job_command
from orchctl.deploy.kubernetes.job import Work, job_name, manifest
from orchctl.deploy.kubernetes.job_run import JobEnd, follow_job, make_job, remove_job
from orchctl.deploy.kubernetes.lease import SECONDS
from orchctl.deploy.kubernetes.record import (
    CHANGING,
    STARTING,
    STOPPING,
    UPGRADING,
    Record,
    Recorded,
)
from orchctl.errors import OrchctlError, RestoreFailed, TimedOut, UpgradeFailed, WorkloadFailed
from orchctl.workloads.kubernetes.client import MERGE
from orchctl.workloads.kubernetes.image import images_patch
from orchctl.workloads.kubernetes.inside import revision_inside
from orchctl.workloads.kubernetes.kinds import CRON_JOB, JOB, Kind, Object
from orchctl.workloads.kubernetes.scale import (
    scale,
    users_of,
    wait_until_unused,
)
from orchctl.workloads.kubernetes.sharers import SNAPSHOTS_LABEL
from orchctl.workloads.kubernetes.unfinished import typed
from orchctl.workloads.kubernetes.waiting import RolledOut, wait_for_rollout

if TYPE_CHECKING:
    from pathlib import Path

    from orchctl.workloads.docker.listening import Check
    from orchctl.workloads.health import HealthResult
    from orchctl.workloads.kubernetes.client import Cluster

_SLACK = 60.0  # seconds that a Job may take to be scheduled, beyond what it may run
_TRIES = 2
UPGRADE, RESTORE = "upgrade", "restore"


@dataclass(frozen=True)
class Terms:
    """How long to wait, for what, and whom to tell.

    Attributes:
        timeout: Seconds for each wait: until the claim is unused, the Job runs, the workload is
            ready.
        job_seconds: Seconds that a Job may take.
        check: What must answer in the end; None asks nothing.
        folder: Where snapshots are copied to in the end; None leaves them on the claim alone.
        on_step: Called with what is done.
        on_line: Called with what is waited for, and what Jobs print.
        lease_seconds: How long the Lease lasts without a renewal.
    """

    timeout: float
    job_seconds: int
    check: Check | None
    folder: Path | None
    on_step: Callable[[str], None]
    on_line: Callable[[str], None]
    lease_seconds: int = SECONDS


class Run:
    """One run; what it has done stands in its record.

    Args:
        cluster: The cluster, guarded by the Lease.
        kind: Of the workload.
        name: Of the workload.
        recorded: Its record.
        terms: How it waits.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        name: str,
        recorded: Recorded,
        terms: Terms,
    ) -> None:
        self.cluster, self.kind, self.name = cluster, kind, name
        self.recorded, self.terms = recorded, terms
        self.target = f"{kind.name}/{name}"

    @property
    def now(self) -> Record:
        """The record."""
        return self.recorded.now

    # -- forward -----------------------------------------------------------------------------

    def forward(self) -> tuple[RolledOut | None, HealthResult | None]:
        """From where the record says to the end.

        Raises:
            UpgradeFailed: `job-failed`: the database is as before.
            RestoreFailed: The Job says that a person is needed.
            WorkloadFailed, TimedOut: Something did not get ready; `other-revision`.
        """
        if self.now.step == STOPPING:
            self.hold_snapshots()
            self.stop()
            self.advance(UPGRADING)
        if self.now.step == UPGRADING:
            answer = self.upgrade()
            changed = self.now.changed or changed_by(answer)
            self.advance(CHANGING, answer=answer, changed=changed)
        if self.now.step == CHANGING:
            self.remove_jobs(UPGRADE)
            self.stop()
            self.give(self.now.new_images)
            self.advance(STARTING)
        rolled = self.start()
        if rolled is None:
            return None, None
        self.confirm(rolled)
        return rolled, self.healthy()

    def advance(self, step: str, **facts: Any) -> None:
        """The next step, durably."""
        self.recorded.change(step=step, **facts)

    def hold_snapshots(self, *, hold: bool = True) -> None:
        """Suspend the CronJobs of snapshots, and wait for what they have begun; or let them go on.

        Their pods start only beside the service's: at zero one would wait, on the claim, for ever.
        """
        for name in self.now.suspended:
            body = {"spec": {"suspend": hold}}
            try:
                self.cluster.patch(CRON_JOB, name, body, how=MERGE)
            except OrchctlError as error:
                if error.code != "no-such-object":
                    raise
        for claim in self.now.claims if hold and self.now.suspended else ():
            wait_until_unused(
                self.cluster,
                claim,
                deadline=self._deadline(),
                on_line=self.terms.on_line,
                labels=SNAPSHOTS_LABEL,
            )

    def stop(self) -> None:
        """To zero, and until no pod has a claim; a pod whose node is away still has it.

        Raises:
            TimedOut: `claim-in-use`.
        """
        self.scale_to(0)
        for claim in self.now.claims:
            wait_until_unused(
                self.cluster, claim, deadline=self._deadline(), on_line=self.terms.on_line
            )
        self.terms.on_step(f"{self.target} is stopped, {', '.join(self.now.claims)} unused")

    def upgrade(self) -> dict[str, Any]:
        """Run the Job, and once more if it did not say how it ended: an upgrade that was done
        already does nothing, so the second answer tells."""
        now = self.now
        command = job_command(now.command, now.revision, now.snapshot, now.allow_loss)
        if not command:
            return {"ok": True, "databases": []}
        for number in range(1, _TRIES + 1):
            end = self.job(UPGRADE, number, self.now.job_image, command)
            if end.answer is not None:
                return self._upgraded(end.answer, end)
            # Whether it was done is not known: from here on it counts as changed.
            self.recorded.change(changed=True)
            self.terms.on_line(f"The Job ended without an answer ({end.told})")
        self.remove_jobs(UPGRADE)  # the next try makes new ones
        raise RestoreFailed(
            f"The {self._word} ended twice without saying how ({end.told}): whether it was done is "
            "not known",
            code="outcome-unknown",
            state=f"{self.target} stays at zero",
            hint=(f"{remedy}; then " if (remedy := self._remedy(end)) else "")
            + f"orchctl k8s {typed(self.now.command)} {self.target} --resume tries again",
            details={"log": list(end.lines)},
        )

    @property
    def _word(self) -> str:
        return UPGRADE if self.now.command == "deploy" else self.now.command

    def _remedy(self, end: JobEnd) -> str:
        return end.remedy(self.target, self.now.container)

    def _upgraded(self, answer: dict[str, Any], end: JobEnd) -> dict[str, Any]:
        if answer.get("ok"):
            self.terms.on_step(f"Database {upgrade_text(answer)}")
            return answer
        error = answer["error"]
        if error.get("exit_code") == RestoreFailed.exit_code:
            raise RestoreFailed(
                error["message"], code=error["code"], hint=_inside(error.get("hint")),
                state=f"{self.target} stays at zero",
            )  # fmt: skip
        # All-or-nothing: with an error told, the database is as it was.
        self.recorded.change(answer={"error": error}, changed=False)
        raise UpgradeFailed(
            f"The {self._word} failed: {error['message']}"
            + (f" ({end.reason})" * bool(end.reason)),
            code="job-failed",
            hint=self._remedy(end) or _inside(error.get("hint")),
            details={"error": error, "log": list(end.lines)},
        )

    # -- what both directions need -----------------------------------------------------------

    def job(self, what: str, number: int, image: str, command: tuple[str, ...]) -> JobEnd:
        """Run a Job to its end, one that is there already too; it stays, with its log."""
        name = self.job_name(what, number)
        if self.cluster.find(JOB, name) is None:
            self.require_unused(what, number)
            self.recorded.mine()
        run, container = self.now.run, self.now.container
        work = Work(name, run, container, image, command, self.terms.job_seconds)
        body = manifest(self.kind, self.recorded.workload(), work)
        made = make_job(self.cluster, body)
        self.recorded.change(job=made["metadata"]["uid"])
        try:
            return follow_job(
                self.cluster,
                name,
                deadline=time.monotonic() + self.terms.job_seconds + _SLACK,
                on_line=self.terms.on_line,
                patience=self.terms.timeout,
            )
        except OrchctlError as error:
            if error.code != "job-not-started" or what != UPGRADE:
                raise
            # First it goes: else it could come to run after all, when nobody reckons with it.
            if remove_job(self.cluster, name, deadline=self._deadline()):
                return JobEnd(None, None, ())
            told = {"code": error.code, "message": error.message}
            self.recorded.change(answer={"error": told})
            raise

    def job_name(self, what: str, number: int) -> str:
        """The name of the run's Job."""
        return job_name(self.name, self.now.run, what if number == 1 else f"{what}-{number}")

    def require_unused(self, what: str, number: int) -> None:
        """Nothing may have the claim but what this makes next: earlier Jobs go, replicas too."""
        for earlier in range(1, number):
            remove_job(self.cluster, self.job_name(what, earlier), deadline=self._deadline())
        workload = self.recorded.mine()
        if workload["spec"].get("replicas") or any(
            users_of(self.cluster, claim) for claim in self.now.claims
        ):
            self.stop()

    def remove_jobs(self, what: str) -> None:
        """Delete the run's Jobs of one sort, their pods too."""
        for number in range(1, _TRIES + 1):
            remove_job(self.cluster, self.job_name(what, number), deadline=self._deadline())

    def scale_to(self, replicas: int) -> Object:
        """Set the number of replicas, on the very object that was looked at."""
        while True:
            workload = self.recorded.mine()
            if workload["spec"].get("replicas") == replicas:
                return workload
            try:
                scale(self.cluster, self.kind, workload, replicas)
            except OrchctlError as error:
                if error.code != "cluster-conflict":
                    raise
                continue  # only its status changed, or it is looked at anew
            return self.recorded.mine()

    def give(self, images: dict[str, str]) -> None:
        """Set images, at zero, on the very object that was looked at."""
        while images:
            workload = self.recorded.mine()
            patch = images_patch(workload, images)
            patch["metadata"] = {"resourceVersion": workload["metadata"]["resourceVersion"]}
            try:
                self.cluster.patch(self.kind, self.name, patch)
            except OrchctlError as error:
                if error.code != "cluster-conflict":
                    raise
                continue
            self.terms.on_step(f"Image {', '.join(sorted(set(images.values())))} is set")
            return

    def start(self) -> RolledOut | None:
        """Replicas back, and until they are ready; None where there were none."""
        workload = self.scale_to(self.now.replicas)
        if not self.now.replicas:
            return None
        rolled = wait_for_rollout(
            self.cluster,
            self.kind,
            workload,
            deadline=self._deadline(),
            on_line=self.terms.on_line,
        )
        self.terms.on_step(f"{self.target} is ready")
        return rolled

    def confirm(self, rolled: RolledOut) -> None:
        """Ask the pod for the revision that it sees; one without orchctl in it can't tell.

        Raises:
            WorkloadFailed: `other-revision`.
        """
        wanted = revision_after(self.now.answer)
        if wanted is None:
            return
        told = revision_inside(self.cluster, rolled.pods, self.now.container)
        if told is None:
            return
        if told != wanted:
            raise WorkloadFailed(
                f"{self.target} is ready, but sees a database at {told or 'base'}, "
                f"not the one that is at {wanted or 'base'} now",
                code="other-revision",
                hint="The service's DATABASE_URL and mounts must be those of its container "
                f"{self.now.container!r}, and nothing in it may upgrade further",
            )
        self.terms.on_step(f"Revision {told or 'base'} is what its pod sees")

    def healthy(self) -> HealthResult | None:
        """Until the health check is good.

        Raises:
            WorkloadFailed: `unhealthy`.
            TimedOut: `no-answer`.
        """
        from orchctl.workloads.health import wait_healthy

        check = self.terms.check
        if check is None:
            return None
        timeout = self.terms.timeout
        found = wait_healthy(check.url, check.headers, timeout, 0.5, check.expect, check.trust)
        if found.healthy:
            return found
        message = f"{self.target} is ready, but {found.url} is not good: {found.told}"
        details = {"url": found.url, "status": found.status, "told": found.told}
        if found.status is None:
            raise TimedOut(message, code="no-answer", details=details)
        raise WorkloadFailed(message, code="unhealthy", details=details)

    def _deadline(self) -> float:
        return time.monotonic() + self.terms.timeout


def _inside(hint: str | None) -> str | None:
    """What a Job advises is for where it ran: its commands would find no database here."""
    return f"In a pod on the claim: {hint}" if hint and "orchctl " in hint else hint


def changed_by(answer: dict[str, Any]) -> bool:
    """Whether an upgrade's, or a rollback's, answer says that it changed a database."""
    return bool(answer.get("ok")) and any(map(_changed, answer.get("databases", [answer])))


def _changed(one: dict[str, Any]) -> bool:
    return bool(one.get("revisions") or one.get("put_aside"))


def revision_after(answer: dict[str, Any] | None) -> str | None:
    """The revision that an upgrade's answer says the database is at, "" at base.

    Returns:
        None where it says nothing of it, or of several databases.
    """
    told = (answer or {}).get("databases", [answer or {}])
    return str(told[0]["to"] or "") if len(told) == 1 and "to" in told[0] else None


def upgrade_text(answer: dict[str, Any]) -> str:
    """What an upgrade did, in one line."""
    told = []
    for one in answer.get("databases", [answer]):
        before, after = one.get("from") or "base", one.get("to") or "base"
        way = f"{before} -> {after}" if _changed(one) else f"at {after} already"
        told.append(f"{one.get('database')}: {way}")
    return "; ".join(told) or "left as it is"
