"""A snapshot on a claim, while the workload goes on: by a Job beside its pod, or in the pod."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.deploy.kubernetes.copies import Copied, Source, copy_off, require_folder
from orchctl.deploy.kubernetes.job import Work, chosen_container, job_name, manifest, read_answer
from orchctl.deploy.kubernetes.job_run import JobEnd, follow_job, make_job, remove_job
from orchctl.deploy.kubernetes.lease import Lease
from orchctl.errors import OperationFailed, OrchctlError, Refused, UsageError, WorkloadFailed
from orchctl.workloads.kubernetes.access import Need, require_rights
from orchctl.workloads.kubernetes.find import Found, pods_of
from orchctl.workloads.kubernetes.inside import NEEDS, stream_inside
from orchctl.workloads.kubernetes.kinds import (
    CLAIM,
    DEPLOYMENT,
    JOB,
    LEASE,
    POD,
    STATEFUL_SET,
    images_of,
    written_claims,
)
from orchctl.workloads.kubernetes.pods import PodFacts, read_pod
from orchctl.workloads.kubernetes.scale import users_of
from orchctl.workloads.kubernetes.shape import hazards, read_claims
from orchctl.workloads.kubernetes.unfinished import require_no_run, unfinished_run

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

_SLACK = 60.0  # seconds that a Job may take to be scheduled, beyond what it may run
_KEPT = 3600  # seconds after which the cluster removes a Job that a killed run has left


@dataclass(frozen=True)
class BackupWish:
    """What was asked for.

    Attributes:
        reason: `manual` or `scheduled`.
        verify: Whether it is verified right away.
        container: Which container has the database; None where there is but one.
        inside: Take it in the running pod, whatever the claim.
        folder: Where a copy goes; None for none.
        seconds: How long it may take.
    """

    reason: str = "manual"
    verify: bool = False
    container: str | None = None
    inside: bool = False
    folder: Path | None = None
    seconds: int = 3600

    @property
    def command(self) -> tuple[str, ...]:
        """What is run on the claim."""
        words = ("orchctl", "backup", "create", "--json", "--reason", self.reason)
        return (*words, "--verify") if self.verify else words


@dataclass(frozen=True)
class BackupPlan:
    """How a snapshot is taken.

    Attributes:
        target: `KIND/NAME`.
        container: Which container has the database.
        image: What a Job runs.
        claims: Where the database is.
        pod: The pod it is taken in; "" for a Job.
        node: The node that a Job must be on, since the claim is in use there; "" for any.
        warnings: What to know.
    """

    target: str
    container: str
    image: str
    claims: tuple[str, ...]
    pod: str
    node: str
    warnings: tuple[str, ...]

    @property
    def how(self) -> str:
        """`exec` or `job`."""
        return "exec" if self.pod else "job"


@dataclass(frozen=True)
class BackedUp:
    """A snapshot that was taken.

    Attributes:
        plan: How.
        answer: What `orchctl backup create --json` said: `ok`, `snapshot`.
        copied: Its copy off the claim; None where none was wanted.
        seconds: The whole.
    """

    plan: BackupPlan
    answer: dict[str, Any]
    copied: Copied | None
    seconds: float


def plan_backup(cluster: Cluster, found: Found, wish: BackupWish) -> BackupPlan:
    """Look at everything, and plan; nothing is changed.

    Args:
        cluster: The cluster.
        found: The workload.
        wish: What was asked for.

    Raises:
        UsageError: `bad-target`, `no-such-container`.
        Refused: `no-claim`, `several-databases`, `unfinished-run`, `claim-for-one-pod`.
        ConfigurationError: `copies-not-writable`.
        WorkloadFailed: `no-rights`. As Cluster does.
    """
    _require_workload(found)
    container = chosen_container(found.object, wish.container)
    claims = written_claims(found.kind, found.object, container)
    facts = read_claims(cluster, found.kind, found.object)
    dangers = hazards(found.kind, found.object, facts)
    _require_one_database(found, claims, [one.told for one in dangers if one.id == _SEVERAL])
    alone = any("ReadWriteOncePod" in one.access_modes for one in facts)
    users = [pod for claim in claims for pod in users_of(cluster, claim)]
    inside = wish.inside or (alone and bool(users))
    pod = _running_pod(cluster, found, container, alone=alone) if inside else ""
    require_rights(cluster, _needs(found, inside=inside, copy=wish.folder is not None))
    if wish.folder is not None:
        require_folder(wish.folder)
    node = "" if inside else next((one.node for one in users if one.node), "")
    image = images_of(found.object)[container]
    warnings = tuple(one.told for one in dangers)
    plan = BackupPlan(str(found), container, image, claims, pod, node, warnings)
    if not inside:
        cluster.create(JOB, _job(found, plan, wish, "000000"), dry_run=True)
    return plan


_SEVERAL = "several-databases"


def _require_workload(found: Found) -> None:
    if found.kind not in (DEPLOYMENT, STATEFUL_SET):
        raise UsageError(
            f"A snapshot is taken of a workload's claim, not of {found}",
            code="bad-target",
            hint="deployment/NAME or statefulset/NAME",
        )
    require_no_run(found.kind, found.object)


def _require_one_database(found: Found, claims: tuple[str, ...], several: list[str]) -> None:
    if not claims:
        raise Refused(
            f"{found} has no claim: a snapshot of its database would be lost with its pod",
            code="no-claim",
            state="Nothing was changed",
            hint=f"orchctl doctor --target k8s:{found}",
        )
    if several:
        raise Refused(
            several[0],
            code="several-databases",
            state="Nothing was changed",
            hint="kubectl exec POD -- orchctl backup create, in each",
        )


def _running_pod(cluster: Cluster, found: Found, container: str, *, alone: bool) -> str:
    for pod in map(read_pod, pods_of(cluster, found)):
        if not pod.terminating and _runs(pod, container):
            return pod.name
    why = "its claim is for one pod alone (ReadWriteOncePod)" if alone else "--exec wants that"
    raise Refused(
        f"{found} has no pod that runs to take the snapshot in, and {why}",
        code="claim-for-one-pod",
        state="Nothing was changed",
        hint=f"kubectl scale {found} --replicas=0, and again: a Job has the claim then",
    )


def _runs(pod: PodFacts, container: str) -> bool:
    return any(one.name == container and one.state == "running" for one in pod.containers)


def _needs(found: Found, *, inside: bool, copy: bool) -> tuple[Need, ...]:
    jobs = ("get", "list", "watch", "create", "delete")
    return (
        Need("get", found.kind),
        Need("list", POD),
        Need("get", CLAIM),
        *(Need(verb, LEASE) for verb in ("get", "create", "update", "delete")),
        *(() if inside else (Need("watch", POD), Need("get", POD, "log"))),
        *(() if inside else (Need(verb, JOB) for verb in jobs)),
        *(NEEDS if inside or copy else ()),
    )


def _job(found: Found, plan: BackupPlan, wish: BackupWish, run: str) -> dict[str, Any]:
    name = job_name(found.name, run, "backup")
    work = Work(name, run, plan.container, plan.image, wish.command, wish.seconds, plan.node)
    body = manifest(found.kind, found.object, work)
    body["spec"]["ttlSecondsAfterFinished"] = _KEPT
    return body


def create_backup(
    cluster: Cluster,
    found: Found,
    wish: BackupWish,
    *,
    patience: float = 0.0,
    on_line: Callable[[str], None] = lambda text: None,
) -> BackedUp:
    """Take a snapshot of the database on a workload's claim; the workload goes on meanwhile.

    No run that would stop the workload can begin before it is over, and none may be under way.

    Args:
        cluster: The cluster.
        found: The workload.
        wish: What was asked for.
        patience: Seconds to wait for another run to end.
        on_line: Called with what is waited for, and what is printed.

    Raises:
        LockHeld: `run-under-way`; `lease-lost`: another run may have begun.
        OperationFailed: `snapshot-failed`, `snapshot-not-copied`.
        OrchctlError: As `plan_backup` does.
    """
    began = time.monotonic()
    if unfinished_run(found.object) is None:  # else it is waited for, unless it was killed
        plan_backup(cluster, found, wish)  # what is refused is refused without the Lease
    lease = Lease(cluster, found.kind, found.name)
    lease.take(time.monotonic() + patience)
    cluster = cluster.guarded(lease.check)
    try:
        found = Found(found.kind, cluster.get(found.kind, found.name))
        plan = plan_backup(cluster, found, wish)
        taken = _taken_inside if plan.pod else _taken_by_job
        answer = taken(cluster, found, plan, wish, on_line)
        copied = None
        if wish.folder is not None and answer["ok"]:
            source = Source(cluster, found, plan.container, wish.seconds, on_line, plan.node)
            [copied] = copy_off(source, [answer["snapshot"]], wish.folder)
    finally:
        lease.release()
    return BackedUp(plan, answer, copied, time.monotonic() - began)


def _taken_by_job(
    cluster: Cluster,
    found: Found,
    plan: BackupPlan,
    wish: BackupWish,
    on_line: Callable[[str], None],
) -> dict[str, Any]:
    body = _job(found, plan, wish, secrets.token_hex(3))
    name, deadline = body["metadata"]["name"], time.monotonic() + wish.seconds + _SLACK
    try:
        make_job(cluster, body)
        end = follow_job(cluster, name, deadline=deadline, on_line=on_line)
    except (OrchctlError, KeyboardInterrupt):
        with contextlib.suppress(OrchctlError):  # else it goes by itself, later
            remove_job(cluster, name, deadline=time.monotonic())
        raise
    remove_job(cluster, name, deadline=deadline)
    return _required(end)


def _taken_inside(
    cluster: Cluster,
    found: Found,
    plan: BackupPlan,
    wish: BackupWish,
    on_line: Callable[[str], None],
) -> dict[str, Any]:
    on_line(f"Taking a snapshot in pod/{plan.pod}")
    said = bytearray()
    ended = stream_inside(
        cluster, plan.pod, plan.container, wish.command, said.extend, silence=wish.seconds
    )
    lines = said.decode("utf-8", "replace").splitlines()
    if not lines and ended.code is not None and ended.code > 125:  # what a shell, too, says of it
        raise WorkloadFailed(
            f"orchctl can't be run in container {plan.container} of pod/{plan.pod}: {ended.told}",
            code="no-orchctl-inside",
            state="Nothing was changed",
            hint=f"An image with orchctl in it; or kubectl scale {found} --replicas=0 and again",
        )
    return _required(JobEnd(read_answer(lines), ended.code, tuple(lines[-20:])), ended.told)


def _required(end: JobEnd, told: str = "") -> dict[str, Any]:
    answer = end.answer or {}
    if answer.get("snapshot"):
        return answer
    error = answer.get("error") or {}
    code = "no exit code" if end.exit_code is None else f"exit code {end.exit_code}"
    raise OperationFailed(
        f"The snapshot failed: {error.get('message') or told or code}",
        code="snapshot-failed",
        state="The database is as it was",
        hint=error.get("hint") or "Is orchctl in the image? orchctl k8s logs shows what it says",
        details={"error": error or None, "log": list(end.lines)},
    )
