"""A rollout that will not get done ends the wait at once, with what is known of why (D09)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import DEPLOYMENTS, STATEFUL_SETS
from tests.kubernetes.objects import deployment, stateful_set
from tests.kubernetes.test_kubernetes_restart import settled
from tests.support.kubernetes_commands import Commands

BAD = "localhost/web:bad"
CASES = [
    (
        Script(
            image=BAD,
            run_for=0.02,
            ready_after=None,
            exit_code=3,
            log="starting\nno such column: x",
        ),
        "CrashLoopBackOff",
    ),
    (Script(image=BAD, image_error="not found"), "ImagePullBackOff"),
    (Script(image=BAD, config_error='secret "key" not found'), "CreateContainerConfigError"),
    (Script(image=BAD, unschedulable="0/2 nodes are available"), "Unschedulable"),
    (
        Script(image=BAD, mount_error='MountVolume.SetUp failed: secret "key" not found'),
        "FailedMount",
    ),
]


# --timeout 300s is more than a test may take: that it ends is what is tested.
@pytest.mark.parametrize(("script", "reason"), CASES, ids=[reason for _, reason in CASES])
@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_d09_it_ends_at_once(
    cluster: Cluster, k8s: Commands, kind: str, script: Script, reason: str
) -> None:
    resource, make = {
        "deployment": (DEPLOYMENTS, deployment),
        "statefulset": (STATEFUL_SETS, stateful_set),
    }[kind]
    cluster.create(resource, "default", make("web"))
    settled(cluster, 1)
    cluster.script(script)

    error = k8s.failure("set-image", f"{kind}/web", BAD, "--timeout", "300s", code=9)

    assert error["code"] == "rollout-failed"
    assert reason in error["message"]
    details = error["details"]
    assert details["reason"] == reason
    assert details["pod"].startswith("web-")
    assert details["events"]
    if kind == "deployment":
        assert {one["type"] for one in details["conditions"]} >= {"Available", "Progressing"}
    if reason == "CrashLoopBackOff":
        assert details["exit_code"] == 3
        assert details["log"] == ["starting", "no such column: x"]
        assert "no such column: x" in error["state"]
    assert error["hint"]
    # The same is seen by who only waits, and who only looks.
    again = k8s.failure("wait", f"{kind}/web", code=9)
    assert again["details"]["reason"] == reason
    [workload] = k8s.result("status", f"{kind}/web", code=1)["workloads"]
    [why] = [pod["why"] for pod in workload["pods"] if not pod["ready"]]
    assert why


def test_d09_a_progress_deadline_ends_it(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web", progressDeadlineSeconds=1))
    settled(cluster, 1)
    cluster.script(Script(image=BAD, ready_after=None))
    error = k8s.failure("set-image", "deploy/web", BAD, code=9)
    assert error["details"]["reason"] == "ProgressDeadlineExceeded"
    assert "ProgressDeadlineExceeded" in error["message"]


def test_d09_an_init_container_that_crashes_ends_it(cluster: Cluster, k8s: Commands) -> None:
    body = stateful_set("db")
    init = {"name": "upgrade", "image": BAD}
    body["spec"]["template"]["spec"]["initContainers"] = [init]
    cluster.script(
        Script(
            container="upgrade", run_for=0.02, ready_after=None, exit_code=6, log="rev 003 failed"
        )
    )
    cluster.create(STATEFUL_SETS, "default", body)
    error = k8s.failure("wait", "sts/db", code=9)
    assert error["details"]["container"] == "upgrade"
    assert error["details"]["exit_code"] == 6
    assert error["details"]["log"] == ["rev 003 failed"]


def test_d09_a_successor_that_crashes_ends_it(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    cluster.script(Script(run_for=0.02, ready_after=None, exit_code=1, log="broken"))
    error = k8s.failure("restart", "pod/db-0", code=9)
    assert error["details"]["reason"] == "CrashLoopBackOff"


def test_what_was_broken_before_a_restart_is_no_reason_to_end_it(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.script(Script(image=BAD, run_for=0.02, ready_after=None, exit_code=1))
    cluster.create(DEPLOYMENTS, "default", deployment("web", image=BAD))
    cluster.wait(lambda: any(map(_crashes, cluster.pods("default"))))
    done = k8s("set-image", "deploy/web", "localhost/web:v1")
    assert done.returncode == 0, done.stderr
    assert settled(cluster, 1)


def test_what_passes_by_itself_is_waited_for(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    settled(cluster, 1)
    cluster.script(Script(image=BAD, start_after=0.5, ready_after=0.5))
    assert k8s("set-image", "deploy/web", BAD).returncode == 0


def test_what_was_said_of_a_pod_of_the_same_name_is_no_reason_either(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.script(Script(image=BAD, mount_error='secret "key" not found'))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db", image=BAD))
    assert k8s("wait", "sts/db").returncode == 9
    cluster.script(Script(image=BAD, start_after=0.5))  # somebody has made the secret
    done = k8s("restart", "pod/db-0")
    assert done.returncode == 0, done.stderr


def test_time_can_be_over(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    cluster.script(Script(image=BAD, ready_after=None))
    error = k8s.failure("set-image", "sts/db", BAD, "--timeout", "2s", code=10)
    assert error["code"] == "rollout-timeout"
    assert error["details"]["waiting"] == "Waiting for 1 pods to be ready"
    error = k8s.failure("wait", "pod/db-0", "--timeout", "1s", code=10)
    assert "readiness probe not good yet" in error["message"]


@pytest.mark.parametrize("run_for", [0.02, None], ids=["crashes", "never-ready"])
def test_d16_a_stuck_update_of_a_set_is_undone(
    cluster: Cluster, k8s: Commands, run_for: float | None
) -> None:
    cluster.script(Script(image=BAD, run_for=run_for, ready_after=None, exit_code=1))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    code, timeout = (9, "50s") if run_for else (10, "2s")
    assert k8s("set-image", "sts/db", BAD, "--timeout", timeout).returncode == code
    done = k8s("rollback", "sts/db", "--timeout", "50s")
    assert done.returncode == 0, done.stderr
    [pod] = cluster.pods("default")
    assert pod["spec"]["containers"][0]["image"] == "localhost/web:v1"


def _crashes(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any("waiting" in one["state"] and one["restartCount"] for one in statuses)
