"""The image: it migrates, serves, and ends as an engine expects of it."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.docker_engine import docker
from tests.support.orchestrator import ADMIN, ADMIN_KEY, API_KEY
from tests.support.processes import wait_until
from tests.support.service_image import SECRET


@contextmanager
def container(image: str, *words: str) -> Iterator[str]:
    """Run the image until the end of the block; its id."""
    variables = ["--env", f"ADMIN_KEY={ADMIN_KEY}", "--env", f"API_KEYS={API_KEY}"]
    # A check every second, so that nobody has to wait ten for the first.
    often = ["--health-interval", "1s", "--health-start-period", "60s"]
    started = docker("run", "--detach", *variables, *often, *words, image)
    try:
        yield started
    finally:
        docker("rm", "--force", "--volumes", started)


def inspect(what: str) -> Any:
    return json.loads(docker("inspect", what))[0]


def logs(started: str) -> str:
    done = subprocess.run(["docker", "logs", started], capture_output=True, text=True)
    return done.stdout + done.stderr


def wait_until_healthy(started: str) -> None:
    def healthy() -> bool:
        state = inspect(started)["State"]
        assert state["Running"], logs(started)
        return bool(state["Health"]["Status"] == "healthy")

    wait_until(healthy, "the container is healthy")


def address(started: str) -> str:
    networks = inspect(started)["NetworkSettings"]["Networks"]
    return f"http://{networks['bridge']['IPAddress']}:8000"


def test_it_migrates_serves_and_ends_at_sigterm(service_image: str) -> None:
    volume = f"orchctl-tests-{uuid.uuid4().hex}"
    locked_down = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    try:
        with container(service_image, "--volume", f"{volume}:/app/data", *locked_down) as started:
            wait_until_healthy(started)
            ready = httpx.get(f"{address(started)}/readyz").json()
            assert ready["revision"] == "004"
            provider = {"name": "kept", "type": "openai", "api_key": "k"}
            made = httpx.post(
                f"{address(started)}/api/admin/providers", json=provider, headers=ADMIN
            )
            assert made.status_code == 201, made.text
            docker("stop", "--time", "30", started)
            assert inspect(started)["State"]["ExitCode"] in {0, 143}
            assert "Traceback" not in logs(started)
        with container(service_image, "--volume", f"{volume}:/app/data") as again:
            wait_until_healthy(again)
            listed = httpx.get(f"{address(again)}/api/admin/providers", headers=ADMIN).text
            assert "kept" in listed
    finally:
        docker("volume", "rm", "--force", volume)


def test_it_runs_as_nobody_in_particular_and_holds_no_secret(service_image: str) -> None:
    seen = inspect(service_image)["Config"]
    assert seen["User"] == "1000:1000"
    assert seen["Entrypoint"][-3:] == ["orchctl", "run", "--"]
    assert seen["Labels"]["org.opencontainers.image.version"] == "1.2.3"
    assert seen["StopSignal"] == "SIGTERM"
    names = {variable.partition("=")[0] for variable in seen["Env"]}
    assert not names & {"ADMIN_KEY", "API_KEYS"}
    search = (
        "import pathlib, sys\n"
        "for top in ('/app', '/opt/app', '/src', '/wheels'):\n"
        "    for path in pathlib.Path(top).rglob('*'):\n"
        f"        if path.is_file() and {SECRET.encode()!r} in path.read_bytes():\n"
        "            print(path)\n"
    )
    words = ["--rm", "--user", "0", "--entrypoint", "python3", service_image, "-c", search]
    assert docker("run", *words) == ""


def test_nothing_of_the_program_can_be_changed_by_it(service_image: str) -> None:
    write = "import os; print(os.access('/opt/app', os.W_OK), os.access('/app', os.W_OK), "
    write += "os.access('/app/migrations', os.W_OK), os.access('/app/data', os.W_OK))"
    words = ["--rm", "--entrypoint", "python3", service_image, "-c", write]
    assert docker("run", *words) == "False False False True"
