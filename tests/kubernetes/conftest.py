"""A fake cluster for each test: one server for the session, a new life of it each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.support.kubernetes_commands import Commands


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """An empty cluster; afterwards nothing may have gone wrong inside it."""
    running_cluster.reset()
    yield running_cluster
    assert running_cluster.state.troubles == []


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    """The admin's, in namespace default."""
    return cluster.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def k8s(kubeconfig: Path, tmp_path: Path) -> Commands:
    """`orchctl k8s`, as the admin."""
    return Commands(tmp_path / "project", kubeconfig)
