"""`k8s restart` beside `kubectl rollout restart`: the same requests that write, the same end."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.test_kubernetes_restart import KINDS, settled
from tests.support.kubernetes_commands import Commands

_MADE_ANEW = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_is_the_same_request_with_the_same_end(
    running_cluster: Cluster, tmp_path: Path, kind: str
) -> None:
    ours = _restarted(running_cluster, tmp_path / "ours", kind, with_kubectl=False)
    theirs = _restarted(running_cluster, tmp_path / "theirs", kind, with_kubectl=True)
    assert ours == theirs


def _restarted(cluster: Cluster, folder: Path, kind: str, *, with_kubectl: bool) -> dict[str, Any]:
    cluster.reset()
    folder.mkdir()
    kubeconfig = cluster.kubeconfig(folder / "kubeconfig")
    resource, make = KINDS[kind]
    cluster.create(resource, "default", make("web"))
    count = 2 if kind == "daemonset" else 1
    before = settled(cluster, count)
    if with_kubectl:
        _kubectl(kubeconfig, "rollout", "restart", f"{kind}/web")
        _kubectl(kubeconfig, "rollout", "status", f"{kind}/web", "--timeout=60s")
        # kubectl returns while old pods go on; the end is when they have gone.
        cluster.wait(lambda: settled(cluster, count).isdisjoint(before))
    else:
        done = Commands(folder / "project", kubeconfig)("restart", f"{kind}/web")
        assert done.returncode == 0, done.stderr
    assert before.isdisjoint(settled(cluster, count))
    [workload] = cluster.wait(lambda: _observed(cluster.objects(resource)))
    return {
        "writes": [_request(one) for one in cluster.history.writes()],
        "template": _plain(workload["spec"]["template"]),
        "generation": workload["metadata"]["generation"],
        "pods": len(cluster.pods("default")),
    }


def _observed(workloads: list[Any]) -> list[Any]:
    [one] = workloads
    same = one["status"].get("observedGeneration") == one["metadata"]["generation"]
    return workloads if same else []


def _kubectl(kubeconfig: Path, *words: str) -> None:
    done = subprocess.run(
        ["kubectl", *words],
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr


def _request(asked: Any) -> tuple[Any, ...]:
    return asked.method, asked.path, asked.content_type, _plain(asked.body), asked.status


def _plain(body: Any) -> str:
    return _MADE_ANEW.sub("<time>", repr(body))
