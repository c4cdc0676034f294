"""kubectl itself works with the fake: what it accepts, a real server's clients accept."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS
from tests.kubernetes.objects import deployment, stateful_set

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def kubectl(kubeconfig: Path) -> Kubectl:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}
        return subprocess.run(
            ["kubectl", *words], env=env, capture_output=True, text=True, timeout=60
        )

    return run


def test_restart_and_status(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web", replicas=2))
    assert kubectl("rollout", "status", "deploy/web", "--timeout=30s").returncode == 0
    before = {each["metadata"]["uid"] for each in cluster.pods("default")}

    assert kubectl("rollout", "restart", "deploy/web").stdout == "deployment.apps/web restarted\n"
    status = kubectl("rollout", "status", "deploy/web", "--timeout=30s")

    assert status.stdout.endswith('deployment "web" successfully rolled out\n')
    patch = next(each for each in cluster.history.writes() if each.method == "PATCH")
    assert patch.content_type == "application/strategic-merge-patch+json"
    assert list(patch.body["spec"]["template"]["metadata"]["annotations"]) == [
        "kubectl.kubernetes.io/restartedAt"
    ]
    cluster.wait(lambda: len(cluster.pods("default")) == 2)
    assert before.isdisjoint(each["metadata"]["uid"] for each in cluster.pods("default"))


def test_get_scale_logs_delete(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.script(Script(image="*web*", log="first line\nsecond line"))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    status = kubectl("rollout", "status", "sts/db", "--timeout=30s")
    assert "statefulset rolling update complete 1 pods" in status.stdout or (
        "partitioned roll out complete" in status.stdout
    )

    assert kubectl("get", "pods", "-o", "name").stdout == "pod/db-0\n"
    claim = json.loads(kubectl("get", "pvc", "data-db-0", "-o", "json").stdout)
    assert claim["status"]["phase"] == "Bound"
    assert kubectl("logs", "db-0").stdout == "first line\nsecond line\n"
    assert kubectl("logs", "db-0", "--tail=1").stdout == "second line\n"

    assert kubectl("scale", "sts/db", "--replicas=0").returncode == 0
    cluster.wait(lambda: cluster.pods("default") == [])
    assert kubectl("delete", "sts", "db").stdout == 'statefulset.apps "db" deleted\n'
    assert kubectl("get", "sts", "-o", "name").stdout == ""
    missing = kubectl("get", "sts", "db")
    assert missing.stderr == 'Error from server (NotFound): statefulsets.apps "db" not found\n'


def test_undo_leaves_a_gap_in_the_revisions(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    for words in (
        ("rollout", "status", "deploy/web", "--timeout=30s"),
        ("set", "image", "deploy/web", "web=localhost/web:v2"),
        ("rollout", "status", "deploy/web", "--timeout=30s"),
        ("rollout", "undo", "deploy/web"),
        ("rollout", "status", "deploy/web", "--timeout=30s"),
    ):
        assert kubectl(*words).returncode == 0
    revisions = {
        each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        for each in cluster.objects(REPLICA_SETS, "default")
    }
    assert revisions == {"2", "3"}
