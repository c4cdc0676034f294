"""A cluster for the contract of the commands: the fake, or the one in ORCHCTL_TEST_KUBECONFIG.

Against a real cluster: ORCHCTL_TEST_IMAGE and ORCHCTL_TEST_IMAGE_2 are two tags of a busybox (sh,
httpd, sleep) that its nodes can pull. Everything happens in a namespace of its own.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contract_cluster import FAKE_IMAGES, Workshop, faked, namespace_in
from tests.support.kubernetes_commands import Commands


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A new namespace with nothing in it; gone in the end, and all that was made in it."""
    folder = tmp_path_factory.mktemp("contract")
    name = f"orchctl-test-{uuid.uuid4().hex[:8]}"
    real = os.environ.get("ORCHCTL_TEST_KUBECONFIG")
    if real:
        given = ("ORCHCTL_TEST_IMAGE", "ORCHCTL_TEST_IMAGE_2")
        assert all(os.environ.get(each) for each in given), f"set {' and '.join(given)}"
        images = (os.environ[given[0]], os.environ[given[1]])
        with namespace_in(Path(real), name, images, folder) as made:
            yield made
        return
    with (
        faked(folder) as kubeconfig,
        namespace_in(kubeconfig, name, FAKE_IMAGES, folder) as made,
    ):
        yield made


@pytest.fixture
def k8s(workshop: Workshop, tmp_path: Path) -> Iterator[Commands]:
    """`orchctl k8s` in that namespace; what a test made there is deleted after it."""
    try:
        home = Path.home() if os.environ.get("ORCHCTL_TEST_KUBECONFIG") else None
        yield Commands(tmp_path / "project", workshop.kubeconfig, workshop.namespace, home)
    finally:
        workshop.clear()
