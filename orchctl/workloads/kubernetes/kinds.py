"""The kinds of objects that are asked for, and where the API has them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

# The annotation of a pod that names the container which is meant where none is named.
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        name: As kubectl writes it before a slash: `statefulset`.
        plural: As it stands in paths.
        group: Its API group; "" for the core.
        version: Of the group.
    """

    name: str
    plural: str
    group: str = ""
    version: str = "v1"

    @property
    def resource(self) -> str:
        """As kubectl and the API's messages write it: `statefulsets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str = "", sub: str = "") -> str:
        """Where it is: the collection, one object, or a subresource of one."""
        front = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace else ""
        back = "".join(f"/{part}" for part in (name, sub) if part)
        return f"{front}{within}/{self.plural}{back}"


POD = Kind("pod", "pods")
EVENT = Kind("event", "events")
CLAIM = Kind("persistentvolumeclaim", "persistentvolumeclaims")
DEPLOYMENT = Kind("deployment", "deployments", "apps")
STATEFUL_SET = Kind("statefulset", "statefulsets", "apps")
DAEMON_SET = Kind("daemonset", "daemonsets", "apps")
REPLICA_SET = Kind("replicaset", "replicasets", "apps")
CONTROLLER_REVISION = Kind("controllerrevision", "controllerrevisions", "apps")
JOB = Kind("job", "jobs", "batch")
CRON_JOB = Kind("cronjob", "cronjobs", "batch")
LEASE = Kind("lease", "leases", "coordination.k8s.io")
NAMESPACE = Kind("namespace", "namespaces")

ROLLED = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
TARGETED = {kind.name: kind for kind in (*ROLLED, POD)}


def selector_text(workload: Object) -> str:
    """The label selector of a workload's pods, as a query has it."""
    selector = workload["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for rule in selector.get("matchExpressions", ()):
        key, values = rule["key"], ",".join(rule.get("values", ()))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(forms[rule["operator"]])
    return ",".join(parts)


def controller_of(thing: Object) -> Object | None:
    """The reference to what controls an object; None when nothing does."""
    owners = thing["metadata"].get("ownerReferences", ())
    return next((one for one in owners if one.get("controller")), None)


def belongs_to(pod: Object, kind: Kind, workload: Object) -> bool:
    """Whether a pod is one of the workload's, and not merely labelled like one."""
    owner = controller_of(pod)
    if owner is None:
        return False
    if kind is not DEPLOYMENT:
        return bool(owner["uid"] == workload["metadata"]["uid"])
    # A ReplicaSet's name is the Deployment's and the hash that its pods carry as a label.
    part = pod["metadata"].get("labels", {}).get("pod-template-hash", "")
    return bool(owner["kind"] == "ReplicaSet" and owner["name"] == f"{name_of(workload)}-{part}")


def name_of(thing: Object) -> str:
    """Its name."""
    return str(thing["metadata"]["name"])


def template_of(workload: Object) -> Object:
    """The spec of a workload's pods (of a pod: its own)."""
    spec: Object = workload["spec"]
    return dict(spec["template"]["spec"]) if "template" in spec else spec


def images_of(workload: Object) -> dict[str, str]:
    """The image of every container, by the container's name; init containers too."""
    spec = template_of(workload)
    every = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    return {one["name"]: one.get("image", "") for one in every}


def desired(kind: Kind, workload: Object) -> int:
    """How many pods the workload is to have."""
    if kind is DAEMON_SET:
        return int(workload.get("status", {}).get("desiredNumberScheduled", 0))
    replicas = workload["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def claims_of(workload: Object) -> dict[str, str]:
    """The claims that every pod of the template mounts together: claim by volume name."""
    return {
        one["name"]: one["persistentVolumeClaim"]["claimName"]
        for one in template_of(workload).get("volumes", ())
        if "persistentVolumeClaim" in one
    }


def volume_claims(kind: Kind, workload: Object) -> dict[str, str]:
    """The claims of the workload's only pod, those of a StatefulSet's templates too, by volume."""
    found = claims_of(workload)
    if kind is STATEFUL_SET:
        first = int((workload["spec"].get("ordinals") or {}).get("start", 0))
        for one in workload["spec"].get("volumeClaimTemplates") or ():
            volume = one["metadata"]["name"]
            found[volume] = f"{volume}-{name_of(workload)}-{first}"
    return found


def written_claims(kind: Kind, workload: Object, container: str) -> tuple[str, ...]:
    """Of those claims the ones that a container can write to: no other has its database."""
    spec = template_of(workload)
    mounts = [
        mount
        for one in spec["containers"]
        if one["name"] == container
        for mount in one.get("volumeMounts", ())
    ]
    writable = {one["name"] for one in mounts if not one.get("readOnly")}
    for volume in spec.get("volumes", ()):
        if (volume.get("persistentVolumeClaim") or {}).get("readOnly"):
            writable.discard(volume["name"])
    every = volume_claims(kind, workload)
    return tuple(dict.fromkeys(every[name] for name in every if name in writable))
