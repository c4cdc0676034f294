"""Restarting a workload of a cluster: how soon it is seen ready, and what is asked of the cluster.

The cluster is the tests' own, which answers over HTTP as a real one does; kubectl does the same
beside orchctl.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.commands import ORCHCTL
from benchmarks.figures import Added, Count, Figure, Options, Report, Series

if TYPE_CHECKING:
    from tests.kubernetes.fake.cluster import Cluster

_BOUND = 1.0  # seconds
_PODS, _MOST_ASKED = 200, 15
_RESTART = ["k8s", "restart", "deployment/web"]
_KUBECTL = "kubectl rollout restart, rollout status"


def run(options: Options) -> Report:
    """Restart a Deployment of one pod, and one of many."""
    with _cluster(options.folder) as (cluster, environment):
        figures: list[Figure] = [_sight(cluster, environment, options)]
        figures.append(_asked(cluster, environment, 20 if options.quick else _PODS))
    return Report(
        "kubernetes",
        "Restarting a workload of a cluster",
        "Against the tests' own API server on loopback, whose pods are ready after 0.05 s. The "
        "first row is one restart, seen twice: by orchctl, which returns, and by the cluster, "
        "when the new pod is ready and the old one gone. The second counts all requests of a "
        "restart with its wait, watches as one each.",
        tuple(figures),
        () if shutil.which("kubectl") else ("kubectl is not here: its requests are not counted.",),
    )


def _sight(cluster: Cluster, environment: dict[str, str], options: Options) -> Added:
    _settled(cluster, 1)
    both = [_seen(cluster, environment) for _ in range(options.rounds + 1)][1:]
    ours, theirs = (Series(tuple(seconds)) for seconds in zip(*both, strict=True))
    case = "orchctl k8s restart returns"
    return Added(case, ours, "the new pod ready, the old one gone", theirs, _BOUND)


def _seen(cluster: Cluster, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds from the start of a restart until orchctl returned, and until all was good."""
    before = _uids(cluster)
    began = time.monotonic()
    process = subprocess.Popen(
        [ORCHCTL, *_RESTART],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (_ready(cluster, 1) and before.isdisjoint(_uids(cluster))):
        time.sleep(0.005)
    good = time.monotonic()
    if process.wait():
        raise RuntimeError(f"orchctl {' '.join(_RESTART)} ended with {process.returncode}")
    return time.monotonic() - began, good - began


def _asked(cluster: Cluster, environment: dict[str, str], pods: int) -> Count:
    """How many requests a restart of so many pods takes."""
    from tests.kubernetes.fake.resources import DEPLOYMENTS
    from tests.kubernetes.objects import deployment

    cluster.reset()
    at_once = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}}
    cluster.create(DEPLOYMENTS, "default", deployment("web", pods, strategy=at_once))
    ours = _requests(cluster, pods, lambda: _call([ORCHCTL, *_RESTART], environment))
    case = f"{pods} pods restarted: requests"
    if not shutil.which("kubectl"):
        return Count(case, ours, "the bound", _MOST_ASKED, _MOST_ASKED)

    def kubectl() -> None:
        _call(["kubectl", "rollout", "restart", "deployment/web"], environment)
        _call(["kubectl", "rollout", "status", "deployment/web"], environment)

    return Count(case, ours, _KUBECTL, _requests(cluster, pods, kubectl), _MOST_ASKED)


def _requests(cluster: Cluster, pods: int, work: Callable[[], object]) -> int:
    _settled(cluster, pods)
    before = len(cluster.history.requests)
    work()
    return len(cluster.history.requests) - before


def _call(words: list[str], environment: dict[str, str]) -> None:
    subprocess.run(words, env=environment, check=True, capture_output=True)


def _settled(cluster: Cluster, count: int) -> None:
    cluster.wait(lambda: _ready(cluster, count))


def _ready(cluster: Cluster, count: int) -> bool:
    pods = cluster.pods("default")
    return len(pods) == count and all(map(_is_ready, pods))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _uids(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["uid"] for pod in cluster.pods("default")}


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """A cluster with a Deployment of one pod, and the environment that leads to it."""
    from tests.kubernetes.fake.cluster import Cluster
    from tests.kubernetes.fake.resources import DEPLOYMENTS
    from tests.kubernetes.objects import deployment

    cluster = Cluster(folder / "cluster")
    cluster.start()
    try:
        cluster.create(DEPLOYMENTS, "default", deployment("web"))
        config = str(cluster.kubeconfig(folder / "kubeconfig"))
        yield cluster, {**os.environ, "KUBECONFIG": config, "HOME": str(folder)}
    finally:
        cluster.stop()
