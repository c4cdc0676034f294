"""What plain Alembic and orchctl answer to the same questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects import clean_environment, run


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
    answers = []
    for words in questions:
        done = run(program, words, folder, clean_environment())
        answers.append(Answer(tuple(words), done.returncode, done.stdout, done.stderr))
    return answers
