"""A named pipe where SQLite has its files: whoever opened it would wait for ever."""

from __future__ import annotations

import os

import pytest

from tests.support.preloaded import orchctl
from tests.support.projects import Project

NAMES = ("app.db", "app.db-journal", "app.db-wal", "app.db-shm")
COMMANDS = (
    "status",
    "current",
    "upgrade",
    "upgrade --dry-run",
    "upgrade --no-rehearse --no-backup",
    "downgrade aaaa01 --yes",
    "rehearse",
    "rollback --accept-data-loss --yes",
    "rollback --dry-run",
    "stamp aaaa01",
    "check",
    "backup create",
    "backup restore latest --yes",
)


@pytest.fixture
def kept(begun: Project) -> Project:
    """With a snapshot to go back to."""
    assert orchctl(begun, "upgrade").returncode == 0
    return begun


@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_is_refused_at_once(kept: Project, name: str) -> None:
    path = kept.folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    before = {one.name for one in kept.folder.iterdir()}
    for command in COMMANDS:
        done = orchctl(kept, *command.split(), "--json")
        assert done.returncode == 5, (command, done.stdout, done.stderr)
        assert '"cannot-open"' in done.stderr, (command, done.stderr)
    waited = orchctl(kept, "wait-db", "--timeout", "0s")
    assert waited.returncode in (5, 10), waited.stderr
    assert "no regular file" in waited.stderr or "not a file" in waited.stderr
    assert path.is_fifo()
    assert {one.name for one in kept.folder.iterdir()} - before <= {"app.db.orchctl-lock"}
