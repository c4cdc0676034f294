"""What a cluster has before anybody asks for anything: nodes, namespaces, a storage class."""

from __future__ import annotations

from tests.kubernetes.fake import events
from tests.kubernetes.fake.moments import stamp
from tests.kubernetes.fake.resources import (
    NAMESPACES,
    NODES,
    PODS,
    STORAGE_CLASSES,
    Json,
)
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import create, mutate

NODE_NAMES = ("node-1", "node-2")
_TAINT = "node.kubernetes.io/unreachable"


def furnish(store: Store) -> None:
    for name in NODE_NAMES:
        store.add(NODES, _node(name))
    for name in ("default", "kube-system"):
        create(store, NAMESPACES, {"metadata": {"name": name}})
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    create(
        store,
        STORAGE_CLASSES,
        {
            "metadata": {"name": "standard", "annotations": annotations},
            "provisioner": "fake.local/directory",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
    )


def taint(state: State, name: str, key: str) -> None:
    """A node that takes no pods but those that tolerate it, such as a control plane's."""

    def change(node: Json) -> None:
        node["spec"]["taints"] = [{"key": key, "effect": "NoSchedule"}]

    mutate(state.store, NODES, "", name, change)


def _node(name: str) -> Json:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "conditions": [_ready("True", "KubeletReady", "kubelet is posting ready status")]
        },
    }


def _ready(status: str, reason: str, message: str) -> Json:
    return {
        "type": "Ready",
        "status": status,
        "lastHeartbeatTime": stamp(),
        "lastTransitionTime": stamp(),
        "reason": reason,
        "message": message,
    }


def set_node(state: State, name: str, *, reachable: bool) -> None:
    """A node that nobody hears of any more, or again: its taints, and its pods' readiness."""
    if reachable:
        state.unreachable.discard(name)
        told = _ready("True", "KubeletReady", "kubelet is posting ready status")
    else:
        state.unreachable.add(name)
        told = _ready("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")

    def change(node: Json) -> None:
        node["status"]["conditions"] = [told]
        node["spec"].pop("taints", None)
        if not reachable:
            node["spec"]["taints"] = [
                {"key": _TAINT, "effect": effect} for effect in ("NoSchedule", "NoExecute")
            ]

    mutate(state.store, NODES, "", name, change)
    for pod in state.store.all(PODS):
        if pod["spec"].get("nodeName") == name and not reachable:
            meta = pod["metadata"]
            mutate(state.store, PODS, meta["namespace"], meta["name"], _unready)
            events.record(
                state.store, pod, "NodeNotReady", "Node is not ready", by="node-controller"
            )


def _unready(pod: Json) -> None:
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "Ready" and condition["status"] == "True":
            condition |= {"status": "False", "lastTransitionTime": stamp()}
