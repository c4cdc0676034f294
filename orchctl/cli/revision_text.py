"""How a revision is written for people: Alembic's wording, so that eyes and scripts find theirs.

The forms are those of `Script.log_entry` and `Script.cmd_format` (alembic/script/base.py, 1.20).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchctl.upgrade.revisions import Revision


def short(
    one: Revision,
    *,
    current: bool = False,
    parents: bool = False,
    branches: bool = False,
    tree: bool = True,
    message: bool = False,
) -> str:
    """A revision on one line: `001 -> 002 (label) (head), add users`.

    Args:
        one: The revision.
        current: Whether the database is there.
        parents: Show what it comes after.
        branches: Show the labels of its branches.
        tree: Show branch points and merges.
        message: Show its message.
    """
    text = one.revision
    if parents:
        needs = f" ({', '.join(one.depends_on)})" if one.depends_on else ""
        text = f"{_parents(one)}{needs} -> {text}"
    if branches and one.branch_labels:
        text += f" ({', '.join(one.branch_labels)})"
    if one.is_head:
        text += " (head)" if one.is_effective_head else " (effective head)"
    text += " (current)" if current else ""
    if tree:
        text += " (branchpoint)" if one.is_branch_point else ""
        text += " (mergepoint)" if one.is_merge else ""
    return f"{text}, {one.message}" if message else text


def label(one: Revision, *, current: bool = False) -> str:
    """A revision beside its node in a drawing: what the lines don't say, on one line."""
    text = short(one, current=current, branches=True, tree=False)
    text += " (base)" if one.is_base else ""
    text += f" (depends on {', '.join(one.depends_on)})" if one.depends_on else ""
    return f"{text}, {' '.join(one.message.split())}"


def entry(one: Revision, *, current: bool = False) -> str:
    """A revision in full, as `-v` and `show` print it; ends with an empty line."""
    lines = ["Rev: " + one.revision]
    lines[0] += " (head)" if one.is_head else ""
    lines[0] += " (branchpoint)" if one.is_branch_point else ""
    lines[0] += " (mergepoint)" if one.is_merge else ""
    lines[0] += " (current)" if current else ""
    lines.append(("Merges: " if one.is_merge else "Parent: ") + _parents(one))
    if one.depends_on:
        lines.append("Also depends on: " + ", ".join(one.depends_on))
    if one.is_branch_point:
        lines.append("Branches into: " + ", ".join(one.followers))
    if one.branch_labels:
        lines.append("Branch names: " + ", ".join(one.branch_labels))
    lines += [f"Path: {one.path}", ""]
    lines += [f"    {line}" for line in one.docstring.splitlines()] or [""]
    return "\n".join(lines) + "\n"


def encodable(text: str) -> str:
    """A text as stdout can show it: what its encoding lacks becomes `?`, as with Alembic."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def revision_object(one: Revision) -> dict[str, Any]:
    """The JSON form of a revision (docs/json.md)."""
    return {
        "revision": one.revision,
        "down_revisions": list(one.down_revisions),
        "branch_labels": list(one.branch_labels),
        "depends_on": list(one.depends_on),
        "message": one.message,
        "path": str(one.path),
        "create_date": one.create_date,
        "is_head": one.is_head,
        "is_base": one.is_base,
        "is_branch_point": one.is_branch_point,
        "is_merge": one.is_merge,
    }


def _parents(one: Revision) -> str:
    return ", ".join(one.down_revisions) or "<base>"
