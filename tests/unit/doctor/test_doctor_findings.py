"""Every kind of finding is used, and tried in a test; what variables leave open."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from orchctl.doctor.findings import KINDS
from orchctl.doctor.workload_state import judge_environment, judge_state
from orchctl.workloads.facts import ContainerFacts

ROOT = Path(__file__).parents[3]


def _used() -> set[str]:
    """Ids that the source gives to `found`, both branches of a condition included."""
    used: set[str] = set()
    for path in (ROOT / "orchctl" / "doctor").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "found":
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        used.add(part.value)
    return used


def test_every_kind_is_found_by_something_and_nothing_else_is() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS)
    assert _used() == {kind.id for kind in KINDS}


def test_every_kind_is_tried_in_a_test() -> None:
    files = [*(ROOT / "tests").rglob("test_doctor*.py")]
    # An upgrade that was killed is found where upgrades are killed.
    files.append(ROOT / "tests" / "docker" / "test_docker_upgrade_killed.py")
    text = "".join(path.read_text() for path in files)
    assert [kind.id for kind in KINDS if f'"{kind.id}"' not in text] == []


@pytest.mark.parametrize(
    ("variables", "labels", "found"),
    [
        ({}, {}, set()),
        (
            {},
            {"org.opencontainers.image.title": "LLM Orchestrator"},
            {"no-admin-key", "no-api-keys"},
        ),
        ({"API_KEYS": "", "ADMIN_KEY": "f00f00f00f00"}, {}, {"no-api-keys"}),
        ({"API_KEYS": "f00f00f00, sk-test"}, {}, {"weak-secret"}),
        ({"DB_PASSWORD": "admin", "LOG_LEVEL": "test"}, {}, {"weak-secret"}),
        ({"SKIP_MIGRATION": "false"}, {}, set()),
    ],
)
def test_what_variables_leave_open(
    variables: dict[str, str], labels: dict[str, str], found: set[str]
) -> None:
    facts = ContainerFacts("1" * 64, "web", "image", "sha256:1", "exited")
    facts = replace(facts, environment=variables, labels=labels)
    assert {one.id for one in judge_environment(facts)} == found


def test_a_container_that_was_ended_for_want_of_memory() -> None:
    facts = ContainerFacts("1" * 64, "web", "image", "sha256:1", "exited", oom_killed=True)
    assert [one.id for one in judge_state(facts)] == ["not-running", "oom-killed"]
