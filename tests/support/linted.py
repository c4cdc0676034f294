"""A revision's text held against the lint rules, in one line."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from orchctl.chain.findings import Finding
from orchctl.chain.lint.lint_file import lint_file
from orchctl.chain.lint.rules import across
from orchctl.chain.moulds import moulded

HEAD = """\
from alembic import op
import sqlalchemy as sa
revision = "002"
down_revision = "001"
"""


def revision(upgrade: str, downgrade: str = "raise NotImplementedError", above: str = "") -> str:
    """The text of a revision whose functions have these bodies."""
    up, down = (textwrap.indent(textwrap.dedent(one), "    ") for one in (upgrade, downgrade))
    above = textwrap.dedent(above)
    return f"{HEAD}{above}\ndef upgrade():\n{up}\n\ndef downgrade():\n{down}\n"


def linted(text: str, rule: str | None = None) -> list[Finding]:
    """What is found in one file; with `rule`, of that rule."""
    ast.parse(text)
    path = Path("002_more.py")
    lint = lint_file(path, text, "002")
    # Put together from what was parsed before, it shows the same: at first, and once it is known.
    for _ in range(2):
        assert lint_file(path, text, "002", moulded(text)) == lint
    found = [*lint.findings, *across({path: lint}, ["002"])]
    return [one for one in found if rule in (None, one.rule)]


def found(
    rule: str, upgrade: str, downgrade: str = "raise NotImplementedError", above: str = ""
) -> list[tuple[str, str]]:
    """Severity and the code at its place of each finding of a rule."""
    text = revision(upgrade, downgrade, above)
    lines = text.splitlines()
    return [
        (one.severity, lines[(one.line or 1) - 1][(one.column or 1) - 1 :])
        for one in linted(text, rule)
    ]
