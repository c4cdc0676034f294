"""The page of each rule: what it means, why, and a wrong and a right example."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchctl.chain.selection import unknown_rule

_FOLDER = Path(__file__).parent / "rule_pages"


@dataclass(frozen=True, slots=True)
class RulePage:
    """A rule's page.

    Attributes:
        id: The rule.
        title: What is wrong when it is found.
        text: The page, Markdown, its first line `# ID Title`.
    """

    id: str
    title: str
    text: str


def read_pages() -> tuple[RulePage, ...]:
    """The pages of all rules, by id."""
    return tuple(_read(path.stem) for path in sorted(_FOLDER.glob("*.md")))


def find_page(rule: str) -> RulePage:
    """The page of one rule.

    Args:
        rule: Its id, in whatever case.

    Raises:
        UsageError: There is no such rule.
    """
    known = [path.stem for path in sorted(_FOLDER.glob("*.md"))]
    if rule.upper() not in known:
        raise unknown_rule(rule, known)
    return _read(rule.upper())


def _read(rule: str) -> RulePage:
    text = (_FOLDER / f"{rule}.md").read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix(f"# {rule} ")
    return RulePage(rule, title, text)
