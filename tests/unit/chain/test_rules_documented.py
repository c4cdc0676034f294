"""docs/rules.md has a section for each rule, and its examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchctl.chain.read import read_files
from orchctl.chain.rules import RULES, verify

TEXT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
SECTIONS = {
    match[1]: (match[2], match[3])
    for match in re.finditer(r"^## (C\d\d) (.*)\n((?:(?!^## ).*\n)*)", TEXT, re.MULTILINE)
}


def example(rule: str, kind: str) -> str:
    match = re.search(rf"^{kind}:\n\n```python\n((?:.*\n)*?)```$", SECTIONS[rule][1], re.MULTILINE)
    assert match, f"{rule} has no example {kind!r}"
    return match[1]


def rules_found(folder: Path, text: str) -> set[str]:
    for name, content in re.findall(r"^# (\w+\.py)\n((?:(?!# ).*\n)*)", text, re.MULTILINE):
        (folder / name).write_text(content)
    return {finding.rule for finding in verify(read_files([folder]), [folder]).findings}


def test_every_rule_has_its_section_and_title() -> None:
    titles = {rule.id: rule.title for rule in RULES}
    documented = {id_: title for id_, (title, _) in SECTIONS.items() if id_ != "C16"}
    assert documented == titles
    assert "C16" in SECTIONS
    assert list(SECTIONS) == sorted(SECTIONS)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_the_wrong_example_is_found_and_the_right_one_is_fine(rule: str, tmp_path: Path) -> None:
    for kind, expected in (("Wrong", {rule}), ("Right", set())):
        folder = tmp_path / kind
        folder.mkdir()
        assert rules_found(folder, example(rule, kind)) == expected
