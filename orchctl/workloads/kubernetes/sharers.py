"""What else has the workload's claims, or may come to have them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD,
    STATEFUL_SET,
    Kind,
    Object,
    belongs_to,
    claims_of,
    controller_of,
    desired,
    name_of,
)
from orchctl.workloads.kubernetes.scale import uses
from orchctl.workloads.kubernetes.unfinished import RUN

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

SNAPSHOTS_LABEL = "orchctl/snapshots"  # on CronJobs that take snapshots alone, their Jobs, pods


def sharers(cluster: Cluster, found: Found, claims: Collection[str]) -> tuple[str, ...]:
    """What would write to a claim beside the workload, `KIND/NAME`.

    A suspended CronJob, a Job that is over and a workload without replicas don't, nor do those
    that take snapshots: see `snapshot_takers`.
    """
    seen = [
        *_pods(cluster, found, claims),
        *_workloads(cluster, found, claims),
        *_jobs(cluster, claims),
        *_cron_jobs(cluster, claims),
    ]
    return tuple(dict.fromkeys(seen))


def _pods(cluster: Cluster, found: Found, claims: Collection[str]) -> Iterator[str]:
    for pod in cluster.every(POD)[0]:
        if not any(uses(pod, claim) for claim in claims):
            continue
        owner = controller_of(pod)
        if belongs_to(pod, found.kind, found.object) or (owner and owner["kind"] == "Job"):
            continue  # Jobs are looked at themselves
        yield f"pod/{name_of(pod)}"


def _workloads(cluster: Cluster, found: Found, claims: Collection[str]) -> Iterator[str]:
    for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        for one in cluster.every(kind)[0]:
            own = one["metadata"]["uid"] == found.object["metadata"]["uid"]
            idle = kind is not DAEMON_SET and desired(kind, one) == 0
            if not own and not idle and _mounts(one, claims):
                yield f"{kind.name}/{name_of(one)}"


def _jobs(cluster: Cluster, claims: Collection[str]) -> Iterator[str]:
    for one in cluster.every(JOB)[0]:
        labels = one["metadata"].get("labels") or {}
        own = RUN in labels or SNAPSHOTS_LABEL in labels
        if not own and not is_over(one) and _mounts(one, claims):
            yield _named(JOB, one)


def _cron_jobs(cluster: Cluster, claims: Collection[str]) -> Iterator[str]:
    for one in _active(cluster, claims):
        if SNAPSHOTS_LABEL not in (one["metadata"].get("labels") or {}):
            yield _named(CRON_JOB, one)


def snapshot_takers(cluster: Cluster, claims: Collection[str]) -> tuple[str, ...]:
    """The names of CronJobs that take snapshots on a claim, and are not suspended."""
    return tuple(
        name_of(one)
        for one in _active(cluster, claims)
        if SNAPSHOTS_LABEL in (one["metadata"].get("labels") or {})
    )


def _active(cluster: Cluster, claims: Collection[str]) -> Iterator[Object]:
    for one in cluster.every(CRON_JOB)[0]:
        if not one["spec"].get("suspend") and _mounts(one["spec"]["jobTemplate"], claims):
            yield one


def stopped_by(other: str) -> str:
    """The command that keeps something from writing.

    Args:
        other: `KIND/NAME`, as `sharers` tells it.
    """
    kind = other.partition("/")[0]
    if kind in (DEPLOYMENT.name, STATEFUL_SET.name):
        return f"kubectl scale {other} --replicas=0"
    if kind == CRON_JOB.name:
        return f'kubectl patch {other} -p \'{{"spec":{{"suspend":true}}}}\''
    return f"kubectl delete {other}"


def _named(kind: Kind, thing: Object) -> str:
    return f"{kind.name}/{name_of(thing)}"


def is_over(job: Object) -> bool:
    """Whether a Job has ended, well or not."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions
    )


def _mounts(workload: Object, claims: Collection[str]) -> bool:
    return not set(claims).isdisjoint(claims_of(workload).values())
