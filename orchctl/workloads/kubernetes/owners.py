"""Who else decides how many replicas a workload has, and with which image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError
from orchctl.workloads.kubernetes.kinds import Kind, Object, controller_of, name_of

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

AUTOSCALER = Kind("horizontalpodautoscaler", "horizontalpodautoscalers", "autoscaling", "v2")
SCALED_OBJECT = Kind("scaledobject", "scaledobjects", "keda.sh", "v1alpha1")
_KEDA_PAUSED = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")
_ARGO_ID = "argocd.argoproj.io/tracking-id"
_ARGO_LABEL = "argocd.argoproj.io/instance"
_FLUX = (
    ("kustomize.toolkit.fluxcd.io", "kustomization"),
    ("helm.toolkit.fluxcd.io", "helmrelease"),
)


@dataclass(frozen=True)
class Owner:
    """Something that may change the workload in the middle of a run.

    Attributes:
        what: `autoscaler`, `keda`, `argocd`, `flux` or `controller`.
        told: One line for a person.
        hint: How to hold it off.
    """

    what: str
    told: str
    hint: str


def owners(cluster: Cluster, kind: Kind, workload: Object) -> tuple[Owner, ...]:
    """All that would work against a run; what was told to hold still is left out."""
    return (
        *_controllers(kind, workload),
        *_autoscalers(cluster, kind, workload),
        *_keda(cluster, kind, workload),
        *_argo(workload),
        *_flux(workload),
    )


def _controllers(kind: Kind, workload: Object) -> Iterator[Owner]:
    owner = controller_of(workload)
    if owner is not None:
        told = f"{kind.name}/{name_of(workload)} belongs to {owner['kind']} {owner['name']}"
        yield Owner("controller", f"{told}, whose controller may set it back", "Change that one")


def _autoscalers(cluster: Cluster, kind: Kind, workload: Object) -> Iterator[Owner]:
    for one in cluster.every(AUTOSCALER)[0]:
        most = int(one["spec"].get("maxReplicas", 1))
        if most > 1 and _targets(one, kind, workload):
            told = f"HorizontalPodAutoscaler {name_of(one)} may give it {most} replicas"
            yield Owner("autoscaler", told, f"kubectl delete hpa {name_of(one)}")


def _keda(cluster: Cluster, kind: Kind, workload: Object) -> Iterator[Owner]:
    try:
        found = cluster.every(SCALED_OBJECT)[0]
    except OrchctlError as error:
        # Not installed. Who may not look is told 403 whether it is or not.
        if error.code not in ("no-such-object", "no-rights"):
            raise
        return
    for one in found:
        annotations = one["metadata"].get("annotations") or {}
        held = any(annotations.get(key, "false") != "false" for key in _KEDA_PAUSED)
        if not held and _targets(one, kind, workload):
            name = name_of(one)
            yield Owner(
                "keda",
                f"KEDA's ScaledObject {name} scales it",
                f"kubectl annotate scaledobject {name} {_KEDA_PAUSED[0]}=true",
            )


def _targets(scaler: Object, kind: Kind, workload: Object) -> bool:
    target = scaler["spec"].get("scaleTargetRef") or {}
    wanted = (target.get("kind") or "Deployment").lower()
    return bool(wanted == kind.name and target.get("name") == name_of(workload))


def _argo(workload: Object) -> Iterator[Owner]:
    metadata = workload["metadata"]
    found = (metadata.get("annotations") or {}).get(_ARGO_ID) or ""
    name = found.partition(":")[0] or (metadata.get("labels") or {}).get(_ARGO_LABEL)
    if name:
        yield Owner(
            "argocd",
            f"Argo CD's application {name} may set it back to what its repository says",
            f"argocd app set {name} --sync-policy none, then --accept-owner",
        )


def _flux(workload: Object) -> Iterator[Owner]:
    metadata = workload["metadata"]
    for domain, what in _FLUX:
        name = (metadata.get("labels") or {}).get(f"{domain}/name")
        if not name:
            continue
        if (metadata.get("annotations") or {}).get(f"{domain}/reconcile") == "disabled":
            continue
        space = (metadata.get("labels") or {}).get(f"{domain}/namespace", "flux-system")
        yield Owner(
            "flux",
            f"Flux's {what} {name} may set it back to what its repository says",
            f"flux suspend {what} {name} -n {space}, then --accept-owner",
        )
