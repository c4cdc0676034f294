"""Scaling a workload, and waiting until nothing has its claim in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from orchctl.errors import TimedOut
from orchctl.workloads.kubernetes.kinds import POD, Kind, Object, claims_of
from orchctl.workloads.kubernetes.pods import PodFacts, read_pod
from orchctl.workloads.kubernetes.watching import Source, picture

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster


def scale(
    cluster: Cluster, kind: Kind, workload: Object, replicas: int, *, dry_run: bool = False
) -> Object:
    """Set the number of replicas, provided that nobody has changed the workload meanwhile.

    Args:
        cluster: The cluster.
        kind: Deployment or StatefulSet.
        workload: As it was looked at; its resourceVersion is the precondition.
        replicas: How many it is to have.
        dry_run: Let the server check it and change nothing.

    Raises:
        WorkloadFailed: `cluster-conflict`: it is not what was looked at any more.
    """
    metadata = workload["metadata"]
    body = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "spec": {"replicas": replicas},
    }
    return cluster.replace(kind, metadata["name"], body, "scale", dry_run=dry_run)


def users_of(cluster: Cluster, claim: str) -> tuple[PodFacts, ...]:
    """The pods that have a claim mounted or are going to, whoever made them."""
    every, _ = cluster.every(POD)
    return tuple(read_pod(one) for one in every if uses(one, claim))


def uses(pod: Object, claim: str) -> bool:
    """Whether a pod mounts a claim and has not ended for good."""
    return claim in claims_of(pod).values() and not read_pod(pod).over


def wait_until_unused(
    cluster: Cluster,
    claim: str,
    *,
    deadline: float,
    on_line: Callable[[str], None] | None = None,
    labels: str = "",
) -> None:
    """Wait until no pod object uses a claim; a pod on a node that is away still does.

    Args:
        cluster: The cluster.
        claim: Its name.
        deadline: A time of the monotonic clock.
        on_line: Called with what is waited for, whenever that changes.
        labels: Only pods that this selector finds count.

    Raises:
        TimedOut: `claim-in-use`, with the pods.
    """
    told = ""
    with picture(cluster, Source(POD, labels=labels)) as kept:
        while True:
            pods = [read_pod(one) for one in kept.objects[0].values() if uses(one, claim)]
            if not pods:
                return
            names = ", ".join(sorted(pod.name for pod in pods))
            if on_line and names != told:
                on_line(f"Waiting for {names} to let go of claim {claim}")
            told = names
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"{names} still uses claim {claim}",
                    code="claim-in-use",
                    hint=f"kubectl describe pod/{pods[0].name}; is its node "
                    f"{pods[0].node or '(none)'} still there?",
                    details={"pods": [pod.name for pod in pods]},
                )
            kept.update(left)
