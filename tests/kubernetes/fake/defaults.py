"""What the server fills into new and changed objects, and the status they begin with."""

from __future__ import annotations

from collections.abc import Callable

from tests.kubernetes.fake.moments import new_uid, stamp
from tests.kubernetes.fake.pod_defaults import admit_pod, fill_pod_spec, fill_template
from tests.kubernetes.fake.resources import Json

# Values that say no more than their absence are left out of answers.
_LEFT_OUT = {"paused": False, "minReadySeconds": 0}


def fill(kind: str, body: Json) -> None:
    """Defaults that hold for created and changed objects alike."""
    spec = body.get("spec") or {}
    for key, nothing in _LEFT_OUT.items():
        if key in spec and spec[key] == nothing:
            del spec[key]
    if kind in _FILL:
        _FILL[kind](body)


def begin(kind: str, body: Json) -> None:
    """What only a new object gets; its status is the server's, whatever was sent."""
    if kind in _STATUS:
        body["status"] = _STATUS[kind]()
    if kind == "Pod":
        admit_pod(body)
    elif kind == "Job":
        _select_job_pods(body)
    elif kind == "Namespace":
        _begin_namespace(body)
    elif kind == "PersistentVolumeClaim":
        _protect(body, "kubernetes.io/pvc-protection")
        body["spec"].setdefault("storageClassName", "standard")
    elif kind == "PersistentVolume":
        _protect(body, "kubernetes.io/pv-protection")
    elif kind == "DaemonSet":
        annotations = body["metadata"].setdefault("annotations", {})
        annotations["deprecated.daemonset.template.generation"] = "1"


def _begin_namespace(body: Json) -> None:
    labels = body["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = body["metadata"]["name"]
    body["spec"] = {"finalizers": ["kubernetes"]}


def _protect(body: Json, finalizer: str) -> None:
    finalizers = body["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)


def _select_job_pods(body: Json) -> None:
    # The Job's uid is in its own selector, so it is made before the store would make it.
    meta, spec = body["metadata"], body["spec"]
    meta["uid"] = new_uid()
    labels = spec["template"]["metadata"].setdefault("labels", {})
    if not spec.get("manualSelector"):
        uid, name = meta["uid"], meta["name"]
        for prefix in ("batch.kubernetes.io/", ""):
            labels[f"{prefix}controller-uid"] = uid
            labels[f"{prefix}job-name"] = name
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        spec["manualSelector"] = False
    if not meta.get("labels"):
        meta["labels"] = dict(labels)


def _fill_pod(body: Json) -> None:
    fill_pod_spec(body.setdefault("spec", {}))


def _fill_deployment(body: Json) -> None:
    spec = body["spec"]
    spec.setdefault("replicas", 1)
    fill_template(spec["template"])
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def _fill_replica_set(body: Json) -> None:
    body["spec"].setdefault("replicas", 1)
    fill_template(body["spec"].setdefault("template", {}))


def _fill_stateful_set(body: Json) -> None:
    spec = body["spec"]
    spec.setdefault("replicas", 1)
    fill_template(spec["template"])
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        claim["spec"].setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {"phase": "Pending"})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    policy.setdefault("whenDeleted", "Retain")
    policy.setdefault("whenScaled", "Retain")


def _fill_daemon_set(body: Json) -> None:
    spec = body["spec"]
    fill_template(spec["template"])
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)


def _fill_job(body: Json) -> None:
    _fill_job_spec(body["spec"])


def _fill_job_spec(spec: Json) -> None:
    spec.setdefault("parallelism", 1)
    if "completions" not in spec:
        spec["completions"] = 1
    spec.setdefault("backoffLimit", 6)
    fill_template(spec["template"])
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")


def _fill_cron_job(body: Json) -> None:
    spec = body["spec"]
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    spec["jobTemplate"].setdefault("metadata", {})
    fill_template(spec["jobTemplate"]["spec"]["template"])


def _fill_claim(body: Json) -> None:
    body["spec"].setdefault("volumeMode", "Filesystem")


def _fill_volume(body: Json) -> None:
    body["spec"].setdefault("persistentVolumeReclaimPolicy", "Retain")
    body["spec"].setdefault("volumeMode", "Filesystem")


def _fill_service(body: Json) -> None:
    spec = body.setdefault("spec", {})
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("clusterIP", "10.96.0.10")
    spec.setdefault("internalTrafficPolicy", "Cluster")


def _fill_autoscaler(body: Json) -> None:
    body["spec"].setdefault("minReplicas", 1)


def _fill_secret(body: Json) -> None:
    body.setdefault("type", "Opaque")


_FILL: dict[str, Callable[[Json], None]] = {
    "Pod": _fill_pod,
    "Deployment": _fill_deployment,
    "ReplicaSet": _fill_replica_set,
    "StatefulSet": _fill_stateful_set,
    "DaemonSet": _fill_daemon_set,
    "Job": _fill_job,
    "CronJob": _fill_cron_job,
    "PersistentVolumeClaim": _fill_claim,
    "PersistentVolume": _fill_volume,
    "Service": _fill_service,
    "HorizontalPodAutoscaler": _fill_autoscaler,
    "Secret": _fill_secret,
}

_STATUS: dict[str, Callable[[], Json]] = {
    "Namespace": lambda: {"phase": "Active"},
    "Deployment": dict,
    "ReplicaSet": lambda: {"replicas": 0},
    "StatefulSet": lambda: {"replicas": 0, "availableReplicas": 0},
    "DaemonSet": lambda: {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    },
    "Job": dict,
    "CronJob": dict,
    "Service": lambda: {"loadBalancer": {}},
    "PersistentVolumeClaim": lambda: {"phase": "Pending"},
    "PersistentVolume": lambda: {"phase": "Pending", "lastPhaseTransitionTime": stamp()},
    "HorizontalPodAutoscaler": lambda: {"currentMetrics": None, "desiredReplicas": 0},
    "PodDisruptionBudget": lambda: {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
}
