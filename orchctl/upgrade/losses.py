"""What a downgrade drops, read from the text of its revisions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchctl.upgrade.plan import UpgradePlan

_DROPS = {"drop_table": "table", "drop_column": "column"}


def downgrade_losses(plan: UpgradePlan) -> list[str]:
    """Why a downgrade deserves a question; empty when nothing is dropped.

    Args:
        plan: A plan with direction `downgrade`.
    """
    losses = []
    for step in plan.steps:
        dropped = _dropped(step.path)
        if dropped:
            losses.append(f"revision {step.revision} drops {', '.join(dropped)}")
    if plan.steps and plan.target == "base" and not losses:
        losses.append("takes every revision back")
    return losses


def _dropped(path: Path) -> list[str]:
    tree = ast.parse(path.read_bytes())
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade":
            found += [_named(call) for call in ast.walk(node) if isinstance(call, ast.Call)]
    return [name for name in found if name]


def _named(call: ast.Call) -> str:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _DROPS:
        return ""
    names = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    return f"{_DROPS[call.func.attr]} {'.'.join(map(str, names))}".strip()
