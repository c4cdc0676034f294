"""What the server fills into pods and pod templates."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.fake.moments import suffix
from tests.kubernetes.fake.resources import Json

_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_EVICTED_AFTER = 300


def fill_template(template: Json) -> None:
    """Defaults of a pod template, as they show in its Deployment."""
    template.setdefault("metadata", {})
    fill_pod_spec(template.setdefault("spec", {}))


def fill_pod_spec(spec: Json) -> None:
    for volume in spec.get("volumes") or []:
        _fill_volume(volume)
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or []:
            fill_container(container)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if name := spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", name)


def _fill_volume(volume: Json) -> None:
    for kind in ("secret", "configMap", "projected"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")


def fill_container(container: Json) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _pull_policy(container.get("image", "")))
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for probe in _PROBES:
        if probe in container:
            _fill_probe(container[probe])
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")


def _pull_policy(image: str) -> str:
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if colon and tag != "latest" else "Always"


def _fill_probe(probe: Json) -> None:
    if "httpGet" in probe:
        probe["httpGet"].setdefault("scheme", "HTTP")
        probe["httpGet"].setdefault("path", "/")
    defaults = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1}
    for key, value in {**defaults, "failureThreshold": 3}.items():
        probe.setdefault(key, value)


def admit_pod(pod: Json) -> None:
    """What admission adds to a pod alone: account, token volume, tolerations, priority."""
    spec = pod["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    if spec.get("automountServiceAccountToken", True):
        _mount_token(spec)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(each.get("key") == key for each in tolerations):
            tolerations.append(_toleration(key))
    spec.setdefault("priority", 0)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    pod["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _toleration(key: str) -> Json:
    return {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": _EVICTED_AFTER,
    }


def _mount_token(spec: Json) -> None:
    name = f"kube-api-access-{suffix()}"
    reference = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources: list[Any] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": certificate},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": reference}]}},
    ]
    volume = {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
    spec["volumes"] = [*(spec.get("volumes") or []), volume]
    mount = {"name": name, "readOnly": True, "mountPath": _ACCOUNT_PATH}
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or []:
            container["volumeMounts"] = [*(container.get("volumeMounts") or []), dict(mount)]


def _quality(spec: Json) -> str:
    resources = [each.get("resources") or {} for each in spec["containers"]]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    limited = all(
        {"cpu", "memory"} <= set(each.get("limits") or {})
        and (each.get("requests") or each["limits"]) == each["limits"]
        for each in resources
    )
    return "Guaranteed" if limited else "Burstable"
