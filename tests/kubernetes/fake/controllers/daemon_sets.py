"""DaemonSets: a pod on every node."""

from __future__ import annotations

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.owned import (
    counts,
    create_pod,
    delete_pod,
    is_going,
    is_over,
    is_ready,
    owned,
    pod_from,
)
from tests.kubernetes.fake.controllers.revisions import HASH_LABEL, current, forget
from tests.kubernetes.fake.resources import DAEMON_SETS, NODES, PODS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import mutate

_BY = "daemonset-controller"


def reconcile(state: State) -> float | None:
    for daemon_set in state.store.all(DAEMON_SETS):
        if not is_going(daemon_set):
            _reconcile(state.store, daemon_set)
    return None


def _reconcile(store: Store, daemon_set: Json) -> None:
    revision = current(store, daemon_set)
    digest = revision["metadata"]["name"].rpartition("-")[2]
    nodes = _nodes(store, daemon_set)
    by_node = _by_node(store, daemon_set)
    for node in nodes:
        pod = by_node.get(node)
        if pod is None:
            _create(store, daemon_set, node, digest)
        elif is_over(pod) and not is_going(pod):
            _delete(store, daemon_set, pod)
    if daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        _roll(store, daemon_set, nodes, digest)
    _write_status(store, daemon_set, nodes, digest)
    forget(store, daemon_set, {revision["metadata"]["name"]})


def _nodes(store: Store, daemon_set: Json) -> list[str]:
    wanted = (daemon_set["spec"]["template"]["spec"].get("nodeSelector") or {}).items()
    return [
        each["metadata"]["name"]
        for each in store.all(NODES)
        if wanted <= each["metadata"]["labels"].items()
    ]


def _by_node(store: Store, daemon_set: Json) -> dict[str, Json]:
    return {_node(each): each for each in owned(store, PODS, daemon_set)}


def _node(pod: Json) -> str:
    terms = pod["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    return str(terms[0]["matchFields"][0]["values"][0])


def _create(store: Store, daemon_set: Json, node: str, digest: str) -> None:
    pod = pod_from(daemon_set["spec"]["template"], daemon_set)
    labels = pod["metadata"].setdefault("labels", {})
    annotations = daemon_set["metadata"].get("annotations") or {}
    labels[HASH_LABEL] = digest
    labels["pod-template-generation"] = annotations.get(
        "deprecated.daemonset.template.generation", "1"
    )
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    terms = {"nodeSelectorTerms": [{"matchFields": fields}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    pod["spec"]["affinity"] = {"nodeAffinity": required}
    made = create_pod(store, pod)
    if made is not None:
        said = f"Created pod: {made['metadata']['name']}"
        events.record(store, daemon_set, "SuccessfulCreate", said, by=_BY)


def _delete(store: Store, daemon_set: Json, pod: Json) -> None:
    delete_pod(store, pod)
    said = f"Deleted pod: {pod['metadata']['name']}"
    events.record(store, daemon_set, "SuccessfulDelete", said, by=_BY)


def _roll(store: Store, daemon_set: Json, nodes: list[str], digest: str) -> None:
    """Old pods go while no more than maxUnavailable are missing."""
    pods = _by_node(store, daemon_set)
    room = daemon_set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]
    if not isinstance(room, int):
        room = max(1, len(nodes) * int(room.rstrip("%")) // 100)
    old = [pods[each] for each in nodes if each in pods and _digest(pods[each]) != digest]
    ready = [pods[each] for each in nodes if each in pods and is_ready(pods[each])]
    room -= len(nodes) - sum(not is_going(each) for each in ready)
    for pod in old:
        if is_going(pod):
            continue
        if not is_ready(pod):
            _delete(store, daemon_set, pod)
        elif room > 0:
            room -= 1
            _delete(store, daemon_set, pod)


def _digest(pod: Json) -> str:
    return str(pod["metadata"]["labels"].get(HASH_LABEL, ""))


def _write_status(store: Store, daemon_set: Json, nodes: list[str], digest: str) -> None:
    pods = _by_node(store, daemon_set)
    held = [pods[each] for each in nodes if each in pods]
    ready = sum(is_ready(each) for each in held)
    meta = daemon_set["metadata"]
    status: Json = {
        "currentNumberScheduled": len(held),
        "numberMisscheduled": sum(each not in nodes for each in pods),
        "desiredNumberScheduled": len(nodes),
        "numberReady": ready,
        "observedGeneration": meta["generation"],
        **counts(
            updatedNumberScheduled=sum(
                _digest(each) == digest and not is_going(each) for each in held
            ),
            numberAvailable=ready,
            numberUnavailable=len(nodes) - ready,
        ),
    }

    def write(body: Json) -> None:
        body["status"] = status

    mutate(store, DAEMON_SETS, meta["namespace"], meta["name"], write)
