from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchctl.database.space import SPARE, free, readable, require
from orchctl.errors import Refused


def test_free_is_what_the_filesystem_says(tmp_path: Path) -> None:
    facts = os.statvfs(tmp_path)
    assert abs(free(tmp_path) - facts.f_bavail * facts.f_frsize) < 1 << 30


def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free(tmp_path / "a" / "b" / "c.db") > 0


def test_enough_room(tmp_path: Path) -> None:
    require(tmp_path, 1, "a test")


def test_not_enough(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        require(tmp_path, 1 << 60, "a snapshot of app.db")
    error = caught.value
    assert error.code == "no-space"
    assert "a snapshot of app.db" in error.message
    assert error.details["needed"] == 1 << 60
    assert error.hint


def test_some_is_spared(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        require(tmp_path, free(tmp_path) - SPARE // 2, "the very last bytes")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (3 << 40, "3072.0 GiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert readable(size) == text
