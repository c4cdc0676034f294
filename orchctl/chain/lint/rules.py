"""The lint rules, and those among them that need the whole chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.lint.file_lint import FileLint


@dataclass(frozen=True, slots=True)
class LintRule:
    """One thing that is looked for in the text of a revision.

    Attributes:
        id: As in its page and in `ignore` comments.
        title: What is wrong when it is found.
    """

    id: str
    title: str


LINT_RULES: tuple[LintRule, ...] = ()


def across(lints: Mapping[Path, FileLint]) -> Iterator[Finding]:
    """What only all files together show: L05."""
    yield from ()
