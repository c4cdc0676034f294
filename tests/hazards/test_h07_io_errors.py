"""H07: a disk that fails: every write, sync, rename, removal and read of an upgrade, one by one.

The exit code says which of two states the database is in, and it is true: 0 is after, anything
else is before (in WAL mode it may have to be said that only the disk knows). A dying disk keeps
failing (sticky); a flaky one fails once.
"""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from pathlib import Path

import pytest

from tests.hazards.test_h05_calls import content, project_in, put_back
from tests.support import faults
from tests.support.faults import NAMES, READS, WRITES, Fault
from tests.support.preloaded import orchctl
from tests.support.projects import Project

FAILED = (3, 5, 6)
# As often a run without faults is let through between two with them.
EVERY = 9
# Journal mode, how the calls end, whether all after it do too, which calls, every how many-th.
CASES = {
    "delete, dying": ("delete", errno.EIO, True, WRITES + NAMES, 3),
    "wal, dying": ("wal", errno.EIO, True, WRITES + NAMES, 2),
    "wal, full once": ("wal", errno.ENOSPC, False, WRITES, 3),
    "delete, unreadable once": ("delete", errno.EIO, False, READS, 3),
    "wal, unreadable": ("wal", errno.EIO, True, READS, 4),
    "no database, flaky": ("none", errno.EIO, False, WRITES + NAMES + READS, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_h07_before_or_after_whatever_fails(tmp_path: Path, case: str) -> None:
    mode, error, sticky, points, stride = CASES[case]
    project = project_in(tmp_path, mode)
    before, after, failures = content(project), "", 0
    for number in itertools.count(1, stride):
        reached = tmp_path / f"reached-{number}"
        fault = Fault(number, error, sticky, points)
        done = faults.start(project, "upgrade", fault=fault, log=reached).finished()
        where = f"{case}: {os.strerror(error)} at call {number}: exit {done.returncode}"
        if done.returncode == 0:
            after = after or content(project)
            assert content(project) == after != before, where
            put_back(project, before, where, existed=mode != "none")
        else:
            failures += 1
            _told(done, where)
            if content(project) != before:
                # All of the commit was in the WAL when its sync failed, and the dying disk let
                # nobody take it out again. Then it is said, and not called "as before".
                assert "The disk failed at the commit" in done.stderr, where
                assert sticky, where
                put_back(project, before, where, existed=mode != "none")
        if len(reached.read_text().splitlines()) < number:
            break
        if number % (EVERY * stride) < stride:
            _goes_through(project, before, where, existed=mode != "none")
    assert done.returncode == 0
    assert failures > 3


def _told(done: subprocess.CompletedProcess[str], where: str) -> None:
    assert done.returncode in FAILED, (where, done.stderr)
    assert done.stderr.count("error: ") == 1, (where, done.stderr)
    assert "Traceback" not in done.stderr, (where, done.stderr)
    assert done.stdout == "", where


def _goes_through(project: Project, before: str, where: str, *, existed: bool) -> None:
    done = orchctl(project, "upgrade")
    assert done.returncode == 0, (where, done.stderr)
    put_back(project, before, where, existed=existed)
