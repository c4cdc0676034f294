"""`orchctl doctor --target` on real containers that are set up wrong: D01 to D05, and more."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import docker
from tests.support.preloaded import orchctl
from tests.support.processes import wait_until
from tests.support.projects import Project
from tests.support.sqlite_files import make

PREFIX = f"orchctl-doctor-{os.getpid()}"
URL = "DATABASE_URL=sqlite:////data/app.db"
# Opens the database, makes it where there is none, and stays.
HOLD = """
import sqlite3, sys, time
c = sqlite3.connect("/data/app.db", isolation_level=None)
c.execute("PRAGMA journal_mode=WAL").fetchall()
c.execute("CREATE TABLE IF NOT EXISTS t (x)")
c.execute("INSERT INTO t VALUES ('private-row-value')")
print("ready key sk-S3CRETS3CRET Authorization: Bearer S3CRET", flush=True)
time.sleep(600)
"""
STAY = "import time; time.sleep(600)"


@contextlib.contextmanager
def container(name: str, image: str, *words: str, program: str = HOLD) -> Iterator[str]:
    """A container that runs a program and, where that says so, is ready."""
    full = f"{PREFIX}-{name}"
    docker("run", "--detach", "--name", full, *words, image, "python3", "-c", program)
    try:
        if program is HOLD:
            wait_until(lambda: "ready" in docker("logs", full), full)
        yield full
    finally:
        docker("rm", "--force", "--volumes", full)


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """A folder without a project: what the container is, is asked of it alone."""
    project = object.__new__(Project)
    project.folder = tmp_path
    return project


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def examined(project: Project, name: str, *words: str) -> dict[str, Any]:
    done = orchctl(project, "doctor", "--target", f"docker:{name}", "--json", *words)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1)
    return dict(answer)


def levels(answer: dict[str, Any], subject: str | None = None) -> dict[str, str]:
    every = answer["findings"]
    return {one["id"]: one["level"] for one in every if subject in (None, one["subject"])}


def only(answer: dict[str, Any], id_: str) -> dict[str, Any]:
    (one,) = [one for one in answer["findings"] if one["id"] == id_]
    return dict(one)


def test_d01_the_container_s_own_layer_and_its_settings(folder: Project, python_base: str) -> None:
    words = [
        "-e",
        URL,
        "-e",
        "ADMIN_KEY=",
        "-e",
        "SECRET_KEY=changeme",
        "-e",
        "SKIP_MIGRATION=true",
    ]
    with container("layer", python_base, *words, program=STAY) as name:
        answer = examined(folder, name)
        found = levels(answer, f"docker:{name}")
        assert found["container-layer"] == "error"
        assert found["no-admin-key"] == found["weak-secret"] == "warning"
        assert found["migration-skipped"] == "note"
        assert "no-api-keys" not in found
        assert "changeme" not in json.dumps(answer)
        # What it says to type brings the files out: here a directory that isn't even there yet.
        assert only(answer, "container-layer")["command"].startswith(f"docker cp {name}:/data ")


def test_d02_the_file_alone_is_mounted(folder: Project, data: Path, python_base: str) -> None:
    make(data / "app.db", "wal")
    words = ["-e", URL, "-v", f"{data / 'app.db'}:/data/app.db"]
    with container("file", python_base, *words) as name:
        found = levels(examined(folder, name), f"docker:{name}")
        assert found["single-file-mount"] == "error"
        assert "container-layer" not in found


def test_d03_another_user(folder: Project, data: Path, python_base: str) -> None:
    make(data / "app.db")
    for place in (data, *data.parents):
        if place.is_relative_to("/tmp") and place != Path("/tmp"):
            place.chmod(place.stat().st_mode | 0o055)
    words = ["-e", URL, "-v", f"{data}:/data", "--user", "1234:1234"]
    with container("user", python_base, *words, program=STAY) as name:
        answer = examined(folder, name)
        finding = only(answer, "directory-not-writable")
        assert "uid 1234, the user of" in finding["what"]
        assert finding["command"] == f"sudo chown 1234 {data}"
        assert levels(answer)["database-not-writable"] == "error"
        os.chown(data, 1234, 1234)
        os.chown(data / "app.db", 1234, 1234)
        found = levels(examined(folder, name))
        assert "database-not-writable" not in found
        assert "directory-not-writable" not in found


def test_d05_two_on_one_volume_whatever_they_are_called(
    folder: Project, data: Path, python_base: str
) -> None:
    labels = ["--label", "proxy.users=me:S3CRET", "--label", "com.docker.compose.project=shop"]
    with (
        container("one", python_base, "-e", URL, "-v", f"{data}:/data", *labels) as one,
        container("two", python_base, "-v", f"{data}:/elsewhere", "-v", f"{data}:/data") as two,
    ):
        answer = examined(folder, one, "--bundle", "case.tar.gz")
        (by_engine,) = [
            each
            for each in answer["findings"]
            if each["id"] == "two-containers" and each["subject"] == f"docker:{one}"
        ]
        assert two in by_engine["what"]
        # The processes tell the same, with their containers' ids.
        (by_process,) = [
            each
            for each in answer["findings"]
            if each["id"] == "two-containers" and each["subject"] == str(data / "app.db")
        ]
        ids = [docker("inspect", "--format", "{{.Id}}", name)[:12] for name in (one, two)]
        assert all(id_ in "".join(by_process["evidence"]) for id_ in ids)
        assert levels(answer)["wal-reset-bug"] in ("warning", "note")
        _look_into(folder.folder / "case.tar.gz", one)


def _look_into(bundle: Path, name: str) -> None:
    with tarfile.open(bundle) as archive:
        texts = {one.name: archive.extractfile(one).read().decode() for one in archive}
    facts = json.loads(texts[f"case/{name}/container.json"])
    assert "DATABASE_URL=sqlite:////data/app.db" in facts["environment"]
    assert facts["labels"]["com.docker.compose.project"] == "shop"
    assert "ready" in texts[f"case/{name}/log.txt"]
    assert "S3CRET" not in "".join(texts.values())
    assert "private-row-value" not in "".join(texts.values())


def test_a_deleted_database_that_a_container_still_has(
    folder: Project, data: Path, python_base: str
) -> None:
    with container("gone", python_base, "-e", URL, "-v", f"{data}:/data") as name:
        (data / "app.db").unlink()
        finding = only(examined(folder, name), "deleted-but-open")
        assert docker("inspect", "--format", "{{.Id}}", name)[:12] in finding["what"]


def test_a_volume_without_a_name_and_one_in_memory(folder: Project, python_base: str) -> None:
    with container("anonymous", python_base, "-e", URL, "-v", "/data") as name:
        assert levels(examined(folder, name))["anonymous-volume"] == "warning"
    with container("memory", python_base, "-e", URL, "--tmpfs", "/data") as name:
        assert levels(examined(folder, name), f"docker:{name}")["memory-filesystem"] == "warning"


def test_d04_what_the_container_s_own_mounts_say(
    folder: Project, data: Path, python_base: str
) -> None:
    words = ["-e", URL, "-v", f"{data}:/data:ro"]
    with container("read-only", python_base, *words, program=STAY) as name:
        found = levels(examined(folder, name), f"docker:{name}")
        assert found["read-only-filesystem"] == "error"


def test_states(folder: Project, data: Path, python_base: str) -> None:
    sick = ["--health-cmd", "echo no such table; exit 1", "--health-interval", "100ms"]
    words = [*sick, "--health-retries", "1", "-e", URL, "-v", f"{data}:/data"]
    with container("sick", python_base, *words) as name:
        wait_until(lambda: "(unhealthy)" in docker("ps", "--filter", f"name={name}"), "unhealthy")
        assert "no such table" in only(examined(folder, name), "unhealthy")["evidence"][0]
        docker("kill", name)
        answer = examined(folder, name)
        assert only(answer, "not-running")["command"] == f"docker start {name}"
        why = {one["name"]: one["why"] for one in answer["checks"] if not one["done"]}
        assert why["inside"] == why["library"] == "it is exited"
        # Its WAL was left, which only who looks at the host's side sees.
        assert levels(answer)["wal-left"] == "warning"
    with container("loop", python_base, "--restart", "always", program="exit(3)") as name:
        wait_until(lambda: levels(examined(folder, name)).get("crash-loop") == "error", "a loop")


def test_a_target_that_is_not_there(folder: Project, engine: None) -> None:
    done = orchctl(folder, "doctor", "--target", "docker:no-such-container", "--json")
    assert done.returncode == 9
    assert json.loads(done.stderr)["error"]["code"] == "no-such-container"


def test_the_target_in_the_settings(folder: Project, data: Path, python_base: str) -> None:
    make(data / "app.db")
    settings = 'url = "sqlite:///data/app.db"\n[workload]\ntarget = "docker:{}"\n'
    with container("settings", python_base, "-v", f"{data}:/data", program=STAY) as name:
        (folder.folder / "orchctl.toml").write_text(settings.format(name))
        answer = json.loads(orchctl(folder, "doctor", "--json").stdout)
        subjects = {one["subject"] for one in answer["checks"]}
        assert subjects == {str(data / "app.db"), f"docker:{name}"}
    answer = json.loads(orchctl(folder, "doctor", "--json").stdout)
    (gone,) = [one for one in answer["checks"] if one["name"] == "workload"]
    assert not gone["done"]
    assert name in gone["why"]
    assert "rollback-journal" in levels(answer, str(data / "app.db"))
