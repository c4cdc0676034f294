"""What the engine's tests share: an engine, a Python base image, the service's image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import Boxes
from tests.support.docker_engine import busybox_image, python_image, running_engine
from tests.support.service_image import build_image


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """A Docker engine that answers."""
    with running_engine():
        yield


@pytest.fixture(scope="session")
def python_base(engine: None) -> str:
    """The tag of a small image with this Python and a shell."""
    return python_image()


@pytest.fixture(scope="session")
def service_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the repository's own image is built; with what it is made of once it is."""
    return tmp_path_factory.mktemp("context")


@pytest.fixture(scope="session")
def service_image(python_base: str, service_context: Path) -> str:
    """The tag of the repository's own image, built on the small one."""
    return build_image(python_base, service_context)


@pytest.fixture(scope="session")
def busybox(engine: None) -> str:
    """The tag of an image that has busybox and nothing else."""
    return busybox_image()


@pytest.fixture
def boxes(busybox: str, tmp_path: Path) -> Iterator[Boxes]:
    """Containers of one test, gone afterwards."""
    boxes = Boxes(busybox, tmp_path)
    try:
        yield boxes
    finally:
        boxes.clean()
