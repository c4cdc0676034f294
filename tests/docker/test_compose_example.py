"""examples/compose, by the commands that README shows."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import clean_environment

ROOT = Path(__file__).parents[2]
# Where Compose is not docker's plugin but the program before that.
DOCKER = """#!/bin/sh
if [ "$1" = compose ] && ! {docker} compose version >/dev/null 2>&1; then
  shift
  exec docker-compose "$@"
fi
exec {docker} "$@"
"""


def shown() -> str:
    (block,) = re.findall(
        r"^```sh\n(cd examples/compose\n.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    )
    return str(block)


@pytest.fixture
def project() -> Iterator[str]:
    """A name for all that is made; nothing is left of it."""
    name = f"orchctltests{uuid.uuid4().hex[:12]}"
    yield name
    label = ["--filter", f"label=com.docker.compose.project={name}"]
    if containers := docker("ps", "--all", "--quiet", *label).split():
        docker("rm", "--force", "--volumes", *containers)
    if networks := docker("network", "ls", "--quiet", *label).split():
        docker("network", "rm", *networks)
    docker("volume", "rm", "--force", name)
    docker("rmi", "--force", name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_runs_as_readme_shows_it(
    python_base: str, service_image: str, service_context: Path, project: str, tmp_path: Path
) -> None:
    """But for the names and the port, which others may have in use here."""
    place = service_context / "examples" / "compose"
    shutil.copytree(ROOT / "examples" / "compose", place, dirs_exist_ok=True)
    program = tmp_path / "docker"
    program.write_text(DOCKER.format(docker=shutil.which("docker")))
    program.chmod(0o755)
    port = free_port()
    script = shown().replace("compose:compose/", f"compose:{project}/")
    script = script.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    before, _, last = script.strip().rpartition("\n")
    assert last.startswith("docker compose down ")
    path = [str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]
    names = {"IMAGE": project, "DATA_VOLUME": project, "COMPOSE_PROJECT_NAME": project}
    done = subprocess.run(
        ["sh", "-ec", f"{before}\necho all of it runs\n{last}"],
        cwd=service_context,
        env=clean_environment()
        | names
        # The last as the service's image was built: every layer is there then.
        | {
            "VERSION": "1.2.3",
            "BASE_IMAGE": python_base,
            "PORT": str(port),
            "PATH": os.pathsep.join(path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    running, _, over = done.stdout.partition("all of it runs")
    assert over
    assert f"127.0.0.1:{port}" in running
    assert re.search(r"^state +running", running, re.M), running
    assert re.search(r"^revision +004", running, re.M), running
    label = f"label=com.docker.compose.project={project}"
    wait_until(lambda: not docker("ps", "--all", "--quiet", "--filter", label), "it is gone")
    assert docker("volume", "ls", "--quiet", "--filter", f"name={project}") == project
