"""action.yml and examples/ci: valid by the published schemas, their shell run as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from tests.support.offline_pip import lending
from tests.support.projects import Project, clean_environment
from tests.support.repositories import GitRepository
from tests.support.workflow_steps import Runner

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "ci"
SARIF = ROOT / "tests" / "support" / "schemas" / "sarif-2.1.0.json"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
_, INSTALL, VERIFY = ACTION["runs"]["steps"]

SCHEMAS = {
    "action.yml": "github-actions",
    "examples/ci/github.yml": "github-workflows",
    "examples/ci/forgejo.yml": "github-workflows",
    "examples/ci/gitlab-ci.yml": "gitlab-ci",
    ".github/workflows/ci.yml": "github-workflows",
}


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items(), ids=list(SCHEMAS))
def test_the_file_is_what_its_platform_reads(path: str, schema: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two revisions in a repository whose origin has `main`; the work tree is on a branch."""
    made = Project(tmp_path / "pro ject")
    made.add("001", name="001_initial.py")
    made.add("002", name="002_more.py")
    (made.folder / ".gitignore").write_text("__pycache__\n")
    repository = GitRepository.make(made.folder)
    repository.commit("two revisions")
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    repository.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    repository.git("fetch", "-q", "origin")
    repository.branch("feature")
    return made


def break_parent(project: Project) -> None:
    path = project.folder / "migrations/versions/002_more.py"
    text = path.read_text()
    path.write_text(text.replace("down_revision = '001'", "down_revision = '001_initial'"))


def collide(project: Project) -> None:
    """The branch and `main` at origin each get a third revision."""
    repository = GitRepository(project.folder)
    project.add("00a", down="002")
    repository.commit("one more")
    repository.switch("main")
    project.add("00b", down="002")
    repository.commit("another one")
    repository.git("push", "-q", "origin", "main")
    repository.switch("feature")


# -- the action --------------------------------------------------------------------------------


def runner(project: Project, environment: dict[str, str], **inputs: str) -> Runner:
    given = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() == ACTION["inputs"].keys()
    temporary = project.folder.parent / "temp"
    temporary.mkdir(exist_ok=True)
    files = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(temporary / "summary.md"),
        "RUNNER_TEMP": str(temporary),
    }
    values = {f"inputs.{name}": value for name, value in given.items()}
    values["steps.python.outputs.python-path"] = sys.executable
    return Runner(project.folder, environment | files, values)


def verify(project: Project, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """The action's last step, with this environment's orchctl; and the summary it wrote."""
    made = runner(project, clean_environment(), **inputs)
    own = Path(made.environment["RUNNER_TEMP"], "orchctl")
    own.mkdir()
    (own / "bin").symlink_to(Path(sys.executable).parent)
    done = made.run(VERIFY)
    summary = Path(made.environment["GITHUB_STEP_SUMMARY"])
    return done, summary.read_text() if summary.exists() else ""


def test_the_action_installs_the_orchctl_at_its_own_ref(project: Project) -> None:
    made = runner(project, lending())
    done = made.run(INSTALL)
    assert done.returncode == 0, done.stderr
    installed = Path(made.environment["RUNNER_TEMP"], "orchctl/bin/orchctl")
    version = subprocess.run(
        [installed, "--version"], env=made.environment, capture_output=True, text=True
    )
    assert version.stdout.startswith("orchctl "), version.stderr
    assert made.run(VERIFY).returncode == 0


def test_the_action_on_a_broken_chain(project: Project) -> None:
    break_parent(project)
    done, summary = verify(project, sarif="found.sarif", args="--select C")
    assert done.returncode == 1, done.stderr
    (annotation,) = done.stdout.splitlines()
    assert annotation.startswith("::error file=migrations/versions/002_more.py,line=12,")
    assert summary.startswith("### The migration chain is broken\n\n2 revisions, ")
    assert "| error | C01 | migrations/versions/002\\_more.py:12 |" in summary
    assert "```mermaid\nflowchart BT\n" in summary
    log = json.loads((project.folder / "found.sarif").read_text())
    jsonschema.validate(log, json.loads(SARIF.read_text()))
    assert [one["ruleId"] for one in log["runs"][0]["results"]] == ["C01"]


def test_the_action_on_a_sound_chain(project: Project) -> None:
    done, summary = verify(project, path="migrations/versions", args="--select C")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert summary.startswith("### The migration chain is sound\n\n2 revisions, 1 head (002), ")
    assert not list(project.folder.glob("*.sarif"))


def test_the_action_takes_its_options_from_several_lines(project: Project) -> None:
    break_parent(project)
    done, _ = verify(project, args="--ignore L\n--select C12\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_action_on_what_breaks_once_merged(project: Project) -> None:
    collide(project)
    done, summary = verify(project, base="origin/main", args="--select C15")
    assert done.returncode == 1, done.stderr
    assert "title=C15::" in done.stdout
    assert "| C15 |" in summary


def test_the_action_without_a_project_says_so_and_writes_no_summary(project: Project) -> None:
    (project.folder / "sub").mkdir()
    done, summary = verify(project, working_directory="sub", path="nowhere")
    assert (done.returncode, summary) == (2, "")
    assert "nowhere does not exist" in done.stderr


# -- the examples ------------------------------------------------------------------------------


def variables(project: Project, **more: str) -> dict[str, str]:
    """A job's environment. orchctl is installed already, so that pip has nothing to fetch."""
    return clean_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "GITHUB_STEP_SUMMARY": str(project.folder.parent / "summary.md"),
        **more,
    }


def steps_of(name: str) -> list[dict[str, Any]]:
    (job,) = yaml.safe_load((EXAMPLES / name).read_text())["jobs"].values()
    return [step for step in job["steps"] if "run" in step]


def run_workflow(name: str, project: Project, **more: str) -> tuple[int, str]:
    """The exit code of the first step that fails, and all that is printed."""
    made = Runner(project.folder, variables(project, **more), {})
    code, printed = 0, ""
    for step in steps_of(name):
        if code and step.get("if") != "always()":
            continue
        done = made.run(step)
        printed += done.stdout + done.stderr
        code = code or done.returncode
    return code, printed


def test_the_example_for_github(project: Project) -> None:
    code, _ = run_workflow("github.yml", project)
    assert code == 0
    collide(project)
    code, printed = run_workflow("github.yml", project, GITHUB_BASE_REF="main")
    assert code == 1
    assert re.search(r"^::error .*title=C15::", printed, re.MULTILINE), printed
    assert "### The migration chain is " in (project.folder.parent / "summary.md").read_text()
    log = json.loads((project.folder / "orchctl.sarif").read_text())
    jsonschema.validate(log, json.loads(SARIF.read_text()))


def test_the_example_for_forgejo(project: Project) -> None:
    assert run_workflow("forgejo.yml", project)[0] == 0
    collide(project)
    code, printed = run_workflow("forgejo.yml", project, GITHUB_BASE_REF="main")
    assert code == 1
    assert "C15 error: " in printed


def run_gitlab(project: Project, **more: str) -> subprocess.CompletedProcess[str]:
    job = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())["verify-chain"]
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=project.folder,
        env=variables(project, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def test_the_example_for_gitlab(project: Project) -> None:
    done = run_gitlab(project)
    assert done.returncode == 0, done.stdout
    suites = ET.fromstring((project.folder / "orchctl.xml").read_text())
    assert (suites.tag, suites.get("failures")) == ("testsuites", "0")
    assert (project.folder / "chain.html").read_text().startswith("<!")
    collide(project)
    done = run_gitlab(project, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert done.returncode == 1
    assert "C15 error: " in done.stdout
