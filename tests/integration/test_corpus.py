"""The chains of real projects: the same graph as Alembic's; docs/corpus.md says what else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.corpus import read_one
from benchmarks.corpus_page import PAGE, VERDICTS
from benchmarks.corpus_projects import CORPUS, Corpus
from orchctl.chain.check import rule_titles
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
    read = read_one(Corpus(project.name, "", "", ()), (), [folder], python)
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


def test_every_project_is_on_the_page_with_every_chain() -> None:
    listed = [(cells[0].strip("[").partition("]")[0], *cells[1:3]) for cells in rows("project")]
    wanted = [(one.name, one.tag, chain) for one in CORPUS for chain in one.chains]
    assert len({one.repository for one in CORPUS}) >= 30
    assert [row[:2] for row in listed] == [row[:2] for row in wanted]
    assert all(row[2].startswith(chain[0]) for row, (*_, chain) in zip(listed, wanted, strict=True))


def test_every_graph_is_alembics() -> None:
    table = list(rows("project"))
    assert {len(cells) for cells in table} == {8}
    assert all(int(cells[3]) > 0 and int(cells[4]) > 0 for cells in table)
    assert not [cells[0] for cells in table if "differs" in cells[7]]
    same = [cells for cells in table if cells[7].endswith("the same")]
    assert len(same) >= 50
    assert "0 crashes" in TEXT


def test_every_finding_is_of_a_known_rule_and_was_looked_at() -> None:
    found = {rule for cells in rows("project") for rule in re.findall(r"[A-Z]\d\d", cells[5])}
    assert found
    assert found <= KNOWN
    assert found <= VERDICTS.keys()
    assert all(f"\n### {rule} " in TEXT for rule in found)
    assert {cells[0] for cells in rows("rule")} <= KNOWN


def test_the_counts_are_those_of_the_lists() -> None:
    counted: dict[str, int] = {}
    for cells in rows("project"):
        for count, rule in re.findall(r"(\d+) ([A-Z]\d\d)", cells[5]):
            counted[rule] = counted.get(rule, 0) + int(count)
    for rule, count in counted.items():
        section = TEXT.partition(f"\n### {rule} ")[2].partition("\n##")[0]
        assert len(re.findall(r"^- ", section, re.MULTILINE)) == count


def test_a_chain_of_another_graph_would_show(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("revision = 'a1'\ndown_revision = None\n")
    (tmp_path / "b.py").write_text(
        "revision = 'b1'\ndown_revision = None\nif len('x'): down_revision = 'a1'\n"
    )
    read = read_one(Corpus("one/of-ours", "", "", ()), (), [tmp_path])
    assert (read.agrees, read.said) == (False, "differs")
