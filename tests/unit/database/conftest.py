from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sqlite_files import reachable_folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder
