"""Every rule has a page, and the examples on it do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchctl.chain.check import check, rule_titles
from orchctl.chain.examine import examine
from orchctl.chain.pages import read_pages
from orchctl.chain.project import ChainPlace
from orchctl.chain.selection import Selection

PAGES = {page.id: page for page in read_pages()}
TITLES = {rule.id: rule.title for rule in rule_titles()}


def example(rule: str, kind: str) -> str:
    match = re.search(rf"^{kind}:\n\n```python\n((?:.*\n)*?)```$", PAGES[rule].text, re.MULTILINE)
    assert match, f"{rule} has no example {kind!r}"
    return match[1]


def rules_found(folder: Path, text: str, rules: frozenset[str]) -> set[str]:
    for name, content in re.findall(r"^# (\w+\.py)\n((?:(?!# ).*\n)*)", text, re.MULTILINE):
        (folder / name).write_text(content)
    place = ChainPlace((folder,))
    report = check(place, examine(place, lint=True), Selection(rules))
    return {finding.rule for finding in report.findings}


def test_every_rule_has_its_page_and_title() -> None:
    assert {page.id: page.title for page in PAGES.values()} == TITLES
    for page in PAGES.values():
        assert page.text.startswith(f"# {page.id} {page.title}\n\n")
        assert "\nWrong:\n\n```" in page.text
        assert "\nRight:\n\n```" in page.text


# C16 is about databases.
@pytest.mark.parametrize("rule", sorted(set(TITLES) - {"C16"}))
def test_the_wrong_example_is_found_and_the_right_one_is_fine(rule: str, tmp_path: Path) -> None:
    # Examples of how files hang together have no functions in them.
    kinds = ("C", "I", "L") if rule.startswith("L") else ("C", "I")
    rules = frozenset(one for one in TITLES if one.startswith(kinds))
    for kind, expected in (("Wrong", {rule}), ("Right", set())):
        folder = tmp_path / kind
        folder.mkdir()
        found = rules_found(folder, example(rule, kind), rules)
        # What a comment fails to ignore is found as well.
        assert (found - {"C06"} if rule == "I01" else found) == expected
