"""The pre-commit hooks: installed by pre-commit as from anywhere, stopping real commits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.offline_pip import lending
from tests.support.projects import Project
from tests.support.repositories import GitRepository

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", MANIFEST.name)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """orchctl as a repository of its own, with what a hook's installation needs of it."""
    repository = GitRepository.make(tmp_path_factory.mktemp("published"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "orchctl", repository.folder / "orchctl", ignore=ignored)
    for name in SOURCES:
        shutil.copy(ROOT / name, repository.folder / name)
    repository.commit("orchctl")
    repository.git("tag", "v1.0")
    return repository


def run(repository: GitRepository, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=repository.folder,
        env=lending() | {"PRE_COMMIT_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def commit(repository: GitRepository, home: Path) -> subprocess.CompletedProcess[str]:
    repository.git("add", "--all")
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    return run(repository, "git", *identity, "commit", "-m", "a change", home=home)


def test_the_manifest_is_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(MANIFEST)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    hooks = yaml.safe_load(MANIFEST.read_text())
    assert [one["id"] for one in hooks] == ["orchctl-verify-chain", "orchctl-verify-chain-frozen"]


def test_a_commit_that_breaks_the_chain_is_stopped(
    tmp_path: Path, published: GitRepository
) -> None:
    project = Project(tmp_path / "project")
    for number in (1, 2, 3):
        project.add(f"00{number}")
    repository = GitRepository.make(project.folder)
    (project.folder / ".gitignore").write_text("__pycache__\n")
    (project.folder / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {published.folder}\n  rev: v1.0\n  hooks:\n"
        "  - id: orchctl-verify-chain\n  - id: orchctl-verify-chain-frozen\n"
    )
    home = tmp_path / "home"
    assert project.orchctl("verify-chain", "--lock").returncode == 0
    installed = run(repository, "pre-commit", "install", home=home)
    assert installed.returncode == 0, installed.stdout
    sound = commit(repository, home)
    assert sound.returncode == 0, sound.stdout
    assert sound.stdout.count("Passed") == 2
    # Nothing is added or changed: a hook that waits for the names of files would not run.
    gone = project.folder / "migrations/versions/002_step.py"
    text = gone.read_text()
    gone.unlink()
    stopped = commit(repository, home)
    assert stopped.returncode == 1
    assert "migrations/versions/003_step.py:12: C06 error: " in stopped.stdout
    gone.write_text(text.replace("pass", "op.execute('SELECT 1')", 1))
    stopped = commit(repository, home)
    assert stopped.returncode == 1
    assert (stopped.stdout.count("Passed"), stopped.stdout.count("C13 error")) == (1, 1)
