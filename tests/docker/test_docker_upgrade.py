"""`orchctl docker upgrade`, and a deploy whose revisions only the image knows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker_engine import docker
from tests.support.processes import wait_until
from tests.support.projects import clean_environment, run

# Stays, and ends at SIGTERM; it neither migrates nor serves.
STAYS = ["--entrypoint", "dumb-init"]
SLEEP = ["sleep", "100000"]
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


class Service:
    """A container of the service's image, with its database, at 003, in a volume."""

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.name = f"orchctl-tests-{uuid.uuid4().hex[:12]}"
        self.mount = ["--volume", f"{self.name}:/app/data"]
        words = ["--rm", *self.mount, "--entrypoint", "orchctl"]
        docker("run", *words, image, "upgrade", "003", "--no-backup")
        words = ["--detach", "--no-healthcheck", "--name", self.name, *self.mount, *STAYS]
        docker("run", *words, image, *SLEEP)

    @property
    def database(self) -> Path:
        place = docker("volume", "inspect", "--format", "{{.Mountpoint}}", self.name)
        return Path(place) / "llm_orchestrator.db"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "orchctl", *words]

    def orchctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run("orchctl", words, self.folder, clean_environment())

    def heads(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return [row[0] for row in connection.execute("SELECT * FROM alembic_version")]

    def runs(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.name) == "true"

    def said_inside(self) -> str:
        words = ["docker", "logs", f"{self.name}.one-off-by-orchctl"]
        return subprocess.run(words, capture_output=True, text=True).stderr

    def containers(self) -> list[str]:
        names = docker("ps", "--all", "--format", "{{.Names}}").splitlines()
        return [name for name in names if name.startswith(self.name)]


@pytest.fixture
def service(service_image: str, tmp_path: Path) -> Iterator[Service]:
    one = Service(service_image, tmp_path)
    try:
        yield one
    finally:
        for name in one.containers():
            docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", "--force", one.name)


def test_it_upgrades_in_the_volume_and_starts_the_service_again(
    service: Service, tmp_path: Path
) -> None:
    wrong = service.orchctl("docker", "upgrade", service.name, "--to", "nowhere", "--json")
    assert wrong.returncode == 2, wrong.stderr
    assert json.loads(wrong.stderr.splitlines()[-1])["error"]["code"] == "inside-failed"
    assert (service.runs(), service.heads()) == (True, ["003"])

    copies = tmp_path / "copies"
    done = service.orchctl("docker", "upgrade", service.name, "--copy-to", str(copies), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["upgrade"]["revisions"], told["stopped"]) == (["004"], [service.name])
    assert (service.runs(), service.heads()) == (True, ["004"])
    assert service.containers() == [service.name]
    copied = Path(told["copied"])
    assert {path.suffix for path in copies.iterdir()} == {".snapshot", ".json"}
    with contextlib.closing(sqlite3.connect(copied)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("003",)]
    # As the user of the service, who must be able to go on with it.
    assert service.database.stat().st_uid == 1000


def test_ctrl_c_leaves_no_container_and_the_service_running(service: Service) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(service.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        running = subprocess.Popen(
            service.command("docker", "upgrade", service.name),
            cwd=service.folder,
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: "Rehearsed" in service.said_inside(), "it is at work")
        except BaseException:
            running.kill()
            raise
        os.kill(running.pid, signal.SIGINT)
        _, told = running.communicate(timeout=100)
        assert running.returncode == 130, told
        holder.communicate(b"")
    assert service.containers() == [service.name]
    assert (service.runs(), service.heads()) == (True, ["003"])


def test_a_deploy_with_the_revisions_of_the_image(service: Service) -> None:
    """No project here: rehearsal and upgrade run in the new image."""
    database = ["--url", f"sqlite:///{service.database}"]
    words = [f"docker:{service.name}", "--image", service.image, "--json"]
    looked = service.orchctl(*database, "deploy", *words, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert json.loads(looked.stdout)["chain"] == "image"
    done = service.orchctl(*database, "deploy", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["from"], told["to"]) == ("003", "004")
    assert (service.runs(), service.heads()) == (True, ["004"])
    assert service.containers() == [service.name]
