"""How far a rollout is, from the workload and its pods. Pure.

The same questions as `kubectl rollout status` asks
(https://github.com/kubernetes/kubectl: pkg/polymorphichelpers/rollout_status.go), and one more: a
status says nothing of pods that are still on their way out, so these are looked for themselves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchctl.workloads.kubernetes.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    STATEFUL_SET,
    Kind,
    Object,
    desired,
    name_of,
)
from orchctl.workloads.kubernetes.pods import PodFacts, why_not_ready
from orchctl.workloads.kubernetes.unfinished import unfinished_run


@dataclass(frozen=True)
class Progress:
    """How far a rollout is.

    Attributes:
        done: Whether it is complete.
        told: One line for a person, as kubectl words it.
        stuck: Why it will not go on by itself (`ProgressDeadlineExceeded`, with its message).
    """

    done: bool
    told: str
    stuck: str = ""


@dataclass(frozen=True)
class Standstill:
    """Why a change of the template changes no pod, or not every pod.

    Attributes:
        reason: `paused`, `on-delete`, `partition` or `zero-replicas`.
        told: One line for a person.
        hint: What to type.
        whole: Whether no pod at all is changed.
    """

    reason: str
    told: str
    hint: str
    whole: bool = True


def standstill(kind: Kind, workload: Object) -> Standstill | None:
    """Why a workload would not roll, or not wholly; None when it does."""
    name, spec = f"{kind.name}/{name_of(workload)}", workload["spec"]
    strategy = spec.get("updateStrategy") or {}
    if kind is DEPLOYMENT and spec.get("paused"):
        hint = f"kubectl rollout resume {name}"
        return Standstill("paused", f"{name} is paused: its pods stay as they are", hint)
    if strategy.get("type") == "OnDelete":
        told = f"{name} has updateStrategy OnDelete: its pods change when they are deleted"
        hint = "orchctl k8s restart pod/NAME, one pod after the other"
        return Standstill("on-delete", told, hint)
    if desired(kind, workload) == 0:
        told = f"{name} has no replicas: there is nothing to wait for"
        run = unfinished_run(workload)
        # In the middle of a run, to start it by hand would put a second writer beside its Job.
        hint = run.hint(name) if run else f"kubectl scale {name} --replicas=1"
        return Standstill("zero-replicas", told, hint)
    partition = partition_of(workload)
    if kind is STATEFUL_SET and partition:
        held = min(partition, desired(kind, workload))
        told = f"{name} has partition {partition}: {held} of its pods stay as they are"
        hint = "updateStrategy.rollingUpdate.partition: 0 lets them change too"
        whole = partition >= desired(kind, workload)
        return Standstill("partition", told, hint, whole)
    return None


def partition_of(workload: Object) -> int:
    """Below which ordinal a StatefulSet's pods are left as they are."""
    strategy = workload["spec"].get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def observed(workload: Object) -> bool:
    """Whether the controller has seen the present spec."""
    generation = workload["metadata"].get("generation", 0)
    return int(workload.get("status", {}).get("observedGeneration", 0)) >= int(generation)


def progress_of(kind: Kind, workload: Object) -> Progress:
    """How far the controller says it is; pods on their way out are not among what it counts."""
    if not observed(workload):
        return Progress(False, f"Waiting for {kind.name} spec update to be observed")
    if kind is DEPLOYMENT:
        return _deployment(workload)
    return _stateful_set(workload) if kind is STATEFUL_SET else _daemon_set(workload)


def _deployment(workload: Object) -> Progress:
    status, name = workload.get("status", {}), name_of(workload)
    wanted = desired(DEPLOYMENT, workload)
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    for one in status.get("conditions") or ():
        if one["type"] == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            told = f"deployment {name!r} exceeded its progress deadline"
            return Progress(False, told, f"{one['reason']}: {one.get('message', '')}")
    if updated < wanted:
        return _waiting("deployment", name, f"{updated} of {wanted} new replicas have been updated")
    if replicas > updated:
        return _waiting(
            "deployment", name, f"{replicas - updated} old replicas are pending termination"
        )
    if available < updated:
        return _waiting(
            "deployment", name, f"{available} of {updated} updated replicas are available"
        )
    return Progress(True, f"deployment {name!r} successfully rolled out")


