"""Waiting until a workload's pods are the new ones and ready, by listening to the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import WorkloadFailed
from orchctl.workloads.kubernetes.kinds import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    Kind,
    Object,
    belongs_to,
    desired,
    selector_text,
)
from orchctl.workloads.kubernetes.pods import (
    PodFacts,
    PodTrouble,
    mount_trouble,
    read_pod,
    trouble_of,
    why_not_ready,
)
from orchctl.workloads.kubernetes.rollout import (
    Progress,
    current_revision,
    observed,
    partition_of,
    pods_progress,
    progress_of,
    standstill,
)
from orchctl.workloads.kubernetes.trouble import failed, stuck, too_late
from orchctl.workloads.kubernetes.watching import Picture, Source, picture

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

Told = Callable[[str], None]
_HISTORY = {DEPLOYMENT: REPLICA_SET, DAEMON_SET: CONTROLLER_REVISION}


@dataclass(frozen=True)
class RolledOut:
    """A workload whose pods are all new and ready.

    Attributes:
        workload: The object; a pod for a pod.
        pods: Its pods.
        seconds: How long that was waited for.
    """

    workload: Object
    pods: tuple[PodFacts, ...]
    seconds: float


def wait_for_rollout(
    cluster: Cluster,
    kind: Kind,
    workload: Object,
    *,
    deadline: float,
    before: Collection[str] = (),
    on_line: Told | None = None,
) -> RolledOut:
    """Wait until a rollout is complete: observed, all updated and available, the old pods gone.

    Args:
        cluster: The cluster.
        kind: Deployment, StatefulSet or DaemonSet.
        workload: As it was last seen.
        deadline: A time of the monotonic clock.
        before: The uids of pods that must be gone, too.
        on_line: Called with what is waited for, whenever that changes.

    Raises:
        WorkloadFailed: `rollout-failed`, at once when it will not get done by itself;
            `rollout-paused`; `no-such-object`. As Cluster does.
        TimedOut: `rollout-timeout`.
    """
    sources = (
        Source(POD, labels=selector_text(workload)),
        Source(kind, fields=f"metadata.name={workload['metadata']['name']}"),
        # A volume that can't be mounted is told nowhere else.
        Source(EVENT, fields="involvedObject.kind=Pod,type=Warning", optional=True),
    )
    with picture(cluster, *sources) as kept:
        return _RolloutWait(cluster, kind, workload, kept, deadline, before, on_line).over()


class _Wait:
    """What both kinds of waits share: the last line told, and troubles that have to last."""

    def __init__(self, kept: Picture, deadline: float, on_line: Told | None) -> None:
        self._kept, self._deadline = kept, deadline
        self._tell = on_line or (lambda text: None)
        self._line = ""
        self._began = time.monotonic()
        self._since: dict[tuple[str, str], float] = {}

    def _say(self, line: str) -> None:
        if line != self._line:
            self._line = line
            self._tell(line)

    def _next(self) -> bool:
        """Wait for news; False when the time is over."""
        now = time.monotonic()
        if now >= self._deadline:
            return False
        due = [one for one in self._since.values() if one > now]
        self._kept.update(min([self._deadline, *due]) - now + 0.001)
        return True

    def _lasting(self, pods: Collection[PodFacts]) -> PodTrouble | None:
        """The first trouble of a pod that has lasted as long as it must."""
        mounts = [mount_trouble(event) for event in self._kept.objects[-1].values()]
        unmounted = {one.uid: one for one in mounts if one is not None}
        due: dict[tuple[str, str], float] = {}
        found = []
        leaving = any(pod.terminating for pod in pods)
        for pod in (one for one in pods if not one.terminating):
            trouble = trouble_of(pod) or (None if _mounted(pod) else unmounted.get(pod.uid))
            if trouble is None or (trouble.kind == "unschedulable" and leaving):
                continue  # what leaves makes room
            key = (pod.uid, trouble.kind)
            due[key] = self._since.get(key, time.monotonic() + trouble.patience)
            if due[key] <= time.monotonic():
                found.append(trouble)
        self._since = due
        return found[0] if found else None


def _mounted(pod: PodFacts) -> bool:
    # What was said of a volume before it came is still there while an image is pulled.
    return pod.ready or pod.mounted or any(one.state != "waiting" for one in pod.containers)


class _RolloutWait(_Wait):
    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        workload: Object,
        kept: Picture,
        deadline: float,
        before: Collection[str],
        on_line: Told | None,
    ) -> None:
        super().__init__(kept, deadline, on_line)
        self._cluster, self._kind, self._before = cluster, kind, before
        self._uid = workload["metadata"]["uid"]
        self._target = f"{kind.name}/{workload['metadata']['name']}"
        self._current: tuple[int, str] = (0, "")

    def over(self) -> RolledOut:
        while True:
            workload, pods = self._workload(), self._pods()
            progress = self._progress(workload, pods)
            self._say(progress.told)
            if progress.done:
                return RolledOut(workload, tuple(pods), time.monotonic() - self._began)
            trouble = self._trouble(workload, pods)
            if progress.stuck:
                raise stuck(self._cluster, self._target, workload, progress.stuck, trouble)
            if trouble is not None:
                raise failed(self._cluster, self._target, workload, trouble)
            if not self._next():
                last = trouble_of_any(pods)
                raise too_late(self._cluster, self._target, workload, progress.told, last)

    def _workload(self) -> Object:
        workload = self._kept.objects[1].get(self._uid)
        if workload is None:
            raise WorkloadFailed(f"{self._target} was deleted meanwhile", code="no-such-object")
        held = standstill(self._kind, workload)
        if held is not None and held.reason == "paused":
            raise WorkloadFailed(
                f"{self._target} was paused meanwhile", code="rollout-paused", hint=held.hint
            )
        return workload

    def _pods(self) -> list[PodFacts]:
        workload = self._kept.objects[1].get(self._uid)
        every = self._kept.objects[0].values()
        return [
            read_pod(one) for one in every if workload and belongs_to(one, self._kind, workload)
        ]

    def _progress(self, workload: Object, pods: list[PodFacts]) -> Progress:
        progress = progress_of(self._kind, workload)
        if not progress.done:
            return progress
        wanted, held = desired(self._kind, workload), 0
        if self._kind is STATEFUL_SET:
            held = min(partition_of(workload), wanted)
        changed = [pod for pod in pods if not held or _ordinal(pod.name) >= held]
        current = self._revision(workload)
        return pods_progress(progress, changed, wanted - held, current, self._before)

    def _trouble(self, workload: Object, pods: list[PodFacts]) -> PodTrouble | None:
        if not observed(workload):
            return None
        new = [pod for pod in pods if pod.uid not in self._before]
        if any(trouble_of(pod) for pod in new):
            current = self._revision(workload)
            new = [pod for pod in new if pod.terminating or current in ("", pod.revision)]
        return self._lasting(
            new + [pod for pod in pods if pod.uid in self._before and pod.terminating]
        )

    def _revision(self, workload: Object) -> str:
        generation = int(workload["metadata"].get("generation", 0))
        kind = _HISTORY.get(self._kind)
        if kind is None:
            return current_revision(self._kind, workload, ())
        if self._current[0] != generation or not self._current[1]:
            found, _ = self._cluster.every(kind, selector_text(workload))
            self._current = (generation, current_revision(self._kind, workload, found))
        return self._current[1]


def trouble_of_any(pods: Collection[PodFacts]) -> PodTrouble | None:
    """What may keep pods from becoming ready, however short it has lasted, for a report."""
    return next((one for one in map(trouble_of, pods) if one is not None), None)


def _ordinal(name: str) -> int:
    last = name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def wait_for_pod(
    cluster: Cluster,
    pod: Object,
    *,
    deadline: float,
    successor: bool = False,
    before: Collection[str] = (),
    on_line: Told | None = None,
) -> RolledOut:
    """Wait until a pod is ready, or its successor is and the pod itself is gone.

    Args:
        cluster: The cluster.
        pod: The pod.
        deadline: A time of the monotonic clock.
        successor: Whether the pod was told to go and another takes its place.
        before: The uids of the pods that were there then.
        on_line: Called with what is waited for, whenever that changes.

    Raises:
        WorkloadFailed: `rollout-failed`, at once when it will not get ready by itself;
            `no-such-object`. As Cluster does.
        TimedOut: `rollout-timeout`.
    """
    name, labels = pod["metadata"]["name"], pod["metadata"].get("labels", {})
    # A successor has another name, but the labels its controller gives to all of its pods.
    own = {key: labels[key] for key in labels if not key.endswith(_OF_ONE_POD)}
    chosen = ",".join(f"{key}={value}" for key, value in sorted(own.items()))
    pods = Source(POD, labels=chosen) if successor else Source(POD, fields=f"metadata.name={name}")
    events = Source(EVENT, fields="involvedObject.kind=Pod,type=Warning", optional=True)
    with picture(cluster, pods, events) as kept:
        wait = _PodWait(cluster, pod, kept, deadline, on_line)
        return wait.succeeded(before) if successor else wait.ready()


_OF_ONE_POD = ("/pod-name", "/pod-index", "controller-revision-hash", "pod-template-generation")


class _PodWait(_Wait):
    def __init__(
        self, cluster: Cluster, pod: Object, kept: Picture, deadline: float, on_line: Told | None
    ) -> None:
        super().__init__(kept, deadline, on_line)
        self._cluster, self._pod = cluster, read_pod(pod)
        self._owner = self._pod.owner

    def ready(self) -> RolledOut:
        while True:
            pods = [(one, read_pod(one)) for one in self._kept.objects[0].values()]
            found = next((pair for pair in pods if pair[1].ready and not pair[1].terminating), None)
            if found is not None:
                return self._done(*found)
            if not pods:
                told = f"pod/{self._pod.name} was deleted meanwhile"
                raise WorkloadFailed(told, code="no-such-object")
            why = why_not_ready(pods[0][1])
            self._go_on([pod for _, pod in pods], f"Waiting for pod {self._pod.name!r}: {why}")

    def succeeded(self, before: Collection[str]) -> RolledOut:
        while True:
            every = [(one, read_pod(one)) for one in self._kept.objects[0].values()]
            pods = [pair for pair in every if pair[1].owner == self._owner]
            old = any(pod.uid == self._pod.uid for _, pod in pods)
            new = [pair for pair in pods if pair[1].uid not in before]
            found = next((pair for pair in new if pair[1].ready and not pair[1].terminating), None)
            if found is not None and not old:
                return self._done(*found)
            told = f"Waiting for pod {self._pod.name!r} to be gone"
            if not old:
                told = f"Waiting for the successor of pod {self._pod.name!r}"
                told += f": {new[0][1].name}: {why_not_ready(new[0][1])}" if new else ""
            leaving = [pod for _, pod in pods if pod.uid == self._pod.uid]
            self._go_on([pod for _, pod in new] + leaving, told)

    def _go_on(self, pods: list[PodFacts], told: str) -> None:
        self._say(told)
        trouble = self._lasting(pods)
        target = f"pod/{self._pod.name}"
        if trouble is not None:
            raise failed(self._cluster, target, None, trouble)
        if not self._next():
            raise too_late(self._cluster, target, None, told, trouble_of_any(pods))

    def _done(self, found: Object, pod: PodFacts) -> RolledOut:
        return RolledOut(found, (pod,), time.monotonic() - self._began)
