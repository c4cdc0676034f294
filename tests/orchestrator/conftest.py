"""What the orchestrator's tests share: a migrated database to copy, and a service on one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.orchestrator import Service, copied, new_database, running


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at head without rows; copy it, don't write to it."""
    return new_database(tmp_path_factory.mktemp("template"))


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    """A database at head of one's own."""
    return copied(template, tmp_path / "data")


@pytest.fixture(scope="session")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service as it usually is, for whoever needs one; others may have left rows in it."""
    with running(copied(template, tmp_path_factory.mktemp("service"))) as service:
        yield service
