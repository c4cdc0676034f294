"""Workloads that tests begin with, as small as they can be."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

IMAGE = "localhost/web:v1"


def template(name: str, image: str = IMAGE, **spec: Any) -> Json:
    """A pod template with one container called web."""
    container: Json = {"name": "web", "image": image}
    pod: Json = {"terminationGracePeriodSeconds": 2, "containers": [container], **spec}
    return {"metadata": {"labels": {"app": name}}, "spec": pod}


def deployment(name: str, replicas: int = 1, image: str = IMAGE, **spec: Any) -> Json:
    """A Deployment; `spec` is put over its own."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
            **spec,
        },
    }


def stateful_set(name: str, replicas: int = 1, image: str = IMAGE, **spec: Any) -> Json:
    """A StatefulSet with a claim called data, mounted at /data."""
    pod = template(name, image)
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod,
            "volumeClaimTemplates": [claim],
            **spec,
        },
    }


def daemon_set(name: str, image: str = IMAGE, **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
            **spec,
        },
    }


def job(name: str, command: list[str], claim: str = "", **spec: Any) -> Json:
    """A Job that runs `command` once, with a claim mounted at /data where one is named."""
    container: Json = {"name": "c", "image": "localhost/busybox:1", "command": command}
    pod: Json = {"restartPolicy": "Never", "containers": [container]}
    if claim:
        container["volumeMounts"] = [{"name": "d", "mountPath": "/data"}]
        pod["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}, **spec},
    }
