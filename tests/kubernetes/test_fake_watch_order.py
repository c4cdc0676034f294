"""What a watch saw of a real 1.34 cluster, in which order: the fake comes by the same states."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import DEPLOYMENTS, STATEFUL_SETS, Resource
from tests.kubernetes.fake.writing import mutate
from tests.kubernetes.objects import deployment, stateful_set

Counts = tuple[int, ...]


def seen_by_restart(cluster: Cluster, resource: Resource, counts: tuple[str, ...]) -> list[Counts]:
    """The counts of a workload's status while it restarts, from its old pods to the new ones.

    Those that stay the same are one. The restart is over when they are what they were at first.
    """
    cluster.script(Script(start_after=0.1, ready_after=0.1, stop_after=0.2))
    body: Any = deployment("web", 2) if resource is DEPLOYMENTS else stateful_set("web")
    cluster.create(resource, "default", body)
    last = tuple(body["spec"]["replicas"] for _ in counts)
    seen: list[Counts] = []

    def heard(change: Any) -> None:
        if change.resource is resource and _observed(change.object):
            found = tuple(change.object["status"].get(each, 0) for each in counts)
            if found != (seen[-1] if seen else None):
                seen.append(found)

    store = cluster.state.store
    cluster.do(lambda: store.listeners.append(heard))
    cluster.wait(lambda: seen[-1:] == [last])
    seen.clear()

    def restart(workload: Any) -> None:
        workload["spec"]["template"]["metadata"]["annotations"] = {"at": "now"}

    cluster.do(lambda: mutate(store, resource, "default", "web", restart))
    cluster.wait(lambda: len(seen) > 1 and seen[-1] == last)
    return [found for found in seen if found != last]


def _observed(workload: Any) -> bool:
    return bool(workload["status"].get("observedGeneration") == workload["metadata"]["generation"])


def test_a_deployment_never_has_too_few(cluster: Cluster) -> None:
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    seen = seen_by_restart(cluster, DEPLOYMENTS, counts)
    recorded = [(3, 1, 2), (3, 1, 3), (3, 2, 2), (3, 2, 3)]
    assert [found for found in dict.fromkeys(seen) if found in recorded] == recorded
    assert min(available for _, _, available in seen) == 2


def test_a_stateful_set_goes_through_none(cluster: Cluster) -> None:
    counts = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas")
    seen = seen_by_restart(cluster, STATEFUL_SETS, counts)
    recorded = [(1, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0), (1, 0, 0, 1)]
    assert [found for found in dict.fromkeys(seen) if found in recorded] == recorded
