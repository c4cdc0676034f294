"""README's terminal session, run as it stands; and what the pages say of files that must exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import clean_environment

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]

VARIABLE = (
    (re.compile(r"^  time: .*\n?", re.MULTILINE), ""),  # told of runs that take a second or more
    (re.compile(r"\d{8}T\d{6}-\d{3}"), "ID"),
    (re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}"), "TIME"),
    (re.compile(r"\d+\.\d+s"), "SECONDS"),
    (re.compile(r"\d+(\.\d+)? [KM]iB"), "SIZE"),
    (re.compile(r" +\n"), "\n"),
)


def _normal(text: str) -> str:
    for pattern, word in VARIABLE:
        text = pattern.sub(word, text)
    return text.strip()


def _sessions(page: Path) -> list[tuple[str, str]]:
    """Every (command, expected output) of a page's console blocks, in order."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_the_session_in_readme_is_what_comes_out(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "examples" / "demo"))
    from run import build_project

    build_project(tmp_path)
    environment = clean_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONIOENCODING": "utf-8",
    }
    session = _sessions(ROOT / "README.md")
    assert len(session) >= 6
    for command, expected in session:
        ran = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout
        assert _normal(ran.stdout) == _normal(expected), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text)
    named = re.findall(r"`((?:tests|orchctl|docs|benchmarks|examples|scripts)/[\w./*-]+)`", text)
    for link in links:
        assert (page.parent / link).exists(), link
    for name in named:
        assert list(ROOT.glob(name)), name
