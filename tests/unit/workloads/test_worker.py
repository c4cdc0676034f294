"""Who began something: there still, gone, or nobody can tell."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchctl.workloads.docker.worker import Worker, is_alive, this_one
from orchctl.workloads.process import began
from tests.support.processes import wait_until


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def worker(process: subprocess.Popen[bytes]) -> Worker:
    return replace(this_one(), pid=process.pid, started=began(process.pid))


def test_whoever_runs_is_there(process: subprocess.Popen[bytes]) -> None:
    assert is_alive(this_one())
    assert is_alive(worker(process))


def test_a_zombie_is_not(process: subprocess.Popen[bytes]) -> None:
    """In a container nobody may ask how it ended."""
    one = worker(process)
    process.kill()
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: ") Z " in stat.read_text(), "it is a zombie")
    assert is_alive(one) is False
    process.wait()
    assert is_alive(one) is False


def test_another_with_its_number_is_not_that_one(process: subprocess.Popen[bytes]) -> None:
    assert is_alive(replace(worker(process), started="1")) is False


def test_elsewhere_it_is_not_known() -> None:
    here = this_one()
    assert is_alive(replace(here, host="elsewhere")) is None
    assert is_alive(replace(here, namespace="pid:[1]")) is None
    assert is_alive(replace(here, boot="another")) is False
