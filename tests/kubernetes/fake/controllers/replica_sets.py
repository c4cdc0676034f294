"""ReplicaSets: as many pods as they say."""

from __future__ import annotations

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.loop import soonest
from tests.kubernetes.fake.controllers.owned import (
    counts,
    create_pod,
    delete_pod,
    is_going,
    is_over,
    is_ready,
    owned,
    pod_from,
    unavailable_for,
)
from tests.kubernetes.fake.resources import PODS, REPLICA_SETS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import mutate

_BY = "replicaset-controller"


def reconcile(state: State) -> float | None:
    again: float | None = None
    for replica_set in state.store.all(REPLICA_SETS):
        again = soonest(again, _reconcile(state.store, replica_set))
    return again


def _reconcile(store: Store, replica_set: Json) -> float | None:
    pods = [
        each for each in owned(store, PODS, replica_set) if not is_going(each) and not is_over(each)
    ]
    if not is_going(replica_set):
        missing = replica_set["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            _add(store, replica_set)
        if missing < 0:
            for pod in sorted(pods, key=_worth)[:-missing]:
                _drop(store, replica_set, pod)
    return _write_status(store, replica_set, pods)


def _add(store: Store, replica_set: Json) -> None:
    pod = create_pod(store, pod_from(replica_set["spec"]["template"], replica_set))
    if pod is not None:
        said = f"Created pod: {pod['metadata']['name']}"
        events.record(store, replica_set, "SuccessfulCreate", said, by=_BY)


def _drop(store: Store, replica_set: Json, pod: Json) -> None:
    delete_pod(store, pod)
    said = f"Deleted pod: {pod['metadata']['name']}"
    events.record(store, replica_set, "SuccessfulDelete", said, by=_BY)


def _worth(pod: Json) -> tuple[bool, bool, int]:
    """What is dropped first: not scheduled, not ready, then the newest."""
    spec, meta = pod["spec"], pod["metadata"]
    return bool(spec.get("nodeName")), is_ready(pod), -int(meta["resourceVersion"])


def _write_status(store: Store, replica_set: Json, pods: list[Json]) -> float | None:
    min_ready = replica_set["spec"].get("minReadySeconds", 0)
    waits = [unavailable_for(each, min_ready) for each in pods]
    template = replica_set["spec"]["template"]["metadata"].get("labels") or {}
    labelled = [each for each in pods if template.items() <= each["metadata"]["labels"].items()]
    meta = replica_set["metadata"]
    status: Json = {"replicas": len(pods)}
    status |= counts(
        fullyLabeledReplicas=len(labelled),
        readyReplicas=sum(is_ready(each) for each in pods),
        availableReplicas=sum(wait == 0 for wait in waits),
    )
    status["observedGeneration"] = meta["generation"]

    def write(body: Json) -> None:
        body["status"] = status

    mutate(store, REPLICA_SETS, meta["namespace"], meta["name"], write)
    left = [wait for wait in waits if wait]
    return min(left) if left else None
