"""How a workload is: its rollout, its pods, its claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.workloads.kubernetes.find import Found, pods_of
from orchctl.workloads.kubernetes.inside import revision_inside
from orchctl.workloads.kubernetes.kinds import POD, desired, images_of
from orchctl.workloads.kubernetes.pods import PodFacts, read_pod, why_not_ready
from orchctl.workloads.kubernetes.restart import RESTARTED_AT
from orchctl.workloads.kubernetes.rollout import (
    Progress,
    Standstill,
    pods_progress,
    progress_of,
    standstill,
)
from orchctl.workloads.kubernetes.shape import ClaimFacts, Hazard, hazards, read_claims
from orchctl.workloads.kubernetes.unfinished import UnfinishedRun, unfinished_run

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster


@dataclass(frozen=True)
class WorkloadStatus:
    """One workload, or one pod, and all that belongs to it.

    Attributes:
        target: `KIND/NAME`.
        namespace: Where it is.
        progress: How far its rollout is.
        wanted: How many pods it is to have.
        pods: The ones it has.
        images: The image of each container of its template.
        restarted_at: When it was last restarted on purpose, ISO 8601; "" when never.
        claims: What its pods mount.
        hazards: In which ways two of them can write to one database.
        held: Why a change would not reach its pods; None when it would.
        revision: Of the database, as a pod told; "" at base, None when none was asked or could.
        run: An upgrade or a deploy that is not over; None when there is none.
    """

    target: str
    namespace: str
    progress: Progress
    wanted: int
    pods: tuple[PodFacts, ...]
    images: dict[str, str]
    restarted_at: str
    claims: tuple[ClaimFacts, ...]
    hazards: tuple[Hazard, ...]
    held: Standstill | None
    revision: str | None = None
    run: UnfinishedRun | None = None

    @property
    def good(self) -> bool:
        """Whether all that should be there is there and ready, and no run has it in hand."""
        if self.run is not None:
            return False
        ready = sum(pod.ready and not pod.terminating for pod in self.pods)
        held = self.held is not None and ready >= self.wanted
        return (self.progress.done or held) and ready >= self.wanted


def read_status(cluster: Cluster, found: Found, *, ask_pods: bool = False) -> WorkloadStatus:
    """Look at a workload or a pod.

    Args:
        cluster: The cluster.
        found: The workload or pod.
        ask_pods: Run `orchctl current` in a ready pod, for its database's revision.

    Raises:
        OrchctlError: As Cluster does.
    """
    pods = tuple(read_pod(one) for one in pods_of(cluster, found))
    claims = read_claims(cluster, found.kind, found.object)
    if found.kind is POD:
        pod, why = pods[0], why_not_ready(pods[0])
        told = f"pod {pod.name!r} is ready" if pod.ready and not why else f"not ready: {why}"
        progress, wanted, at = Progress(pod.ready, told), 1, ""
        held = None
    else:
        wanted = desired(found.kind, found.object)
        progress = progress_of(found.kind, found.object)
        held = standstill(found.kind, found.object)
        if held is None:
            progress = pods_progress(progress, pods, wanted, "", ())
        annotations = found.object["spec"]["template"].get("metadata", {}).get("annotations") or {}
        at = annotations.get(RESTARTED_AT, "")
    return WorkloadStatus(
        str(found),
        found.object["metadata"].get("namespace", cluster.namespace),
        progress,
        wanted,
        pods,
        images_of(found.object),
        at,
        claims,
        hazards(found.kind, found.object, claims),
        held,
        revision_inside(cluster, pods) if ask_pods else None,
        None if found.kind is POD else unfinished_run(found.object),
    )
