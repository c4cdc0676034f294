"""The chains of real projects: the same graph as Alembic's; docs/corpus.md says what else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.corpus import read_one
from benchmarks.corpus_page import PAGE
from benchmarks.corpus_projects import CORPUS, Corpus
from benchmarks.corpus_verdicts import VERDICTS
from orchctl.chain.titles import rule_titles
from tests.support.project_environments import installed
from tests.support.public_chains import PROJECTS
from tests.support.public_projects import PublicProject

TEXT = PAGE.read_text(encoding="utf-8")
KNOWN = {rule.id for rule in rule_titles()}


# The first run on a machine installs what it needs.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_an_installed_chain_is_read_as_alembic_reads_it(project: PublicProject) -> None:
    environment = installed(project.environment)
    folder = environment.site_packages / project.versions
    python = environment.bin / "python"
    read = read_one(Corpus(project.name, "", ()), project.versions, folder, python)
    assert read.agrees, read.said
    assert read.report.revisions
    assert {one.rule for one in read.report.findings if one.severity == "error"} <= {"L10"}


def rows(start: str) -> Iterator[list[str]]:
    """The rows of the table whose header starts like this."""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if line.startswith(f"| {start} |"):
            break
    for line in lines:
        if not line.startswith("|"):
            return
        if not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def counts(column: int) -> dict[str, int]:
    """How often each rule stands in a column of the projects' table."""
    counted: dict[str, int] = {}
    for cells in rows("project"):
        for count, rule in re.findall(r"(\d+) ([A-Z]\d\d)", cells[column]):
            counted[rule] = counted.get(rule, 0) + int(count)
    return counted


def test_every_project_is_on_the_page_with_every_chain() -> None:
    listed = [tuple(cells[:3]) for cells in rows("project")]
    assert len({one.name for one in CORPUS}) >= 30
    assert listed == [(one.name, one.version, chain) for one in CORPUS for chain in one.chains]


def test_every_graph_is_alembics() -> None:
    table = list(rows("project"))
    assert {len(cells) for cells in table} == {8}
    assert all(int(cells[3]) > 0 and int(cells[4]) > 0 for cells in table)
    assert not [cells[0] for cells in table if "differs" in cells[7]]
    same = [cells for cells in table if cells[7].endswith("the same")]
    assert len(same) >= 50
    assert "0 crashes" in TEXT


def test_every_finding_is_of_a_known_rule_and_was_looked_at() -> None:
    chain, lint = counts(5), counts(6)
    assert chain
    assert lint
    looked_at = {rule: one.findings for rule, one in VERDICTS.items()}
    assert chain | lint == looked_at
    assert all((one.tried or 0) <= one.findings for one in VERDICTS.values())
    assert looked_at.keys() <= KNOWN
    assert all(f"\n### {rule} " in TEXT for rule in chain)
    assert [cells[0] for cells in rows("rule")] == sorted(lint)


def test_the_counts_are_those_of_the_lists() -> None:
    for rule, count in counts(5).items():
        section = TEXT.partition(f"\n### {rule} ")[2].partition("\n##")[0]
        assert len(re.findall(r"^- ", section, re.MULTILINE)) == count
    for cells in rows("rule"):
        assert sum(map(int, cells[2:5])) == counts(6)[cells[0]]


def test_a_chain_of_another_graph_would_show(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'a1'\ndown_revision = None\n")
    (tmp_path / "b.py").write_text(
        "revision = 'b1'\ndown_revision = None\nif len('x'): down_revision = 'a1'\n"
    )
    read = read_one(Corpus("one-of-ours", "", ()), "versions", tmp_path)
    assert (read.agrees, read.said) == (False, "differs")
