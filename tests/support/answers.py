"""What plain Alembic and orchctl answer to the same questions, many questions to one process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects import clean_environment

# Each question gets its own run of the program's entry point; its output is taken from the file
# descriptors, where alembic (which keeps the stdout it was imported with) and hooks write too.
_RUNNER = """
import json, os, sys, tempfile
program, questions = json.load(sys.stdin)
if program == "alembic":
    from alembic.config import main
else:
    from orchctl.cli import run as main

def ask(words):
    files = tempfile.TemporaryFile("w+b"), tempfile.TemporaryFile("w+b")
    for number, file in zip((1, 2), files):
        os.dup2(file.fileno(), number)
    try:
        code = main(words) or 0
    except SystemExit as error:
        code = error.code
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    texts = []
    for file in files:
        file.seek(0)
        texts.append(file.read().decode())
    return [code, *texts]

kept = os.dup(1)
answers = [ask(words) for words in questions]
os.dup2(kept, 1)
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Answer:
    """How one run ended."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def alembic(folder: Path, questions: Sequence[Sequence[str]]) -> list[Answer]:
    """Plain Alembic's answers."""
    return _ask("alembic", folder, questions)


def orchctl(folder: Path, questions: Sequence[Sequence[str]]) -> list[Answer]:
    """orchctl's answers."""
    return _ask("orchctl", folder, questions)


def settled(text: str) -> str:
    """A listing without the order that Alembic's sets happen to have in one process."""
    text = re.sub(r"\(([\w, ]+)\)", lambda match: f"({_sorted(match[1])})", text)
    text = re.sub(
        r"^(Branches into|Branch names): (.*)$",
        lambda match: f"{match[1]}: {_sorted(match[2])}",
        text,
        flags=re.MULTILINE,
    )
    lines, group = [], []
    for line in [*text.split("\n"), None]:
        if line is not None and line.startswith(" ") and " -> " in line:
            group.append(line)
            continue
        lines += [*sorted(group), line]
        group = []
    return "\n".join(lines[:-1])


def _sorted(names: str) -> str:
    return ", ".join(sorted(names.split(", ")))


def _ask(program: str, folder: Path, questions: Sequence[Sequence[str]]) -> list[Answer]:
    process = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps([program, [list(words) for words in questions]]),
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, process.stderr
    answers = json.loads(process.stdout)
    return [Answer(tuple(words), *answer) for words, answer in zip(questions, answers, strict=True)]
