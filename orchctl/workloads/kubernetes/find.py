"""The objects that a target names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError, WorkloadFailed
from orchctl.workloads.kubernetes.kinds import (
    POD,
    ROLLED,
    TARGETED,
    Kind,
    Object,
    belongs_to,
    name_of,
    selector_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchctl.workloads.kubernetes.client import Cluster


@dataclass(frozen=True)
class Found:
    """An object of the cluster that a command is about.

    Attributes:
        kind: Deployment, StatefulSet, DaemonSet or pod.
        object: As the API gave it.
    """

    kind: Kind
    object: Object

    @property
    def name(self) -> str:
        """Its name."""
        return name_of(self.object)

    def __str__(self) -> str:
        return f"{self.kind.name}/{self.name}"


def find(cluster: Cluster, kind: str, name: str) -> Found:
    """One object.

    Raises:
        WorkloadFailed: `no-such-object`, with names that are like it. As Cluster does.
    """
    found = cluster.find(TARGETED[kind], name)
    if found is not None:
        return Found(TARGETED[kind], found)
    near = _near(cluster, TARGETED[kind], name)
    listed = f"kubectl get {TARGETED[kind].plural} -n {cluster.namespace}"
    raise WorkloadFailed(
        f"There is no {kind} {name} in namespace {cluster.namespace}",
        code="no-such-object",
        hint=f"Did you mean {' or '.join(near)}?" if near else f"{listed}; -n names another",
        details={"near": near},
    )


def find_selected(cluster: Cluster, kind: str | None, labels: str) -> list[Found]:
    """Every object with these labels.

    Args:
        cluster: The cluster.
        kind: Only these; None means Deployments, StatefulSets and DaemonSets.
        labels: A label selector.

    Raises:
        WorkloadFailed: `no-such-object`. As Cluster does.
    """
    kinds = ROLLED if kind is None else (TARGETED[kind],)
    found = [Found(one, each) for one in kinds for each in cluster.every(one, labels)[0]]
    if not found:
        what = "workload" if kind is None else kind
        raise WorkloadFailed(
            f"No {what} in namespace {cluster.namespace} has the labels {labels}",
            code="no-such-object",
            hint=f"kubectl get {(kinds[0] if kind else ROLLED[0]).plural} "
            f"-n {cluster.namespace} --show-labels",
        )
    return found


def pods_of(cluster: Cluster, found: Found) -> list[Object]:
    """The pods of a workload, by name; of a pod itself."""
    if found.kind is POD:
        return [found.object]
    every, _ = cluster.every(POD, selector_text(found.object))
    own = [one for one in every if belongs_to(one, found.kind, found.object)]
    return sorted(own, key=name_of)


def _near(cluster: Cluster, kind: Kind, name: str) -> list[str]:
    """What is called like it, of its kind first; what may not be listed is left out."""
    near: list[str] = []
    for one in (kind, *(other for other in TARGETED.values() if other is not kind)):
        try:
            names: Sequence[str] = [name_of(each) for each in cluster.every(one)[0]]
        except OrchctlError:
            continue
        near += [f"{one.name}/{each}" for each in difflib.get_close_matches(name, names, n=2)]
    return near[:3]
