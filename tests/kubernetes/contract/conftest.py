"""The cluster the contract is held against: the fake, or the one in ORCHCTL_TEST_KUBECONFIG.

Each test has a namespace of its own, which is deleted afterwards with all that is in it; what is
left of a run that was broken off is deleted at its end.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kubernetes import config
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.contract.ground import NO_IMAGE, Ground
from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.support import contract_run
from tests.support.kubernetes_commands import Commands

REAL = os.environ.get("ORCHCTL_TEST_KUBECONFIG", "")


def pytest_configure(config: pytest.Config) -> None:
    # A kubeconfig may say insecure-skip-tls-verify: that is its owner's business.
    config.addinivalue_line("filterwarnings", "ignore::urllib3.exceptions.InsecureRequestWarning")
    if REAL and not hasattr(config, "workerinput"):
        contract_run.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if REAL and not hasattr(config, "workerinput"):
        contract_run.sweep(Path(REAL))


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """An empty namespace, in the fake or in a real cluster."""
    namespace = f"orchctl-{secrets.token_hex(4)}"
    kubeconfig = Path(REAL) if REAL else _fake_kubeconfig(request, tmp_path, namespace)
    with config.new_client_from_config(str(kubeconfig)) as api:
        made = Ground(
            kubeconfig,
            namespace,
            os.environ.get("ORCHCTL_TEST_IMAGE", "localhost/busybox:1"),
            os.environ.get("ORCHCTL_TEST_IMAGE_2", "localhost/busybox:2"),
            api,
        )
        try:
            made.core.create_namespace(contract_run.namespace(namespace))
            made.wait(lambda: _is_furnished(made))
            yield made
        finally:
            _clean(made)


@pytest.fixture
def k8s(ground: Ground, tmp_path: Path) -> Commands:
    """`orchctl k8s` in that namespace."""
    home = Path.home() if REAL else None
    return Commands(tmp_path / "project", ground.kubeconfig, ground.namespace, home)


def _fake_kubeconfig(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Path:
    """The fake, where the images' shell is this machine's."""
    cluster: Cluster = request.getfixturevalue("cluster")
    cluster.script(Script(image="localhost/busybox:*", process=True))
    cluster.script(Script(image=NO_IMAGE, image_error="connection refused"))
    return cluster.kubeconfig(tmp_path / "kubeconfig", namespace)


def _is_furnished(ground: Ground) -> bool:
    """Pods are refused until the namespace has its default account, and can mount nothing of it
    before there is the cluster's certificate."""
    with suppress(ApiException):
        ground.core.read_namespaced_service_account("default", ground.namespace)
        ground.core.read_namespaced_config_map("kube-root-ca.crt", ground.namespace)
        return True
    return False


def _clean(ground: Ground) -> None:
    """Delete the namespace, and wait until its pods are gone."""
    try:
        ground.core.delete_namespace(ground.namespace)
    except ApiException as error:
        if error.status != 404:  # it was never made
            raise
    ground.wait(lambda: not ground.pods(), timeout=120)
