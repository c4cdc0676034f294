"""What holds for every test."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and what they start would
# inherit that: the tests that send it would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests of one kind share what is dear to start (a browser, a container engine), so they run in one
# worker, one after the other; `--dist loadgroup` keeps to it.
ALONE = {"e2e": "browser", "docker": "docker"}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in ALONE:
            item.add_marker(pytest.mark.xdist_group(ALONE[folder]))
