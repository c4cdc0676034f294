"""What other tools say to a project, each by its own check; in an environment of their own.

They read revisions, or run them on an empty database in a test; none of them runs the upgrade. So
what counts is whether they warn. What they say to a harmless revision as well is left out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.projects import Project, clean_environment

PINS = Path(__file__).with_name("peers.txt")
_FOLDER = Path(sys.prefix) / "projects" / "peers"

# As pytest-alembic's documentation asks for it: the engine comes from the test.
_ENV = """\
from alembic import context
from sqlalchemy import create_engine

connectable = context.config.attributes.get("connection") or create_engine("sqlite://")
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
_TESTS = "from pytest_alembic.tests import test_single_head_revision, test_up_down_consistency\n"
_TESTS += "from pytest_alembic.tests import test_upgrade\n"


def installed() -> Path:
    """The folder of the tools' programs, made on first use."""
    marker, asked = _FOLDER / "asked-for", PINS.read_text()
    if not marker.is_file() or marker.read_text() != asked:
        shutil.rmtree(_FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", _FOLDER], check=True)
        words = ["install", "--quiet", "--disable-pip-version-check", "-r", str(PINS)]
        subprocess.run([_FOLDER / "bin" / "python", "-m", "pip", *words], check=True)
        marker.write_text(asked)
    return _FOLDER / "bin"


def versions() -> dict[str, str]:
    """The pinned version of each tool."""
    pairs = (line.split("==") for line in PINS.read_text().splitlines())
    return {name: version for name, version in pairs if name in PEERS}


def _linter(project: Project, revision: str) -> set[str]:
    words = ["alembic-lint", "--dialect", "sqlite", "--revision", revision, "--no-cache"]
    done = _run(project, words)
    if "Summary" not in done.stdout:
        error = re.findall(r"^[\w.]*\.(\w+Error)\b", done.stderr, re.MULTILINE)
        return {f"stops with {error[-1]}" if error else f"stops, exit {done.returncode}"}
    return set(re.findall(r"^\s+([A-Z_]{4,})$", done.stdout, re.MULTILINE))


def _migsafe(project: Project, revision: str) -> set[str]:
    (file,) = _versions(project).glob(f"{revision}_*.py")
    found = json.loads(_run(project, ["migsafe", "analyze", "--format", "json", file]).stdout)
    return {issue["type"] for one in found["migrations"] for issue in one["issues"]}


def _mrt(project: Project, revision: str) -> set[str]:
    words = ["mrt", "check", "--format", "json", "--since", "001", _versions(project)]
    found = json.loads(_run(project, words).stdout)
    return {f"{one['rule']} {one['pattern']}" for one in found["findings"]}


def _pytest_alembic(project: Project, revision: str) -> set[str]:
    project.set_env(_ENV)
    (project.folder / "checks").mkdir(exist_ok=True)
    (project.folder / "checks" / "test_migrations.py").write_text(_TESTS)
    words = ["pytest", "-q", "-p", "no:mrt", "-p", "no:cacheprovider", "--tb=no", "checks"]
    return set(re.findall(r"FAILED \S+::test_(\w+)", _run(project, words).stdout))


PEERS: dict[str, Callable[[Project, str], set[str]]] = {
    "pytest-alembic": _pytest_alembic,
    "alembic-migration-linter": _linter,
    "migsafe": _migsafe,
    "pytest-mrt": _mrt,
}


def flags(project: Project, revision: str = "002") -> dict[str, str]:
    """What each tool says to a revision, and not to a harmless one; the project is changed.

    Args:
        project: With its revisions.
        revision: Whose file they look at.
    """
    texts = tuple(path.read_text() for path in sorted(_versions(project).glob("*.py")))
    if texts not in _seen:
        harmless = _harmless()
        _seen[texts] = {
            name: ", ".join(sorted(look(project, revision) - harmless[name])) or "nothing"
            for name, look in PEERS.items()
        }
    return _seen[texts]


_seen: dict[tuple[str, ...], dict[str, str]] = {}
_known: dict[str, set[str]] = {}


def _harmless() -> dict[str, set[str]]:
    if not _known:
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder) / "project")
            project.add("001", 'op.create_table("t", sa.Column("id", sa.Integer))')
            project.add("002", 'op.create_table("u", sa.Column("id", sa.Integer))')
            _known.update({name: look(project, "002") for name, look in PEERS.items()})
    return _known


def _versions(project: Project) -> Path:
    return project.folder / "migrations" / "versions"


def _run(project: Project, words: list[str | Path]) -> subprocess.CompletedProcess[str]:
    program = installed() / words[0]
    return subprocess.run(
        [program, *words[1:]],
        check=False,
        cwd=project.folder,
        env=clean_environment() | {"NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
