"""examples/backups/compose.yaml: its loop, in the repository's own image, beside a database."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from tests.support.docker_engine import docker

EXAMPLE = Path(__file__).parents[2] / "examples" / "backups" / "compose.yaml"


def test_the_loop_takes_a_verified_snapshot_as_the_image_s_user(service_image: str) -> None:
    sidecar = yaml.safe_load(EXAMPLE.read_text())["services"]["backup"]
    (script,) = sidecar["command"]
    script = script.replace("$$", "$").replace('sleep "$INTERVAL"', "break")
    assert "break" in script
    first, *more = sidecar["entrypoint"]
    volume = f"orchctl-sidecar-{os.getpid()}"
    confined = ["--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    run = ["run", *confined, "--volume", f"{volume}:/app/data"]
    try:
        docker(*run, service_image, "id")  # its entrypoint makes the database
        assert docker(*run, "--entrypoint", first, service_image, *more, script) == ""
        listed = docker(*run, "--entrypoint", "orchctl", service_image, "backup", "list")
        assert "scheduled" in listed
        assert "verified" in listed
    finally:
        docker("volume", "rm", "--force", volume)
