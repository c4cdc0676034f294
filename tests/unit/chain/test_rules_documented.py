"""Every rule has a page, and the examples on it do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchctl.chain.check import check
from orchctl.chain.examine import examine
from orchctl.chain.pages import read_pages
from orchctl.chain.project import ChainPlace
from orchctl.chain.selection import Selection
from orchctl.chain.titles import rule_titles
from tests.support.projects import Project, clean_environment, execute
from tests.support.repositories import GitRepository

PAGES = {page.id: page for page in read_pages()}
TITLES = {rule.id: rule.title for rule in rule_titles()}


def example(rule: str, kind: str) -> str:
    match = re.search(rf"^{kind}:\n\n```python\n((?:.*\n)*?)```$", PAGES[rule].text, re.MULTILINE)
    assert match, f"{rule} has no example {kind!r}"
    return match[1]


def session(rule: str, kind: str) -> list[tuple[str, str]]:
    """The commands of a console example, each with what it is said to print."""
    match = re.search(rf"^{kind}:\n\n```console\n((?:.*\n)*?)```$", PAGES[rule].text, re.MULTILINE)
    assert match, f"{rule} has no example {kind!r}"
    parts = re.split(r"^\$ ", match[1], flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


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


# These are about more than files: databases, the lockfile, another branch.
IN_A_SHELL = ("C13", "C15", "C16")


@pytest.mark.parametrize("rule", sorted(set(TITLES) - set(IN_A_SHELL)))
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


@pytest.mark.parametrize("rule", IN_A_SHELL)
def test_a_console_example_prints_what_it_says(rule: str, tmp_path: Path) -> None:
    for kind in ("Wrong", "Right"):
        folder = tmp_path / kind
        project = Project(folder)
        for number, table in (("001", "users"), ("002", "logs")):
            upgrade = f"op.create_table('{table}', sa.Column('id', sa.Integer))"
            name = f"{number}_{table}.py"
            project.add(number, upgrade, f"op.drop_table('{table}')", name=name)
        (folder / ".gitignore").write_text("*.db\n__pycache__\n")
        GitRepository.make(folder).commit("two revisions")
        stamped = "9f3c" if kind == "Wrong" else "002"
        execute(
            project.database,
            "CREATE TABLE alembic_version (version_num TEXT);"
            f"INSERT INTO alembic_version VALUES ('{stamped}')",
        )
        for command, expected in session(rule, kind):
            said = in_a_shell(folder, command)
            pattern = re.escape(expected).replace("…", ".*")
            assert re.fullmatch(pattern, said, re.DOTALL), (command, said)


def in_a_shell(folder: Path, command: str) -> str:
    environment = clean_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{
            f"GIT_{who}_{what}": "ann@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ran.stdout