def _stateful_set(workload: Object) -> Progress:
    status, name = workload.get("status", {}), name_of(workload)
    wanted, partition = desired(STATEFUL_SET, workload), partition_of(workload)
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    if ready < wanted:
        return Progress(False, f"Waiting for {wanted - ready} pods to be ready")
    if partition:
        if updated < wanted - partition:
            told = f"{updated} out of {wanted - partition} new pods have been updated"
            return Progress(False, f"Waiting for partitioned roll out to finish: {told}")
    elif status.get("updateRevision") != status.get("currentRevision"):
        told = f"{updated} pods at revision {status.get('updateRevision')}"
        return Progress(False, f"Waiting for statefulset rolling update to complete {told}")
    # A cluster before 1.22 says nothing of availability.
    available = status.get(
        "availableReplicas", 0 if "minReadySeconds" in workload["spec"] else ready
    )
    if available < wanted:
        return Progress(False, f"Waiting for {wanted - available} pods to be available")
    return Progress(True, f"statefulset {name!r} rolling update complete")


def _daemon_set(workload: Object) -> Progress:
    status, name = workload.get("status", {}), name_of(workload)
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = (
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
    )
    if updated < wanted:
        return _waiting("daemon set", name, f"{updated} out of {wanted} new pods have been updated")
    if available < wanted:
        return _waiting("daemon set", name, f"{available} of {wanted} updated pods are available")
    return Progress(True, f"daemon set {name!r} successfully rolled out")


def _waiting(kind: str, name: str, told: str) -> Progress:
    return Progress(False, f"Waiting for {kind} {name!r} rollout to finish: {told}")


def pods_progress(
    progress: Progress,
    pods: Collection[PodFacts],
    wanted: int,
    current: str,
    before: Collection[str],
) -> Progress:
    """Whether the pods themselves bear out what the status says.

    Args:
        progress: What the status says.
        pods: All pods of the workload.
        wanted: How many are to be replaced and ready.
        current: The hash of the template; "" where nothing tells.
        before: The uids of pods that must be gone.
    """
    if not progress.done:
        return progress
    there = [pod for pod in pods if not pod.over]
    old = [pod for pod in there if pod.uid in before or pod.terminating]
    if not old and current:
        old = [pod for pod in there if pod.revision != current]
    if old:
        names = ", ".join(sorted(pod.name for pod in old)[:3])
        many = "1 old pod" if len(old) == 1 else f"{len(old)} old pods"
        return Progress(False, f"Waiting for {many} to be gone: {names}")
    ready = [pod for pod in there if pod.ready]
    if len(ready) < wanted:
        why = next((f": {pod.name}: {why_not_ready(pod)}" for pod in there if not pod.ready), "")
        return Progress(False, f"Waiting for {wanted - len(ready)} pods to be ready{why}")
    return progress


def current_revision(kind: Kind, workload: Object, histories: Collection[Object]) -> str:
    """The hash that pods of the present template carry; "" where nothing tells.

    Args:
        kind: Of the workload.
        workload: The workload, its present spec observed.
        histories: A Deployment's ReplicaSets, a DaemonSet's ControllerRevisions; not needed for a
            StatefulSet, whose status says it.
    """
    if kind is STATEFUL_SET:
        return str(workload.get("status", {}).get("updateRevision", ""))
    uid = workload["metadata"]["uid"]
    owned = [one for one in histories if _owner(one) == uid]
    if kind is DAEMON_SET:
        newest = max(owned, key=lambda one: int(one.get("revision", 0)), default=None)
        return _label(newest, "controller-revision-hash", "controller.kubernetes.io/hash")
    number = workload["metadata"].get("annotations", {}).get(REVISION)
    now = [one for one in owned if revision_number(one) == int(number or 0)]
    return _label(now[0] if now else None, "pod-template-hash")


REVISION = "deployment.kubernetes.io/revision"


def revision_number(history: Object) -> int:
    """Which revision a ReplicaSet or a ControllerRevision is; they have gaps after an undo."""
    if "revision" in history:
        return int(history["revision"])
    return int(history["metadata"].get("annotations", {}).get(REVISION, 0))


def _owner(thing: Object) -> str:
    owners = thing["metadata"].get("ownerReferences", ())
    return next((one["uid"] for one in owners if one.get("controller")), "")


def _label(thing: Object | None, *names: str) -> str:
    labels = (thing or {"metadata": {}})["metadata"].get("labels", {})
    return next((labels[name] for name in names if name in labels), "")
