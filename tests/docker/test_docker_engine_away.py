"""The engine goes away in the middle: a clear end, or on with it once it is back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.containers import QUICK_CHECK, STAYS, Boxes, inspect
from tests.support.docker_engine import docker
from tests.support.engine_proxy import EngineProxy, proxied
from tests.support.preloaded import Run
from tests.support.processes import wait_until

CHECK = ["--health-cmd", "test -f /tmp/ok", *QUICK_CHECK, "--health-retries", "100000"]


@pytest.fixture
def proxy(boxes: Boxes) -> Iterator[EngineProxy]:
    with proxied(boxes.folder) as proxy:
        yield proxy


def waiting(boxes: Boxes, proxy: EngineProxy, timeout: str) -> tuple[str, Run]:
    """A restart through the proxy that waits for the health check."""
    name = boxes.run("web", STAYS, *CHECK)
    began = inspect(name)["State"]["StartedAt"]
    words = ["docker", "restart", name, "--timeout", timeout, "--json"]
    process = boxes.begin(*words, DOCKER_HOST=proxy.host)
    wait_until(lambda: inspect(name)["State"]["StartedAt"] > began)
    return name, process


def error_of(process: Run) -> dict[str, object]:
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 9, stderr
    error: dict[str, object] = json.loads(stderr)["error"]
    return error


def test_d12_an_engine_that_ends_for_good_is_told(boxes: Boxes, proxy: EngineProxy) -> None:
    _, process = waiting(boxes, proxy, "2s")
    proxy.cut()
    error = error_of(process)
    assert error["code"] == "engine-away"
    assert "not known" in str(error["state"])


def test_d12_an_engine_that_comes_back_is_listened_to_again(
    boxes: Boxes, proxy: EngineProxy
) -> None:
    name, process = waiting(boxes, proxy, "60s")
    proxy.cut()
    proxy.open()
    docker("exec", name, "touch", "/tmp/ok")
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["containers"][0]["health"] == "healthy"
