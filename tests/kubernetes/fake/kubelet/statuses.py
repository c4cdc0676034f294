"""A pod's status as the kubelet writes it, from what its containers are doing."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.kubernetes.fake.moments import content_hash, new_uid, stamp
from tests.kubernetes.fake.resources import Json

_ACCOUNT_MOUNT = {"readOnly": True, "recursiveReadOnly": "Disabled"}


@dataclass
class Facts:
    """What one container is doing; `state` has one key: waiting, running or terminated."""

    spec: Json
    state: Json = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Json = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    identity: str = ""

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def ended(self) -> Json | None:
        return self.state.get("terminated")

    def begin(self) -> None:
        self.identity = f"containerd://{new_uid().replace('-', '') * 2}"
        self.state = {"running": {"startedAt": stamp()}}

    def finish(self, code: int, reason: str) -> None:
        begun = self.state["running"]["startedAt"] if self.running else stamp()
        self.ready = False
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": begun,
                "finishedAt": stamp(),
                "containerID": self.identity,
            }
        }

    def wait(self, reason: str, message: str = "") -> None:
        self.ready = False
        if self.ended:
            self.last = self.state
        waiting = {"reason": reason}
        self.state = {"waiting": {**waiting, "message": message} if message else waiting}

    def status(self) -> Json:
        ran = bool(self.identity)
        status: Json = {
            "name": self.spec["name"],
            "state": self.state,
            "lastState": self.last,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.spec["image"],
            "imageID": image_id(self.spec["image"]) if ran else "",
        }
        if ran:
            status["containerID"] = self.identity
        status["started"] = self.running
        if ran:
            status["resources"] = {}
        mounts = [_mount(each) for each in self.spec.get("volumeMounts") or []]
        if mounts:
            status["volumeMounts"] = mounts
        return status


def image_id(image: str) -> str:
    """A digest for an image's name: what a tag points to never changes here."""
    return f"sha256:{content_hash(image, 32).encode().hex()}"


def _mount(mount: Json) -> Json:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return shown | (_ACCOUNT_MOUNT if mount.get("readOnly") else {})


def phase_of(containers: list[Facts], *, final: bool) -> str:
    """`final`: nothing is going to be started again."""
    ended = [each.ended for each in containers]
    if final and all(ended):
        return "Succeeded" if all(each and each["exitCode"] == 0 for each in ended) else "Failed"
    # What was never started holds the whole pod back: ErrImagePull is Pending.
    return "Running" if all(each.identity for each in containers) else "Pending"


def pod_status(pod: Json, facts: tuple[list[Facts], list[Facts]], shape: Json) -> Json:
    """The whole status.

    facts: those of the init containers, those of the containers; shape: phase, networked,
    initialized, ready (all true, or a test's word), node_ip and pod_ip.
    """
    before = pod.get("status") or {}
    init, containers = facts
    conditions = _conditions(pod, containers, shape)
    ended = shape["phase"] in {"Succeeded", "Failed"}
    status: Json = {
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": shape["phase"],
        "conditions": conditions,
        "hostIP": shape["node_ip"],
        "hostIPs": [{"ip": shape["node_ip"]}],
        "startTime": before.get("startTime") or stamp(),
        "containerStatuses": [
            each.status() for each in sorted(containers, key=lambda each: each.spec["name"])
        ],
        "qosClass": before.get("qosClass", "BestEffort"),
    }
    if init:
        status["initContainerStatuses"] = [each.status() for each in init]
    if shape["networked"] or ended:
        status |= {"podIP": shape["pod_ip"], "podIPs": [{"ip": shape["pod_ip"]}]}
    return status


def _conditions(pod: Json, containers: list[Facts], shape: Json) -> list[Json]:
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(shape["phase"])
    unready = [each.spec["name"] for each in containers if not each.ready]
    ready: Json = {"status": "True"}
    if ended:
        ready = {"status": "False", "reason": ended}
    elif unready or not shape["ready"]:
        named = " ".join(unready or [each.spec["name"] for each in containers])
        message = f"containers with unready status: [{named}]"
        ready = {"status": "False", "reason": "ContainersNotReady", "message": message}
    networked = "True" if shape["networked"] and not ended else "False"
    initialized: Json = {"status": "True" if shape["initialized"] else "False"}
    if ended == "PodCompleted":
        initialized["reason"] = ended
    wanted: list[tuple[str, Json]] = [
        ("PodReadyToStartContainers", {"status": networked}),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", ready),
        ("PodScheduled", {"status": "True"}),
    ]
    return [condition(pod, kind, values) for kind, values in wanted]


def condition(pod: Json, kind: str, values: Json) -> Json:
    """One condition; its transition time is kept while its status stays."""
    held = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}
    before = held.get(kind)
    same = before is not None and before["status"] == values["status"]
    return {
        "type": kind,
        "observedGeneration": pod["metadata"].get("generation", 1),
        "lastProbeTime": None,
        "lastTransitionTime": before["lastTransitionTime"] if before and same else stamp(),
        **values,
    }
