"""docs/hazards.md: every hazard is there, and what it says of orchctl is what comes out."""

from __future__ import annotations

import pytest

from benchmarks import peers
from benchmarks.hazard_cases import CASES, Case
from benchmarks.hazards import EXCERPT, PAGE, README, TOOLS, run, standing

ALL = {f"H{number:02}" for number in range(1, 17)}
BEHIND, SAID = standing()
LASTING = (
    "0 of 10 left half-way; 0 of 10 next runs failed",
    "5 of 5 exit 0",
    "3 of 3 exit 0",
    "exit 6; at 001",
)


def test_every_hazard_is_on_the_page_for_every_tool() -> None:
    cases = {(case.id, case.hazard) for case in CASES}
    assert {id_ for id_, _ in cases} == ALL
    assert BEHIND.keys() == SAID.keys() == cases
    assert {len(cells) for cells in BEHIND.values()} == {len(TOOLS)}
    assert {len(cells) for cells in SAID.values()} == {len(peers.PEERS)}
    assert all(cell for cells in (*BEHIND.values(), *SAID.values()) for cell in cells)


def test_the_tools_are_named_with_their_versions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(peers.versions()) == set(peers.PEERS)
    for name, version in peers.versions().items():
        assert f"{name} {version}" in text


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.quick], ids=lambda case: f"{case.id} {case.hazard}"
)
def test_what_the_page_says_of_orchctl_is_what_comes_out(case: Case) -> None:
    assert run(case, TOOLS["orchctl"]) == BEHIND[case.id, case.hazard][1]


@pytest.mark.parametrize("case", [case for case in CASES if not case.quick], ids=lambda c: c.id)
def test_what_takes_longer_is_told_as_the_tests_of_its_own_hold_it(case: Case) -> None:
    assert BEHIND[case.id, case.hazard][1].startswith(LASTING)


def test_readme_shows_the_page() -> None:
    text = README.read_text(encoding="utf-8")
    for id_, hazard in EXCERPT:
        assert f"| {hazard} | {' | '.join(BEHIND[id_, hazard])} |" in text
