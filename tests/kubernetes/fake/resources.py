"""The kinds of object the server knows, by group, version and plural."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind: `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    scale: bool = False
    # Whether metadata.generation is kept; of the built-in kinds not all do.
    generation: bool = False
    # Kinds of a CustomResourceDefinition have no strategic merge: nobody knows their lists' keys.
    custom: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: deployments.apps, pods."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def prefix(self) -> str:
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"


PODS = Resource("", "v1", "pods", "Pod", short=("po",), generation=True)
SERVICES = Resource("", "v1", "services", "Service", short=("svc",))
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short=("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",))
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", False, ("pv",))
EVENTS = Resource("", "v1", "events", "Event", short=("ev",))
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False, ("ns",))
NODES = Resource("", "v1", "nodes", "Node", False, ("no",))
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",))
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", short=("deploy",), scale=True, generation=True
)
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", short=("rs",), scale=True, generation=True
)
STATEFUL_SETS = Resource(
    "apps", "v1", "statefulsets", "StatefulSet", short=("sts",), scale=True, generation=True
)
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet", short=("ds",), generation=True)
REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
JOBS = Resource("batch", "v1", "jobs", "Job", generation=True)
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob", short=("cj",), generation=True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
AUTOSCALERS = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",)
)
BUDGETS = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), generation=True
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
CLUSTER_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False
)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, ("sc",))

BUILT_IN = (
    PODS,
    SERVICES,
    CONFIG_MAPS,
    SECRETS,
    CLAIMS,
    VOLUMES,
    EVENTS,
    NAMESPACES,
    NODES,
    ACCOUNTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REVISIONS,
    JOBS,
    CRON_JOBS,
    LEASES,
    AUTOSCALERS,
    BUDGETS,
    ROLES,
    BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_BINDINGS,
    STORAGE_CLASSES,
)


@dataclass
class Registry:
    """The kinds one server serves: the built-in ones and those put in."""

    known: list[Resource] = field(default_factory=lambda: list(BUILT_IN))

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        for resource in self.known:
            if (resource.group, resource.version, resource.plural) == (group, version, plural):
                return resource
        return None

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        for resource in self.known:
            if (resource.api_version, resource.kind) == (api_version, kind):
                return resource
        return None

    def groups(self) -> dict[str, list[Resource]]:
        """Group and version (apps/v1) to its kinds, the core group left out."""
        found: dict[str, list[Resource]] = {}
        for resource in self.known:
            if resource.group:
                found.setdefault(resource.api_version, []).append(resource)
        return found
