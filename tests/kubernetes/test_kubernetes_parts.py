"""Parts that several commands are made of: rights, scaling, who uses a claim."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchctl.errors import TimedOut, WorkloadFailed
from orchctl.workloads.kubernetes.access import Need, missing_rights, require_rights
from orchctl.workloads.kubernetes.client import Cluster as Api
from orchctl.workloads.kubernetes.connection import ClusterChoice, find_cluster
from orchctl.workloads.kubernetes.kinds import JOB, LEASE, STATEFUL_SET
from orchctl.workloads.kubernetes.scale import scale, users_of, wait_until_unused
from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import STATEFUL_SETS
from tests.kubernetes.objects import stateful_set


@pytest.fixture
def api(cluster: Cluster, kubeconfig: Path, tmp_path: Path) -> Iterator[Api]:
    found = Api(find_cluster(ClusterChoice(kubeconfig=kubeconfig), {}, tmp_path))
    yield found
    found.close()


def at_rest(cluster: Cluster) -> None:
    """A StatefulSet whose status moves no more."""
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))

    def still() -> bool:
        [found] = cluster.objects(STATEFUL_SETS)
        counts = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas")
        return all(found.get("status", {}).get(one) == 1 for one in counts)

    cluster.wait(still)


def test_missing_rights_are_found_before_anything_is_done(cluster: Cluster, api: Api) -> None:
    needs = (Need("create", JOB), Need("update", STATEFUL_SET, "scale"), Need("create", LEASE))
    assert missing_rights(api, needs) == ()
    require_rights(api, needs)
    cluster.deny("create", "leases")
    cluster.deny("update", "statefulsets/scale")
    with pytest.raises(WorkloadFailed) as caught:
        require_rights(api, needs)
    assert caught.value.code == "no-rights"
    assert caught.value.details["missing"] == [
        "update statefulsets/scale.apps",
        "create leases.coordination.k8s.io",
    ]


def test_scaling_is_refused_when_somebody_was_quicker(cluster: Cluster, api: Api) -> None:
    at_rest(cluster)
    seen = api.get(STATEFUL_SET, "db")
    scale(api, STATEFUL_SET, seen, 0)
    with pytest.raises(WorkloadFailed) as caught:
        scale(api, STATEFUL_SET, seen, 1)
    assert caught.value.code == "cluster-conflict"
    cluster.wait(lambda: not cluster.pods("default"))
    assert api.find(STATEFUL_SET, "db")["spec"]["replicas"] == 0  # type: ignore[index]


def test_a_claim_is_free_when_no_pod_is_left(cluster: Cluster, api: Api) -> None:
    cluster.script(Script(stuck=True))
    at_rest(cluster)
    assert [pod.name for pod in users_of(api, "data-db-0")] == ["db-0"]
    scale(api, STATEFUL_SET, api.get(STATEFUL_SET, "db"), 0)
    lines: list[str] = []
    with pytest.raises(TimedOut) as caught:
        wait_until_unused(api, "data-db-0", deadline=time.monotonic() + 0.3)
    assert caught.value.code == "claim-in-use"
    free = threading.Thread(
        target=wait_until_unused,
        args=(api, "data-db-0"),
        kwargs={"deadline": time.monotonic() + 60, "on_line": lines.append},
    )
    free.start()
    cluster.wait(lambda: lines)
    assert lines == ["Waiting for db-0 to let go of claim data-db-0"]
    assert free.is_alive()
    cluster.release("db-0")
    free.join(60)
    assert not free.is_alive()
    assert users_of(api, "data-db-0") == ()


def test_a_pod_s_own_account_is_found(tmp_path: Path) -> None:
    """In a cluster without a kubeconfig; one that is there goes before it."""
    from orchctl.errors import ConfigurationError

    with pytest.raises(ConfigurationError) as caught:
        find_cluster(ClusterChoice(), {}, tmp_path)
    assert caught.value.code == "no-cluster"
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ConfigurationError) as caught:
        find_cluster(ClusterChoice(), inside, tmp_path)
    assert "service account" in caught.value.message
