"""Ignore comments: what they cover, what they need, and that an unused one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchctl.chain.findings import Finding
from orchctl.chain.ignores import ignores_of, without_ignored

PATH = Path("001_users.py")


def left(text: str, *findings: tuple[str, int]) -> list[tuple[str, int | None]]:
    found = [Finding(rule, "warning", "…", path=PATH, line=line) for rule, line in findings]
    comments = {PATH: ignores_of(text)}
    known = ("L02", "L05", "I01", "I02")
    kept = without_ignored(found, comments, known, checked={"L02", "L05"})
    return [(one.rule, one.line) for one in kept]


@pytest.mark.parametrize(
    "text",
    [
        "drop()  # orchctl: ignore[L02] moved to archive",
        "drop()  # orchctl:ignore[ l02 ]: moved to archive",
        "drop()  # orchctl: ignore[L02] - moved",
        "drop()  # noqa: S608  # orchctl: ignore[L02] moved",
        "drop()  # orchctl: ignore[L02] #123 # noqa",
    ],
)
def test_a_comment_with_a_reason_ignores_its_line(text: str) -> None:
    assert left(text, ("L02", 1)) == []


def test_alone_on_its_line_it_is_about_the_next_one() -> None:
    assert left("# orchctl: ignore[L02] moved\ndrop()\n", ("L02", 2)) == []
    assert left("pass  # orchctl: ignore[L02] x\ndrop()\n", ("L02", 2)) == [("L02", 2), ("I02", 1)]


def test_several_may_stand_above_a_line_and_a_reason_may_be_long() -> None:
    text = "# orchctl: ignore[L02] moved\n# in May\n# orchctl: ignore[L05] x\ndrop()\n"
    assert left(text, ("L02", 4), ("L05", 4)) == []
    text = "drop()  # orchctl: ignore[L02] moved  # orchctl: ignore[L05] x\n"
    assert left(text, ("L02", 1), ("L05", 1)) == []
    assert left("# orchctl: ignore[L02] moved\n\ndrop()", ("L02", 3)) == [("L02", 3), ("I02", 1)]


def test_behind_the_bracket_that_ends_a_statement() -> None:
    """Where formatters put it, when the line gets too long."""
    text = "x = 1\ndrop(\n    [1],\n)  # orchctl: ignore[L02] moved\ndrop()\n"
    assert left(text, ("L02", 2)) == []
    assert left(text, ("L02", 1)) == [("L02", 1), ("I02", 4)]
    inside = "drop(\n    1,  # orchctl: ignore[L02] moved\n)\n"
    assert left(inside, ("L02", 1)) == [("L02", 1), ("I02", 2)]


def test_several_rules_in_one() -> None:
    assert left("drop()  # orchctl: ignore[L02, L05] moved", ("L02", 1), ("L05", 1)) == []


def test_without_a_reason_it_ignores_nothing() -> None:
    assert left("drop()  # orchctl: ignore[L02]", ("L02", 1)) == [("L02", 1), ("I01", 1)]
    text = "drop()  # orchctl: ignore[L02]  # noqa: S608"
    assert left(text, ("L02", 1)) == [("L02", 1), ("I01", 1)]


@pytest.mark.parametrize("comment", ["ignore", "ignore[]", "ignore everything"])
def test_without_a_rule_it_is_told(comment: str) -> None:
    assert left(f"drop()  # orchctl: {comment}", ("L02", 1)) == [("L02", 1), ("I01", 1)]


def test_an_unused_one_and_an_unknown_rule_are_told() -> None:
    assert left("x = 1  # orchctl: ignore[L02] moved") == [("I02", 1)]
    assert left("x = 1  # orchctl: ignore[L99] moved") == [("I02", 1)]


def test_a_text_that_looks_like_one_is_none() -> None:
    assert ignores_of('x = "# orchctl: ignore[L02] moved"\n') == ()
    assert ignores_of("def (\n# orchctl: ignore[L02] moved\n'''") == ()
