"""What a folder can hold that no editor saved: told, never a crash, and never waited for."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chains import Link, write
from tests.support.machine import without_overrides
from tests.support.projects import clean_environment
from tests.support.repositories import GitRepository

ODD = os.fsdecode(b"\xff\xfe.py")
# What is made of a path, and what is said of it.
NOT_REGULAR = "it is not a regular file"
STRAY = "takes it for no revision"


def make(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    elif kind == "folder":
        path.mkdir()
    elif kind == "closed":
        path.write_text(Link("z9").text)
        path.chmod(0)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    else:
        targets = {"loop": path.name, "nothing": "nowhere.py", "zero": "/dev/zero"}
        path.symlink_to(targets.get(kind, kind))


KINDS = {
    "pipe": ("error", NOT_REGULAR),
    "socket": ("error", NOT_REGULAR),
    "closed": ("error", "Permission denied"),
    "loop": ("error", "Too many levels of symbolic links"),
    "nothing": ("error", "it is gone, or a link to nothing"),
    "zero": ("warning", STRAY),
    "/proc/self/pagemap": ("warning", STRAY),
    "elsewhere": ("warning", STRAY),
    "large": ("warning", "larger than 64 MiB"),
    "folder": (None, ""),
}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*without_overrides(), sys.executable, "-m", "orchctl", "verify-chain", *words],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=100,
    )


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    return write(tmp_path / "migrations" / "versions", [Link("a1"), Link("b1", ("a1",))])


def test_each_kind_is_told(versions: Path) -> None:
    for number, kind in enumerate(KINDS):
        make(versions / f"x{number}.py", kind)
    (versions / ODD).write_text("revision = '")
    done = run(versions, ".", "--json")
    found = {one["path"]: one for one in json.loads(done.stdout)["findings"]}
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["revisions"] == ["a1", "b1"]
    for number, (severity, told) in enumerate(KINDS.values()):
        name = "nowhere.py" if told.endswith("a link to nothing") else f"x{number}.py"
        one = found.pop(name, None)
        assert (one and (one["rule"], one["severity"])) == (severity and ("C07", severity))
        assert not one or told in one["message"]
    assert [one["rule"] for one in found.values()] == ["C07"]  # the name that is no UTF-8


@pytest.mark.parametrize(
    "words",
    [
        *(("--format", form) for form in ("text", "json", "sarif", "github", "junit", "markdown")),
        *(("--graph", form) for form in ("text", "dot", "mermaid", "svg", "html")),
        ("--fix",),
        ("--base", "HEAD"),
        ("--db", "../app.db"),
    ],
)
def test_no_way_to_look_at_them_fails_or_waits(versions: Path, words: tuple[str, ...]) -> None:
    repository = GitRepository.make(versions.parents[1])
    (versions / ODD).write_text("revision = '")
    repository.commit("what git takes")
    for number, kind in enumerate(KINDS):
        make(versions / f"x{number}.py", kind)
    (versions / "two\nlines.py").write_text(Link("c1", ("b1",)).text)
    os.mkfifo(versions.parent / "env.py")
    (versions.parent / "app.db").touch()
    done = run(versions, ".", *words)
    assert done.returncode == 1, done.stderr
    assert done.stdout
    assert not done.stderr


@pytest.mark.parametrize("kind", ["pipe", "socket", "closed", "loop", "zero", "large", "folder"])
def test_a_lockfile_that_is_none(versions: Path, kind: str) -> None:
    make(versions / "chain.lock", kind)
    make(versions.parent / "chain.lock", kind)
    done = run(versions, ".", "--frozen")
    assert done.returncode == 3, done
    assert "chain.lock is no lockfile: " in done.stderr


def test_folders_that_cannot_be_listed_are_told(versions: Path) -> None:
    inside = versions / "inside"
    inside.mkdir()
    (inside / "c1.py").write_text(Link("c1", ("b1",)).text)
    ini = versions.parents[1] / "alembic.ini"
    ini.write_text("[alembic]\nscript_location = migrations\nrecursive_version_locations = true\n")
    assert run(versions.parents[1]).returncode == 0
    inside.chmod(0)
    try:
        done = run(versions.parents[1])
    finally:
        inside.chmod(0o700)
    assert done.returncode == 3
    assert f"The folder {inside} cannot be listed: Permission denied" in done.stderr
