"""The contract suite as it is run against a cluster of somebody's: it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import JOBS, NAMESPACES, VOLUMES
from tests.support.certificates import make_certificates, server_context

ROOT = Path(__file__).parents[2]


@pytest.fixture
def strange(cluster: Cluster) -> Cluster:
    """A cluster that makes no volumes, and whose first node takes no pods; reached over TLS."""
    cluster.remove_storage_classes()
    cluster.taint("node-1")
    cluster.script(Script(image="registry/busybox:*", process=True))
    return cluster


def over_tls(cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig as clusters give it out: https, and the authority's certificate within."""
    port = cluster.serve_tls(server_context(make_certificates(folder, "server")))
    path = cluster.kubeconfig(folder / "kubeconfig")
    said = yaml.safe_load(path.read_text())
    said["clusters"][0]["cluster"] = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": b64encode((folder / "server.pem").read_bytes()).decode(),
    }
    path.write_text(yaml.safe_dump(said))
    return path


def suite(cluster: Cluster, folder: Path, *words: str) -> subprocess.Popen[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    given = {
        "ORCHCTL_TEST_KUBECONFIG": str(over_tls(cluster, folder)),
        "ORCHCTL_TEST_IMAGE": "registry/busybox:1",
        "ORCHCTL_TEST_IMAGE_2": "registry/busybox:2",
    }
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "tests/kubernetes/contract", "-q"),
            *("-p", "no:cacheprovider", f"--basetemp={folder / 'inner'}"),
            *words,
        ],
        cwd=ROOT,
        env=env | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def require_nothing_left(cluster: Cluster) -> None:
    names = {each["metadata"]["name"] for each in cluster.objects(NAMESPACES)}
    assert names == {"default", "kube-system"}
    assert cluster.objects(VOLUMES) == []


def test_on_a_cluster_without_volumes_of_its_own(strange: Cluster, tmp_path: Path) -> None:
    running = suite(strange, tmp_path, "-k", "deploy_goes")
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert "1 passed" in said
    require_nothing_left(strange)


def test_broken_off_in_the_middle(strange: Cluster, tmp_path: Path) -> None:
    """With a worker, as `make test-cluster` has some: it is killed then; SIGTERM is as Ctrl-C."""
    running = suite(strange, tmp_path, "-k", "jobs_on_a_claim", "-n", "1")
    strange.wait(lambda: strange.objects(JOBS), timeout=60)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 2, said
    require_nothing_left(strange)
