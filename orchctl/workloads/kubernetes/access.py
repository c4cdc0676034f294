"""What the user may do, asked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import WorkloadFailed
from orchctl.workloads.kubernetes.refusal import as_kubectl_names, grant

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.kinds import Kind


@dataclass(frozen=True)
class Need:
    """A right that will be needed.

    Attributes:
        verb: `get`, `list`, `watch`, `create`, `patch`, `update` or `delete`.
        kind: Of what.
        sub: Subresource: `scale`, `log`.
    """

    verb: str
    kind: Kind
    sub: str = ""

    def __str__(self) -> str:
        sub = f"/{self.sub}" if self.sub else ""
        group = f".{self.kind.group}" if self.kind.group else ""
        return f"{self.verb} {self.kind.plural}{sub}{group}"


def missing_rights(cluster: Cluster, needs: Iterable[Need]) -> tuple[Need, ...]:
    """Which of these rights the user lacks in the cluster's namespace; raises as Cluster does."""
    return tuple(one for one in needs if not _allowed(cluster, one))


def require_rights(cluster: Cluster, needs: Iterable[Need], user: str = "USER") -> None:
    """Ask for all rights that will be needed.

    Raises:
        WorkloadFailed: `no-rights`, with all that are missing.
    """
    missing = missing_rights(cluster, needs)
    if not missing:
        return
    first = missing[0]
    sub = f"/{first.sub}" if first.sub else ""
    resource = as_kubectl_names(first.kind.plural + sub, first.kind.group)
    raise WorkloadFailed(
        f"Not allowed in namespace {cluster.namespace}: {', '.join(map(str, missing))}",
        code="no-rights",
        state="Nothing was changed",
        hint=grant(user, (first.verb,), resource, cluster.namespace)
        + (", and so on; orchctl k8s manifests --with rbac has all" if len(missing) > 1 else ""),
        details={"missing": [str(one) for one in missing]},
    )


def _allowed(cluster: Cluster, need: Need) -> bool:
    attributes = {
        "namespace": cluster.namespace,
        "verb": need.verb,
        "group": need.kind.group,
        "resource": need.kind.plural,
    }
    if need.sub:
        attributes["subresource"] = need.sub
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(cluster.review(body)["status"].get("allowed"))
