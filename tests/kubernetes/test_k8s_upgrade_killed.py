"""D15: `k8s deploy` killed at every one of its writes, and started again: never two writers."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.support.kubernetes_commands import Commands
from tests.support.kubernetes_service import V1, V2, Service
from tests.support.traps import Trap

# Asked of the cluster: three dry runs, the Lease (4th), the record, zero, the step, the Job, its
# uid, the step, the Job's end, the image, the step, the replicas, the record's end (15th) and the
# Lease's. What a killed command asked for last may be done all the same.
LEASE, RECORD, JOB, END = 4, 5, 8, 15
FAILED = 15  # where a run that fails at the very end says that it is undone
WORDS = ("deploy", "statefulset/web", "--image", V2)


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.settled()
    service.pretend()
    return service


def crash(service: Service) -> None:
    service.cluster.script(Script(image=V2, pod="web-0", run_for=0.01, exit_code=3))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(LEASE, END + 1))
def test_killed_at_any_write_the_next_run_finishes_it(
    service: Service, k8s: Commands, number: int, after: bool
) -> None:
    trap = Trap(service.cluster, number, after=after)
    assert trap.run(k8s, *WORDS) == -signal.SIGKILL
    done = k8s.result(*WORDS)
    if RECORD < number < END:  # at those two the last thing asked for may still have been done
        assert done["resumed"]
    service.require_over(V2)


@pytest.mark.parametrize("number", range(RECORD + 1, END))
def test_killed_at_any_write_it_can_be_undone(service: Service, k8s: Commands, number: int) -> None:
    trap = Trap(service.cluster, number)
    assert trap.run(k8s, *WORDS) == -signal.SIGKILL
    done = k8s.result("deploy", "statefulset/web", "--abort")
    assert done["undone"]
    if number != JOB:  # it may have been made
        assert bool(done["restored"]) is (number > JOB)
    service.require_over(V1)


@pytest.mark.parametrize("number", range(FAILED, FAILED + 10))
def test_killed_while_it_undoes_the_next_run_finishes_that(
    service: Service, k8s: Commands, number: int
) -> None:
    crash(service)
    trap = Trap(service.cluster, number)
    assert trap.run(k8s, *WORDS) == -signal.SIGKILL
    assert k8s.failure(*WORDS, code=7)["code"] == "upgrade-restored"
    service.require_over(V1)


def test_killed_while_the_job_really_runs_nothing_is_done_twice(
    cluster: Cluster, tmp_path: Path, k8s: Commands
) -> None:
    service = Service(cluster, tmp_path / "image")
    service.begin()
    service.project.add("002", "op.add_column('notes', sa.Column('text', sa.String()))")
    trap = Trap(cluster, JOB, after=True)
    assert trap.run(k8s, *WORDS) == -signal.SIGKILL
    assert service.step == "upgrading"
    done = k8s.result(*WORDS)
    assert done["upgrade"]["revisions"] == ["002"]
    assert service.heads == ["002"]
    service.require_over(V2)
    assert len(cluster.history.on_claim("default", service.claim)) == 3


def test_another_command_does_not_go_on_with_it(service: Service, k8s: Commands) -> None:
    Trap(service.cluster, RECORD + 2).run(k8s, *WORDS)
    words = ("deploy", "statefulset/web", "--image", "localhost/web:v3")
    error = k8s.failure(*words, code=5)
    assert error["code"] == "unfinished-run"
    assert "--abort" in error["hint"]
    assert k8s(*words[:2], "--resume").returncode == 0
    service.require_over(V2)


def test_there_is_nothing_to_resume(service: Service, k8s: Commands) -> None:
    for option in ("--resume", "--abort"):
        error = k8s.failure("deploy", "statefulset/web", option, code=1)
        assert error["code"] == "no-unfinished-run"
