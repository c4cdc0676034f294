"""One revision file: its id, parents, labels and dependencies, and where each is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orchctl.chain.facts import NAMES
from orchctl.chain.problem import Problem
from orchctl.chain.tokens import Token


class HeaderLine(NamedTuple):
    """One line of the docstring's header, such as `Revises: 001`."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class RevisionFile:
    """What one revision file says about itself.

    Attributes:
        path: The file, links resolved.
        revision: Its id, or None when that isn't known.
        down_revisions: The ids of its parents; empty for a base.
        branch_labels: Its branch labels.
        depends_on: Ids or labels that it depends on besides its parents.
        docstring: The module's docstring, stripped.
        header: The docstring's `Revision ID`, `Revises` and `Create Date` lines, by those names.
        tokens: For `revision`, `down_revision`, `branch_labels` and `depends_on`, the places of
            their values, in the order of the values.
        lines: The line and column of each of these assignments' values.
        unknown: Those of the four names whose value only running the file would tell.
        problems: What keeps Alembic, or us, from reading it.
    """

    path: Path
    revision: str | None
    down_revisions: tuple[str, ...] = ()
    branch_labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    docstring: str = ""
    header: Mapping[str, HeaderLine] = field(default_factory=dict)
    tokens: Mapping[str, tuple[Token, ...]] = field(default_factory=dict)
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    @property
    def message(self) -> str:
        """The docstring's first line."""
        return self.docstring.partition("\n")[0].strip()

    def place(self, name: str, index: int = 0) -> tuple[int, int] | None:
        """Line and column of a value of one of the four names, or of its assignment."""
        tokens = self.tokens.get(name, ())
        if index < len(tokens):
            return tokens[index].line, tokens[index].column
        return self.lines.get(name)

    @classmethod
    def unreadable(cls, path: Path, problem: Problem) -> RevisionFile:
        """A file of which nothing is known but why."""
        return cls(path, None, unknown=frozenset(NAMES), problems=(problem,))
