"""The Job that does one thing to the database while nothing else has its claim. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchctl.errors import UsageError
from orchctl.workloads.kubernetes.kinds import (
    DEFAULT_CONTAINER,
    Kind,
    Object,
    images_of,
    template_of,
    volume_claims,
)
from orchctl.workloads.kubernetes.unfinished import RUN

_LONGEST_NAME = 63 - len("-restore-2-xxxxx")  # a Job's pods carry its name as a label
# What the Job's pod has in common with the service's: who it is, where it may run, what it sees.
_OF_POD = (
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostUsers",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "tolerations",
)
_OF_CONTAINER = (
    "env",
    "envFrom",
    "imagePullPolicy",
    "resources",
    "securityContext",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
)


@dataclass(frozen=True)
class Work:
    """What a Job is to do.

    Attributes:
        name: Of the Job.
        run: Of which run it is.
        container: The container of the workload that it stands in for.
        image: What it runs.
        command: Its words.
        seconds: How long it may take.
        node: Where it must run, beside the pod that has the claim; "" leaves that to the cluster.
    """

    name: str
    run: str
    container: str
    image: str
    command: tuple[str, ...]
    seconds: int
    node: str = ""


def chosen_container(workload: Object, wanted: str | None) -> str:
    """The container that has the database.

    Args:
        workload: The workload.
        wanted: As typed; None takes the default container, else the only one.

    Raises:
        UsageError: `no-such-container`.
    """
    names = [one["name"] for one in template_of(workload)["containers"]]
    annotations = workload["spec"]["template"].get("metadata", {}).get("annotations") or {}
    chosen = wanted or annotations.get(DEFAULT_CONTAINER) or (names[0] if len(names) == 1 else None)
    if chosen not in names:
        raise UsageError(
            f"Which container has the database is not clear: {', '.join(names)}"
            if chosen is None
            else f"There is no container {chosen}",
            code="no-such-container",
            hint=f"--container {' or '.join(names)}",
        )
    return str(chosen)


def new_images(workload: Object, container: str, image: str) -> dict[str, str]:
    """The new image for the container and for all that run the same one (an init container)."""
    now = images_of(workload)
    return {name: image for name, each in now.items() if each == now[container]}


def job_name(workload: str, run: str, what: str) -> str:
    """The name of a run's Job."""
    return f"{workload[: _LONGEST_NAME - len(run) - len(what) - 2].rstrip('-.')}-{run}-{what}"


def manifest(kind: Kind, workload: Object, work: Work) -> Object:
    """The Job: the service's pod with another command, its claims mounted, tried once.

    It has none of the labels by which a Service or the workload itself finds pods.

    Args:
        kind: Of the workload.
        workload: The workload.
        work: What the Job is to do.
    """
    spec = template_of(workload)
    container = next(one for one in spec["containers"] if one["name"] == work.container)
    labels = {"app.kubernetes.io/managed-by": "orchctl", RUN: work.run}
    pod: Object = {key: spec[key] for key in _OF_POD if key in spec}
    pod |= _beside(spec, work.node) if work.node else {}
    pod["restartPolicy"] = "Never"
    mounted = [one["name"] for one in container.get("volumeMounts", ())]
    pod["volumes"] = _volumes(spec, volume_claims(kind, workload), mounted)
    pod["containers"] = [
        {
            "name": work.container,
            "image": work.image,
            "command": list(work.command),
            **{key: container[key] for key in _OF_CONTAINER if key in container},
        }
    ]
    # A sidecar put in by a mesh would keep the Job from ever ending.
    told = {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": work.name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": work.seconds,
            "template": {"metadata": {"labels": labels, "annotations": told}, "spec": pod},
        },
    }


def _beside(spec: Object, node: str) -> Object:
    """What binds a pod to a node, a cordoned one too, without getting round the scheduler."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    cordoned = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "tolerations": [*(spec.get("tolerations") or ()), cordoned],
    }


def _volumes(spec: Object, claims: dict[str, str], mounted: Iterable[str]) -> list[Object]:
    own = {one["name"]: one for one in spec.get("volumes", ())}
    own |= {
        volume: {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in claims.items()
    }
    return [own[name] for name in dict.fromkeys(mounted) if name in own]


def read_answer(lines: Sequence[str]) -> dict[str, Any] | None:
    """The last JSON object in what `orchctl … --json` printed; None when there is none."""
    decoder = json.JSONDecoder()
    for number in range(len(lines) - 1, -1, -1):
        if not lines[number].startswith("{"):
            continue
        try:
            found, _ = decoder.raw_decode("\n".join(lines[number:]))
        except ValueError:
            continue
        if isinstance(found, dict) and ("ok" in found or "error" in found):
            return found
    return None
