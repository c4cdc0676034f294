"""What the engine's tests share: an engine, a Python base image, the service's image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.docker_engine import python_image, running_engine
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
def service_image(python_base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tag of the repository's own image, built on the small one."""
    return build_image(python_base, tmp_path_factory.mktemp("context"))
