"""A workload of a cluster to examine: what the API says of it, and where its database is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError
from orchctl.workloads.kubernetes.kinds import (
    DEFAULT_CONTAINER,
    POD,
    Object,
    template_of,
    volume_claims,
)
from orchctl.workloads.kubernetes.status import WorkloadStatus, read_status

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.find import Found

_VARIABLES = ("ORCHCTL_URL", "DATABASE_URL")  # as `orchctl run` in the container reads them


@dataclass(frozen=True)
class ClusterPatient:
    """A workload to examine.

    Attributes:
        cluster: Its cluster.
        found: The workload, or a pod.
        status: Its rollout, pods and claims.
        container: The one with the database, as its template has it; None where that is not clear.
        inside: The database as the container sees it; None where its variables don't say.
    """

    cluster: Cluster
    found: Found
    status: WorkloadStatus
    container: Object | None
    inside: PurePosixPath | None

    @property
    def name(self) -> str:
        """As a target is written."""
        return f"k8s:{self.status.namespace}/{self.found}"

    @property
    def place(self) -> str:
        """As kubectl and `orchctl k8s` take it."""
        return f"{self.found} -n {self.status.namespace}"

    @property
    def spec(self) -> Object:
        """Of its pods."""
        return template_of(self.found.object)

    @property
    def claims(self) -> dict[str, str]:
        """The claims of its pod, by volume."""
        return volume_claims(self.found.kind, self.found.object)

    def patch(self, spec: str) -> str:
        """The command that changes its template's spec.

        Args:
            spec: JSON.
        """
        if self.found.kind is POD:
            return f"In what makes {self.found}: spec {spec}"
        told = f'{{"spec":{{"template":{{"spec":{spec}}}}}}}'
        return f"kubectl patch {self.place} -p '{told}'"


def cluster_patient(cluster: Cluster, found: Found) -> ClusterPatient:
    """Look at a workload; raises as Cluster does."""
    status = read_status(cluster, found)
    every = template_of(found.object).get("containers") or []
    named = [(one, path) for one in every if (path := _database(one))]
    if named:
        return ClusterPatient(cluster, found, status, *named[0])
    annotations = _template_metadata(found.object).get("annotations") or {}
    chosen = [one for one in every if one["name"] == annotations.get(DEFAULT_CONTAINER)]
    alone = every if len(every) == 1 else []
    return ClusterPatient(cluster, found, status, next(iter(chosen or alone), None), None)


def _template_metadata(workload: Object) -> Object:
    template = workload["spec"].get("template")
    metadata: Object = (workload if template is None else template).get("metadata") or {}
    return metadata


def _database(container: Object) -> PurePosixPath | None:
    variables = {one["name"]: one.get("value", "") for one in container.get("env") or ()}
    for name in _VARIABLES:
        url = variables.get(name, "")
        try:
            if is_sqlite(url):
                return PurePosixPath(locate(url, Path(container.get("workingDir") or "/")))
        except ConfigurationError:  # in memory, or no URL
            continue
    return None
