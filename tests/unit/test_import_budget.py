"""Short commands stay short: what they may import, seen in a process of their own.

The figures behind it are in docs/benchmarks.md; what is not imported takes no time on any machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.projects import clean_environment, run

ROOT = Path(__file__).parents[2]

# pydantic: Typer converts through it whatever orchctl.cli.parameters leaves to it.
NEEDLESS = {"sqlalchemy", "alembic", "docker", "kubernetes", "pydantic", "rich"}

_CHILD = """
import json, sys
from orchctl.cli import run
code = run(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "modules": sorted(sys.modules)}, file)
"""


@pytest.fixture(scope="module", params=["generic", "async", "pyproject"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `alembic init` makes it, its database at head."""
    folder = tmp_path_factory.mktemp(request.param)
    _alembic(folder, "init", "-t", request.param, "migrations")
    ini, url = folder / "alembic.ini", "sqlite+aiosqlite" if request.param == "async" else "sqlite"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", f"{url}:///a.db"))
    for message in ("one", "two"):
        _alembic(folder, "revision", "-m", message)
    _alembic(folder, "upgrade", "head")
    return folder


def _alembic(folder: Path, *words: str) -> None:
    done = run("alembic", words, folder, clean_environment())
    assert done.returncode == 0, done.stderr


def _imported(folder: Path, *words: str, code: int = 0, url: str | None = None) -> set[str]:
    """The top-level packages in a process that ran the command there."""
    with tempfile.NamedTemporaryFile(suffix=".json") as told:
        subprocess.run(
            [sys.executable, "-c", _CHILD, told.name, *words],
            cwd=folder,
            env=clean_environment() | ({"DATABASE_URL": url} if url else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        found = json.load(told)
    assert found["code"] == code
    return {name.partition(".")[0] for name in found["modules"]}


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        "upgrade --help",
        "k8s --help",
        "k8s restart --help",
        "verify-chain",
        "verify-chain --json",
        "status",
        "--json status",
        "current",
        "current --json",
        "upgrade",
        "upgrade heads --lock-timeout 5s",
        "upgrade --json",
        "backup list --json",
        "config show --json",
        "wait-db",
    ],
)
def test_a_short_command_imports_nothing_heavy(project: Path, words: str) -> None:
    assert not _imported(project, *words.split()) & NEEDLESS


def test_what_runs_before_a_container_s_command_imports_nothing_heavy(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchctl", "run", "--", "echo", "started"],
        cwd=project,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "started\n"
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "orchctl" in imported
    assert not imported & NEEDLESS


def test_global_options_cost_no_import_either(project: Path) -> None:
    words = ("-c", "alembic.ini", "--url", "sqlite:///a.db", "-x", "a=b", "--no-color", "current")
    assert not _imported(project, *words) & NEEDLESS


def test_an_error_costs_no_import_either(project: Path) -> None:
    assert not _imported(project, "-c", "missing.ini", "current", code=3) & NEEDLESS


@pytest.mark.parametrize("command", ["upgrade", "current", "status", "verify-chain"])
def test_the_orchestrators_own_chain_needs_nothing_heavy(tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    assert "alembic" in _imported(ROOT, "upgrade", url=url)
    assert not _imported(ROOT, command, url=url) & NEEDLESS


def test_rich_is_imported_for_a_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    _imported(ROOT, "upgrade", "002", url=url)
    _imported(ROOT, "backup", "create", url=url)
    assert "rich" in _imported(ROOT, "backup", "list", url=url)
