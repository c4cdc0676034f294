"""What `k8s deploy`, `upgrade` and `downgrade` promise, on any cluster: all, or as it was."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from kubernetes import client

from tests.kubernetes.contract.ground import NO_IMAGE, Ground
from tests.kubernetes.contract.stand_in import StandIn
from tests.support.kubernetes_commands import Commands

UPGRADE = "upgrade --json head"


def test_a_deploy_goes_through_zero(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground)
    (before,) = ground.pods()
    plan = k8s.result("deploy", service.target, "--image", ground.image_2, "--dry-run")
    assert plan["claims"] == ["data-web-0"]
    assert ground.pods()[0].metadata.uid == before.metadata.uid

    done = k8s.result("deploy", service.target, "--image", ground.image_2)

    assert (done["upgrade"]["from"], done["upgrade"]["to"]) == ("001", "002")
    assert service.read("asked") == [UPGRADE]
    service.require_over(ground.image_2)
    assert k8s.result("status", service.target)["workloads"][0]["good"]


def test_an_upgrade_and_a_downgrade_keep_the_image(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground)
    assert k8s.result("upgrade", service.target)["upgrade"]["to"] == "002"
    assert k8s.failure("downgrade", service.target, "001", code=5)["code"] == "needs-yes"
    k8s.result("downgrade", service.target, "001", "--yes")
    assert service.read("asked") == [UPGRADE, "downgrade --json --yes 001"]
    service.require_over(ground.image)


def test_a_failing_upgrade_leaves_all_as_it_was(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground, "fails")
    error = k8s.failure("deploy", service.target, "--image", ground.image_2, code=6)
    assert error["code"] == "job-failed"
    assert "no such column: x" in error["message"]
    service.require_over(ground.image)


def test_a_version_that_crashes_is_taken_back_with_its_database(
    ground: Ground, k8s: Commands
) -> None:
    """D16: a StatefulSet's broken pod is in the way of the old version until it is gone."""
    service = StandIn(ground, "breaks")
    error = k8s.failure("deploy", service.target, "--image", ground.image_2, code=7)
    assert error["code"] == "upgrade-restored"
    assert "CrashLoopBackOff" in error["message"]
    assert service.read("asked") == [
        UPGRADE,
        "rollback --accept-data-loss --yes --json --to snap",
    ]
    service.require_over(ground.image)


def test_an_image_that_can_not_be_had(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground)
    words = ("deploy", service.target, "--image", NO_IMAGE)
    assert k8s.failure(*words, code=9)["code"] == "job-not-started"
    service.require_over(ground.image)


@pytest.mark.parametrize("option", ["--resume", "--abort"])
def test_a_killed_run_is_gone_on_with_or_undone(ground: Ground, k8s: Commands, option: str) -> None:
    service = StandIn(ground, "slow")
    running = k8s.start("deploy", service.target, "--image", ground.image_2)
    ground.wait(lambda: ground.batch.list_namespaced_job(ground.namespace).items)
    running.send_signal(signal.SIGKILL)
    assert running.finished().returncode == -signal.SIGKILL

    done = k8s.result("deploy", service.target, option)

    assert done["undone"] is (option == "--abort")
    # The Job that the killed one made was waited for, not made again.
    assert service.read("asked")[:1] == [UPGRADE]
    assert service.read("asked").count(UPGRADE) == 1
    service.require_over(ground.image if option == "--abort" else ground.image_2)


def test_two_runs_at_once(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground, "slow")
    words = ("deploy", service.target, "--image", ground.image_2)
    running = k8s.start(*words)
    ground.wait(lambda: ground.batch.list_namespaced_job(ground.namespace).items)
    assert k8s.failure(*words, code=4)["code"] == "run-under-way"
    assert running.finished().returncode == 0
    service.require_over(ground.image_2)


def test_what_is_refused(ground: Ground, k8s: Commands) -> None:
    service = StandIn(ground)
    before = service.object.metadata.generation

    def code(*more: str) -> str:
        words = ("deploy", service.target, "--image", ground.image_2, *more)
        return str(k8s.failure(*words, code=5)["code"])

    service.patch({"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}})
    assert code() == "on-delete"
    service.patch({"updateStrategy": {"type": "RollingUpdate"}})
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    service.patch({"persistentVolumeClaimRetentionPolicy": policy})
    assert code() == "claim-deleted-when-scaled"
    policy["whenScaled"] = "Retain"
    service.patch({"persistentVolumeClaimRetentionPolicy": policy})

    other = ground.workload("Deployment", "viewer", ground.container(), claim="data-web-0")
    other["spec"]["replicas"] = 1
    # It never gets a place; that it would write if it had one is enough.
    other["spec"]["template"]["spec"]["nodeSelector"] = {"orchctl-test/no-such": "node"}
    ground.apps.create_namespaced_deployment(ground.namespace, other)
    assert code() == "claim-shared"
    ground.apps.delete_namespaced_deployment("viewer", ground.namespace)
    ground.wait(lambda: not ground.pods("app=viewer"))

    scaling = client.AutoscalingV2Api(ground.api)
    body = _scaler()
    scaling.create_namespaced_horizontal_pod_autoscaler(ground.namespace, body)
    assert code() == "workload-owned"
    scaling.delete_namespaced_horizontal_pod_autoscaler("web", ground.namespace)

    assert k8s("deploy", service.target, "--image", ground.image_2, "--dry-run").returncode == 0
    assert service.object.metadata.generation == before + 4
    service.require_over(ground.image)


def _scaler() -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    metrics = [{"type": "Resource", "resource": cpu}]
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": metrics}
    return {"metadata": {"name": "web"}, "spec": spec}


def test_several_replicas_are_refused(ground: Ground, k8s: Commands) -> None:
    """D06: nothing has to run for it to be seen."""
    body = ground.workload("Deployment", "web", ground.container(), claim="not-there", replicas=2)
    ground.apps.create_namespaced_deployment(ground.namespace, body)
    words = ("deploy", "deployment/web", "--image", ground.image_2)
    assert k8s.failure(*words, code=5)["code"] == "several-writers"
    ground.deploy("alone")
    words = ("deploy", "deployment/alone", "--image", ground.image_2)
    assert k8s.failure(*words, code=5)["code"] == "no-claim"
