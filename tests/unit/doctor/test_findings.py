"""Every kind of finding is used, and nothing else is found."""

from __future__ import annotations

import ast
from pathlib import Path

from orchctl.doctor.findings import KINDS

ROOT = Path(__file__).parents[3]


def _used() -> set[str]:
    """Ids that the source gives to `found`, both branches of a condition included."""
    used: set[str] = set()
    for path in (ROOT / "orchctl" / "doctor").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "found":
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        used.add(part.value)
    return used


def test_every_kind_is_found_by_something_and_nothing_else_is() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    assert _used() == {kind.id for kind in KINDS}
