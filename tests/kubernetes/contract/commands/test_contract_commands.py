"""What the `k8s` commands promise, on any cluster."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_cluster import MIGRATED, Workshop, workload
from tests.support.kubernetes_commands import Commands

KINDS = ("deployment", "statefulset", "daemonset")


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_restart_every_pod_is_new_and_ready_and_no_other_is_there(
    workshop: Workshop, k8s: Commands, kind: str
) -> None:
    target = workshop.ready(kind, "web", "slow")
    before = workshop.pods("web")

    [done] = k8s.result("restart", target)["workloads"]

    after = workshop.pods("web")
    assert not set(before) & set(after)
    assert all(map(_ready, after.values()))
    assert {pod["uid"] for pod in done["pods"]} == set(after)
    [found] = k8s.result("status", target)["workloads"]
    assert found["good"]
    assert found["restarted_at"]


def test_two_replicas_one_after_the_other(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.ready("deployment", "web", "slow", replicas=2)
    before = workshop.pods("web")
    assert k8s("restart", target).returncode == 0
    after = workshop.pods("web")
    assert len(after) == 2
    assert not set(before) & set(after)


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_a_pod_is_replaced(workshop: Workshop, k8s: Commands, kind: str) -> None:
    workshop.ready(kind, "web", "slow")
    [(uid, old)] = workshop.pods("web").items()
    [done] = k8s.result("restart", f"pod/{old['metadata']['name']}")["workloads"]
    [(new, pod)] = workshop.pods("web").items()
    assert new != uid
    assert _ready(pod)
    assert done["pods"][0]["uid"] == new


def test_a_dry_run_changes_nothing(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.ready("deployment", "web")
    before = workshop.get(target)["metadata"]["generation"]
    assert k8s("restart", target, "--dry-run=server").returncode == 0
    assert workshop.get(target)["metadata"]["generation"] == before


def test_the_template_is_what_kubectl_would_make_of_it(workshop: Workshop, k8s: Commands) -> None:
    ours, theirs = workshop.ready("deployment", "ours"), workshop.ready("deployment", "theirs")
    assert k8s("restart", ours).returncode == 0
    workshop.kubectl("rollout", "restart", theirs, "-n", workshop.namespace)
    one, other = workshop.get(ours), workshop.get(theirs)
    assert one["metadata"]["generation"] == other["metadata"]["generation"]
    annotations = [each["spec"]["template"]["metadata"]["annotations"] for each in (one, other)]
    assert set(annotations[0]) == set(annotations[1])


BROKEN = [
    ("crash", {}, "CrashLoopBackOff"),
    ("well", {"image": "localhost/orchctl-no-such-image:0"}, "ImagePullBackOff"),
    ("well", {"envFrom": [{"configMapRef": {"name": "missing"}}]}, "CreateContainerConfigError"),
]


@pytest.mark.parametrize(("behaves", "container", "reason"), BROKEN, ids=[x[2] for x in BROKEN])
@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_what_will_not_start_ends_the_wait(
    workshop: Workshop,
    k8s: Commands,
    kind: str,
    behaves: str,
    container: dict[str, Any],
    reason: str,
) -> None:
    body = workload(kind, "web", workshop.images[0], behaves)
    body["spec"]["template"]["spec"]["containers"][0] |= container
    error = k8s.failure("wait", workshop.put(body), "--timeout", "120s", code=9)
    assert error["details"]["reason"] == reason
    assert error["details"]["container"] == "web"
    if behaves == "crash":
        assert error["details"]["exit_code"] == 3
        assert error["details"]["log"] == ["no such column: x"]


PLACELESS = [
    ("placeless", {"nodeSelector": {"orchctl-test/no-such": "node"}}, "Unschedulable"),
    ("well", {"volumes": [{"name": "m", "secret": {"secretName": "missing"}}]}, "FailedMount"),
]


@pytest.mark.parametrize(("behaves", "pod", "reason"), PLACELESS, ids=[x[2] for x in PLACELESS])
def test_what_finds_no_place_ends_the_wait(
    workshop: Workshop, k8s: Commands, behaves: str, pod: dict[str, Any], reason: str
) -> None:
    body = workload("deployment", "web", workshop.images[0], behaves)
    spec = body["spec"]["template"]["spec"]
    spec |= pod
    # A volume that no container mounts is not looked at.
    mounts = [{"name": one["name"], "mountPath": "/m"} for one in pod.get("volumes", ())]
    spec["containers"][0]["volumeMounts"] = mounts
    error = k8s.failure("wait", workshop.put(body), "--timeout", "120s", code=9)
    assert error["details"]["reason"] == reason


def test_a_progress_deadline_ends_the_wait(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.make("deployment", "web", "unready", progressDeadlineSeconds=3)
    error = k8s.failure("wait", target, "--timeout", "120s", code=9)
    assert error["details"]["reason"] == "ProgressDeadlineExceeded"


def test_time_can_be_over(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.make("statefulset", "web", "unready")
    error = k8s.failure("wait", target, "--timeout", "3s", code=10)
    assert error["code"] == "rollout-timeout"


def test_what_would_not_roll_is_refused(workshop: Workshop, k8s: Commands) -> None:
    paused = workshop.make("deployment", "paused", paused=True)
    kept = workshop.make("statefulset", "kept", updateStrategy={"type": "OnDelete"})
    assert k8s.failure("restart", paused, code=5)["code"] == "paused"
    assert k8s.failure("restart", kept, code=5)["code"] == "on-delete"
    nothing = workshop.make("deployment", "nothing", replicas=0)
    [done] = k8s.result("restart", nothing)["workloads"]
    assert done["held"]["reason"] == "zero-replicas"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_there_and_back(workshop: Workshop, k8s: Commands, kind: str) -> None:
    target = workshop.ready(kind, "web")
    one, two = workshop.images

    def running() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in workshop.pods("web").values()}

    assert k8s("set-image", target, two).returncode == 0
    assert running() == {two}
    assert k8s("rollback", target).returncode == 0
    assert running() == {one}
    assert k8s.failure("rollback", target, "--to-revision", "99", code=2)["code"] == (
        "no-such-revision"
    )


def test_a_set_that_is_stuck_is_taken_back(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.ready("statefulset", "web")
    bad = k8s.failure("set-image", target, "localhost/orchctl-no-such-image:0", code=9)
    assert bad["details"]["reason"] == "ImagePullBackOff"
    done = k8s("rollback", target, "--timeout", "120s")
    assert done.returncode == 0, done.stderr
    [pod] = workshop.pods("web").values()
    assert pod["spec"]["containers"][0]["image"] == workshop.images[0]


def test_logs_and_events(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.ready("statefulset", "web")
    assert "started" in k8s("logs", target).stdout.splitlines()
    assert k8s("logs", target, "--migrations", "-C", "0").stdout == f"{MIGRATED}\n"
    assert k8s.result("logs", target, "--expect", "003 -> 004")["seen"] == MIGRATED
    late = k8s.failure("logs", target, "--expect", "never said", "--timeout", "1s", code=10)
    assert late["code"] == "log-timeout"
    assert k8s.failure("logs", target, "--previous", code=1)["code"] == "no-log"
    found = k8s.result("events", target)["events"]
    assert {"pod/web-0", "statefulset/web"} <= {one["about"] for one in found}


def test_names(workshop: Workshop, k8s: Commands) -> None:
    target = workshop.ready("deployment", "web")
    assert k8s.failure("status", "deploy/wbe", code=9)["details"]["near"][0] == target
    [found] = k8s.result("status", "-l", "app=web")["workloads"]
    assert found["target"] == target
    assert k8s.failure("status", "deploy", "-l", "app=other", code=9)["code"] == "no-such-object"


def test_two_writers_are_named(workshop: Workshop, k8s: Commands) -> None:
    body = workload("deployment", "web", workshop.images[0], "well")
    claim = {"claimName": "not-there"}
    volumes = [{"name": "data", "persistentVolumeClaim": claim}]
    body["spec"]["replicas"] = 2
    body["spec"]["template"]["spec"]["volumes"] = volumes
    target = workshop.put(body)
    [done] = k8s.result("restart", target, "--dry-run=server")["workloads"]
    assert {one["id"] for one in done["warnings"]} == {"several-writers", "rolling-update"}
