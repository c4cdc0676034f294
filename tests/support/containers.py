"""Containers of a test: named, labelled, and gone when it is over."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from tests.support.docker_engine import docker
from tests.support.preloaded import Run, started
from tests.support.projects import clean_environment

LABEL = "orchctl-tests"
# Ends at SIGTERM at once: process 1 ignores what it has no handler for.
ENDS = "trap 'exit 0' TERM;"
STAYS = f"{ENDS} echo started; while :; do sleep 0.1; done"
QUICK_CHECK = ["--health-interval", "200ms", "--health-timeout", "9s", "--health-retries", "3"]


class Boxes:
    """Makes containers of one image, and removes them with their volumes and networks.

    Args:
        image: What they are made of.
        folder: Where orchctl is run.
    """

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.mark = uuid.uuid4().hex[:12]

    def name(self, name: str) -> str:
        return f"orchctl-tests-{self.mark}-{name}"

    def volume(self, name: str) -> str:
        return docker("volume", "create", "--label", f"{LABEL}={self.mark}", self.name(name))

    def network(self, name: str, *words: str) -> str:
        label = ["--label", f"{LABEL}={self.mark}"]
        docker("network", "create", *label, *words, self.name(name))
        return self.name(name)

    def run(self, name: str, script: str = STAYS, *words: str, image: str | None = None) -> str:
        """Start a container that runs a shell script; its name."""
        label = ["--label", f"{LABEL}={self.mark}", "--name", self.name(name)]
        docker("run", "--detach", *label, *words, image or self.image, "sh", "-c", script)
        return self.name(name)

    def orchctl(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run orchctl; a wait that never ends fails the test."""
        return self.begin(*words, **env).finished()

    def begin(self, *words: str, **env: str) -> Run:
        """Start orchctl and go on."""
        whole = clean_environment() | env
        return started("orchctl.__main__", words, folder=self.folder, env=whole)

    def clean(self) -> None:
        """Remove what was made, and what was made of it."""
        label = ["--filter", f"label={LABEL}={self.mark}"]
        while containers := docker("ps", "--all", "--quiet", *label).split():
            # One that removes itself may be gone first, or just going.
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", *containers], capture_output=True
            )
        for kind in ("volume", "network"):
            if made := docker(kind, "ls", "--quiet", *label).split():
                docker(kind, "rm", *made)


def inspect(what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", what))[0]
    return found


def failed(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    """The error object of a run with --json that must have ended so."""
    assert done.returncode == code, done.stdout + done.stderr
    error: dict[str, Any] = json.loads(done.stderr)["error"]
    return error


def succeeded(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The result of a run with --json."""
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
