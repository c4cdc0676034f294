"""What is wrong with one file, before it is a finding."""

from __future__ import annotations

from typing import NamedTuple

from orchctl.chain.tokens import Severity


class Problem(NamedTuple):
    """Why a file cannot be read, or not fully: a finding of rule C07 or C08 in the making."""

    rule: str
    severity: Severity
    message: str
    line: int = 1
    column: int = 1
    suggestion: str | None = None
    alembic: str | None = None
