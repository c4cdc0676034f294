"""What is known of a pod, and why it is not ready. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchctl.workloads.kubernetes.kinds import Object, controller_of

# What kubelet says of a container that will not start by itself any more.
# https://github.com/kubernetes/kubernetes: pkg/kubelet/images/types.go, kuberuntime, kubelet_pods
_WITHOUT_HOPE = {
    "CrashLoopBackOff": "crash-loop",
    "ImagePullBackOff": "image-pull",
    "ErrImageNeverPull": "image-pull",
    "InvalidImageName": "image-pull",
    "CreateContainerConfigError": "container-config",
    "CreateContainerError": "container-config",
    "RunContainerError": "container-config",
}

# Seconds for which a scheduler may say that no node takes a pod; and that it waits for a volume,
# which storage takes its time to make.
_SCHEDULED, _PROVISIONED = 3.0, 30.0
_UNBOUND = "unbound immediate PersistentVolumeClaims"
_COMES_BY_ITSELF = ("kube-root-ca.crt", "list of registered CSI drivers")


@dataclass(frozen=True)
class ContainerState:
    """A container of a pod.

    Attributes:
        name: Its name.
        image: As the pod has it.
        image_id: With the digest of what really runs; "" until it was pulled.
        ready: Whether it takes part.
        restarts: How often it was started again.
        state: `running`, `waiting` or `terminated`.
        reason: Why it waits or ended: `CrashLoopBackOff`, `Error`, `OOMKilled`; "" while it runs.
        message: What is said about that.
        exit_code: Of its last end; None when it never ended.
        ended_reason: Of that end.
        first: Whether it is an init container.
        begun: Whether its program has ever run. A container that was never started ends, too, when
            its pod is deleted: as `ContainerStatusUnknown`, without an identity.
    """

    name: str
    image: str
    image_id: str
    ready: bool
    restarts: int
    state: str
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    ended_reason: str = ""
    first: bool = False
    begun: bool = False


@dataclass(frozen=True)
class PodFacts:
    """One pod, as the API described it.

    Attributes:
        name: Its name.
        uid: Which no successor shares.
        phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        ready: Whether its condition `Ready` is true.
        terminating: Whether it was told to go.
        started_at: ISO 8601, UTC; "" until a node took it.
        node: Its node; "" until it has one.
        revision: The hash of the template it was made from; "" where nothing says.
        owner: `KIND/NAME` of what controls it; "" for a bare pod.
        containers: Its containers, init containers first.
        unscheduled: Why no node took it; "" when one did.
        trouble: Its phase's reason (`Evicted`), with its message.
        mounted: Whether it has its volumes and its network (told from Kubernetes 1.29 on).
    """

    name: str
    uid: str
    phase: str
    ready: bool
    terminating: bool
    started_at: str = ""
    node: str = ""
    revision: str = ""
    owner: str = ""
    containers: tuple[ContainerState, ...] = ()
    unscheduled: str = ""
    trouble: str = ""
    mounted: bool = False

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more, nor ever will (an evicted pod stays listed)."""
        return self.phase in ("Succeeded", "Failed") and not self.terminating

    @property
    def restarts(self) -> int:
        """Of all its containers."""
        return sum(one.restarts for one in self.containers)


@dataclass(frozen=True)
class PodTrouble:
    """Why a pod will not become ready by itself.

    Attributes:
        kind: `crash-loop`, `image-pull`, `container-config`, `unschedulable`, `failed-mount` or
            `pod-failed`.
        reason: Kubernetes' own word: `CrashLoopBackOff`.
        pod: Its name.
        container: Which container; "" where it is the whole pod.
        message: What is said about it.
        exit_code: With which the container ended; None when it did not.
        patience: Seconds it has to last before it counts: a scheduler that waits for a claim, or a
            kubelet for a mount, says the same for a moment.
        uid: The pod's; a StatefulSet's next pod has the same name.
    """

    kind: str
    reason: str
    pod: str
    container: str = ""
    message: str = ""
    exit_code: int | None = None
    patience: float = 0.0
    uid: str = ""

    def __str__(self) -> str:
        where = f"pod/{self.pod}" + (f", container {self.container}" if self.container else "")
        ended = "" if self.exit_code is None else f" (exit code {self.exit_code})"
        told = f": {self.message}" if self.message else ""
        return f"{where}: {self.reason}{ended}{told}"


