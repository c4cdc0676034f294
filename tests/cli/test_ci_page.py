"""docs/ci.md and README's part on CI: their commands run, their files are what they claim to be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchctl.cli.verify_chain import Format
from tests.support.projects import Project, clean_environment
from tests.support.repositories import GitRepository

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text()
README = (ROOT / "README.md").read_text().partition("## In CI\n")[2].partition("\n## ")[0]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


COMMANDS = [
    line for text in (README, PAGE) for one in blocks(text, "sh") for line in one.split("\n")
]
FILES = [one for text in (README, PAGE) for one in blocks(text, "yaml")]


def test_every_command_runs(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.add("001", "op.create_table('t', sa.Column('id', sa.Integer))", "op.drop_table('t')")
    assert project.alembic("upgrade", "head").returncode == 0
    (project.folder / "pytest.ini").write_text("[pytest]\n")
    (project.folder / ".gitignore").write_text("__pycache__\n*.db\n")
    repository = GitRepository.make(project.folder)
    repository.commit("a revision")
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert len(COMMANDS) >= 8
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=project.folder,
            env=clean_environment() | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@pytest.mark.parametrize("text", FILES)
def test_every_file_is_one(text: str, tmp_path: Path) -> None:
    content = yaml.safe_load(text)
    if "pre-commit" in text.splitlines()[0]:
        path = tmp_path / ".pre-commit-config.yaml"
        path.write_text(text)
        checked = [sys.executable, "-m", "pre_commit", "validate-config", str(path)]
        assert subprocess.run(checked).returncode == 0
        named = {hook["id"] for one in content["repos"] for hook in one["hooks"]}
        assert named <= {hook["id"] for hook in HOOKS}
        return
    used = [step for step in steps(content) if step.get("uses", "").startswith("OWNER/")]
    assert used
    for step in used:
        assert set(step["with"]) <= set(ACTION["inputs"])


def steps(content: Any) -> list[dict[str, Any]]:
    """The steps of a workflow, or of a piece of one."""
    if isinstance(content, list):
        return content
    return [step for job in content["jobs"].values() for step in job["steps"]]


def test_the_tables_are_complete() -> None:
    for name in [*ACTION["inputs"], *Format]:
        assert f"\n| `{name}` |" in PAGE, name
