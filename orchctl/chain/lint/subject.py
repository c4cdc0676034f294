"""A revision file as the rules see it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.lint.acts import Act
from orchctl.chain.lint.module import Imported
from orchctl.chain.lint.things import Thing
from orchctl.chain.source import column_of
from orchctl.chain.tokens import Severity


@dataclass(frozen=True, slots=True)
class Script:
    """What one direction does.

    Attributes:
        name: `upgrade` or `downgrade`.
        node: The function, None when there is none.
        acts: What it does, in order.
        swallowed: What it does inside a `try` that swallows failures.
    """

    name: str
    node: ast.stmt | None
    acts: Sequence[Act]
    swallowed: Sequence[tuple[ast.AST, str, tuple[Act, ...]]]

    @property
    def is_upgrade(self) -> bool:
        """Whether it goes up."""
        return self.name == "upgrade"

    def severity(self, act: Act) -> Severity:
        """How serious what fails on SQLite is: an error where it surely stops an upgrade."""
        return "error" if act.certain and self.is_upgrade else "warning"


@dataclass(frozen=True, slots=True)
class Subject:
    """One file.

    Attributes:
        path: Where it is.
        text: What is in it.
        revision: Its id.
        parsed: Its syntax, where it was parsed; for `tree`.
        names: What its module's names stand for.
        imports: What it imports.
        offline: Whether it asks if it is in offline mode.
        upgrade: What it does upwards.
        downgrade: And downwards.
    """

    path: Path
    text: str
    revision: str | None
    parsed: ast.Module | None
    names: Mapping[str, Thing]
    imports: Sequence[Imported]
    offline: bool
    upgrade: Script
    downgrade: Script

    @property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return self.parsed or ast.parse(self.text)

    @property
    def scripts(self) -> tuple[Script, Script]:
        """Both directions."""
        return self.upgrade, self.downgrade

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Line and column, from 1, the column in characters."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        return line, column_of(self.text, line, offset)

    def finding(
        self,
        rule: str,
        severity: Severity,
        node: ast.AST,
        message: str,
        suggestion: str,
        alembic: str,
    ) -> Finding:
        """A finding at a node."""
        line, column = self.place(node)
        return Finding(
            rule,
            severity,
            message,
            path=self.path,
            line=line,
            column=column,
            revision=self.revision,
            suggestion=suggestion,
            alembic=alembic,
        )


def shown(table: str | None) -> str:
    """A table in a sentence."""
    return f"the table {table!r}" if table else "a table"