def read_pod(pod: Object) -> PodFacts:
    """Read a pod as the API gives it; absent fields are zero, false and empty."""
    metadata, status = pod["metadata"], pod.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    labels, owner = metadata.get("labels", {}), controller_of(pod)
    trouble = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
    refused = scheduled.get("status") == "False"
    return PodFacts(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        phase=status.get("phase", "Unknown"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata,
        started_at=status.get("startTime") or "",
        node=pod.get("spec", {}).get("nodeName", ""),
        revision=_revision(labels),
        owner=f"{owner['kind'].lower()}/{owner['name']}" if owner else "",
        containers=tuple(_containers(status)),
        unscheduled=(scheduled.get("message") or scheduled.get("reason", "")) if refused else "",
        trouble=trouble,
        mounted=conditions.get("PodReadyToStartContainers", {}).get("status") == "True",
    )


def _revision(labels: dict[str, str]) -> str:
    for label in ("pod-template-hash", "controller-revision-hash"):
        if label in labels:
            return labels[label]
    return ""


def _containers(status: Object) -> Iterator[ContainerState]:
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(key) or ():
            yield _container(one, first=key.startswith("init"))


def _container(status: Object, *, first: bool) -> ContainerState:
    current = status.get("state") or {"waiting": {}}
    state, told = next(iter(current.items()))
    ended = current.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return ContainerState(
        name=status["name"],
        image=status.get("image", ""),
        image_id=status.get("imageID", ""),
        ready=bool(status.get("ready")),
        restarts=int(status.get("restartCount", 0)),
        state=state,
        reason=(told or {}).get("reason", ""),
        message=" ".join(str((told or {}).get("message") or "").split()),
        exit_code=ended.get("exitCode"),
        ended_reason=ended.get("reason", ""),
        first=first,
        begun=bool(status.get("containerID") or status.get("restartCount") or state == "running")
        or bool(ended.get("startedAt")),
    )


def why_not_ready(pod: PodFacts) -> str:
    """In one line why a pod is not ready; "" when it is."""
    if pod.terminating:
        return "terminating"
    if pod.ready:
        return ""
    if pod.unscheduled:
        return f"unschedulable: {pod.unscheduled}"
    if pod.trouble:
        return pod.trouble
    if pod.over:
        return pod.phase.lower()
    reasons = [_why(one) for one in pod.containers if not one.ready]
    told = "; ".join(reason for reason in reasons if reason)
    return told or ("no node has taken it yet" if not pod.node else "starting")


def _why(container: ContainerState) -> str:
    if container.first and container.state == "terminated" and container.exit_code == 0:
        return ""
    if container.state == "running":
        told = "runs" if container.first else "readiness probe not good yet"
        return f"{container.name}: {told}"
    code = container.exit_code
    ended = "" if code is None else f", exit code {code}"
    message = f" ({container.message})" if container.message else ""
    return f"{container.name}: {container.reason or container.state}{ended}{message}"


def trouble_of(pod: PodFacts) -> PodTrouble | None:
    """What keeps a pod from ever becoming ready; None as long as it may."""
    if pod.terminating or pod.ready:
        return None
    name, uid, told = pod.name, pod.uid, pod.unscheduled
    if pod.phase == "Failed":
        code = _end(pod)
        return PodTrouble("pod-failed", "Failed", name, "", pod.trouble, code, uid=uid)
    if told:
        patience = _PROVISIONED if _UNBOUND in told else _SCHEDULED
        return PodTrouble("unschedulable", "Unschedulable", name, "", told, None, patience, uid)
    for one in pod.containers:
        kind = _WITHOUT_HOPE.get(one.reason) if one.state == "waiting" else None
        if kind:
            said = "" if kind == "crash-loop" else one.message
            return PodTrouble(kind, one.reason, name, one.name, said, one.exit_code, uid=uid)
    return None


def _end(pod: PodFacts) -> int | None:
    codes = [one.exit_code for one in pod.containers if one.exit_code]
    return codes[0] if codes else None


def mount_trouble(event: Object) -> PodTrouble | None:
    """What an event says about a volume that can't be mounted; None when it says nothing of it.

    Right after a start kubelet may say so once or twice of its own token, of a new namespace's
    certificate, or of a storage driver that is starting too: so only what is said three times, or
    what names something of the workload's that is not there, counts.
    """
    about, message = event.get("involvedObject", {}), " ".join(event.get("message", "").split())
    if event.get("reason") != "FailedMount" or about.get("kind") != "Pod":
        return None
    times = int((event.get("series") or {}).get("count") or event.get("count") or 1)
    missing = "not found" in message and not any(one in message for one in _COMES_BY_ITSELF)
    if times < 3 and not missing:
        return None
    uid = about.get("uid", "")
    return PodTrouble("failed-mount", "FailedMount", about["name"], message=message, uid=uid)
