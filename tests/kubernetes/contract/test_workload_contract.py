"""What the API promises about workloads: restarts, scaling, images, pausing, stuck updates."""

from __future__ import annotations

from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.contract.ground import NO_IMAGE, Ground, refusal

RESTARTED = "kubectl.kubernetes.io/restartedAt"


def restart_patch(at: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}}


def image_patch(image: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}


def uids(ground: Ground, selector: str) -> set[str]:
    return {each.metadata.uid for each in ground.pods(selector)}


def test_the_restart_annotation_replaces_every_pod(ground: Ground) -> None:
    before = ground.deploy("web", replicas=2)
    old = uids(ground, "app=web")
    patched = ground.apps.patch_namespaced_deployment("web", ground.namespace, restart_patch())
    assert patched.metadata.generation == before.metadata.generation + 1
    assert patched.status.observed_generation == before.metadata.generation
    after = ground.settled("web")
    assert old.isdisjoint(uids(ground, "app=web"))
    revision = "deployment.kubernetes.io/revision"
    assert (before.metadata.annotations[revision], after.metadata.annotations[revision]) == (
        "1",
        "2",
    )
    conditions = {each.type: each.reason for each in after.status.conditions}
    assert conditions == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }


def test_a_dry_run_answers_and_writes_nothing(ground: Ground) -> None:
    before = ground.deploy("web")
    patched = ground.apps.patch_namespaced_deployment(
        "web", ground.namespace, restart_patch(), dry_run="All"
    )
    assert patched.metadata.generation == before.metadata.generation + 1
    now = ground.apps.read_namespaced_deployment("web", ground.namespace)
    assert now.metadata.generation == before.metadata.generation
    assert now.spec.template.metadata.annotations is None


def test_a_patch_names_its_container_and_leaves_the_rest(ground: Ground) -> None:
    container = ground.container(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    body = ground.workload("Deployment", "web", container, replicas=0)
    ground.apps.create_namespaced_deployment(ground.namespace, body)
    change = {"name": "c", "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}]}
    patch = {"spec": {"template": {"spec": {"containers": [change]}}}}
    after = ground.apps.patch_namespaced_deployment("web", ground.namespace, patch)
    (held,) = after.spec.template.spec.containers
    assert [(each.name, each.value) for each in held.env] == [("B", "3")]
    assert held.command == ["sh", "-c", container["command"][2]]


def test_scale_with_a_stale_version_is_refused(ground: Ground) -> None:
    ground.stateful("db")
    stale = {
        "metadata": {"name": "db", "namespace": ground.namespace, "resourceVersion": "1"},
        "spec": {"replicas": 0},
    }
    error = refusal(
        lambda: ground.apps.replace_namespaced_stateful_set_scale("db", ground.namespace, stale)
    )
    assert (error.status, error.reason) == (409, "Conflict")
    assert "the object has been modified" in error.body
    ground.wait(lambda: _scaled_to_zero(ground))
    ground.wait(lambda: not ground.pods("app=db"))
    # The status is told later than the pod's end.
    ground.wait(lambda: _status(ground).replicas in (None, 0))
    assert _status(ground).ready_replicas is None
    back = {"spec": {"replicas": 1}}
    ground.apps.patch_namespaced_stateful_set_scale("db", ground.namespace, back)
    ground.ready("db")


def _scaled_to_zero(ground: Ground) -> bool:
    """With the version just read; False when the status was written in between."""
    scale = ground.apps.read_namespaced_stateful_set_scale("db", ground.namespace)
    scale.spec.replicas = 0
    try:
        ground.apps.replace_namespaced_stateful_set_scale("db", ground.namespace, scale)
    except ApiException as error:
        if error.status != 409:
            raise
        return False
    return True


def _status(ground: Ground) -> Any:
    return ground.apps.read_namespaced_stateful_set("db", ground.namespace).status


def test_a_pod_is_deleted_only_with_its_own_uid(ground: Ground) -> None:
    ground.stateful("db")
    (pod,) = ground.pods("app=db")
    wrong = client.V1DeleteOptions(
        preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000")
    )
    error = refusal(lambda: ground.core.delete_namespaced_pod("db-0", ground.namespace, body=wrong))
    assert error.status == 409
    assert "does not match the UID in record" in error.body
    right = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.metadata.uid))
    ground.core.delete_namespaced_pod("db-0", ground.namespace, body=right)
    ground.wait(lambda: uids(ground, "app=db") - {pod.metadata.uid})
    ground.ready("db")


def test_a_paused_deployment_notices_and_does_nothing(ground: Ground) -> None:
    ground.deploy("web")
    old = uids(ground, "app=web")
    paused = {"spec": {"paused": True, **restart_patch()["spec"]}}
    patched = ground.apps.patch_namespaced_deployment("web", ground.namespace, paused)

    def noticed() -> Any:
        found = ground.apps.read_namespaced_deployment("web", ground.namespace)
        seen = found.status.observed_generation == patched.metadata.generation
        return found if seen else None

    status = ground.wait(noticed).status
    assert status.updated_replicas is None
    assert status.available_replicas == 1
    assert uids(ground, "app=web") == old


def test_on_delete_rolls_nothing_until_a_pod_is_deleted(ground: Ground) -> None:
    ground.stateful("db", updateStrategy={"type": "OnDelete"})
    (old,) = ground.pods("app=db")
    ground.apps.patch_namespaced_stateful_set("db", ground.namespace, image_patch(ground.image_2))

    def noticed() -> Any:
        found = ground.apps.read_namespaced_stateful_set("db", ground.namespace)
        return found if found.status.update_revision != found.status.current_revision else None

    assert ground.wait(noticed).status.updated_replicas is None
    assert uids(ground, "app=db") == {old.metadata.uid}
    ground.core.delete_namespaced_pod("db-0", ground.namespace)
    ground.ready("db")
    (new,) = ground.pods("app=db")
    assert new.spec.containers[0].image == ground.image_2


def test_a_stuck_update_stays_stuck_when_its_template_is_put_right(ground: Ground) -> None:
    """D16: the broken pod has to be deleted; the revert alone does not help."""
    ground.stateful("db")
    broken = image_patch(NO_IMAGE)
    ground.apps.patch_namespaced_stateful_set("db", ground.namespace, broken)

    def failing() -> str | None:
        for pod in ground.pods("app=db"):
            for status in pod.status.container_statuses or []:
                if status.state.waiting and "Image" in (status.state.waiting.reason or ""):
                    return str(pod.metadata.uid)
        return None

    stuck = ground.wait(failing)
    reverted = ground.apps.patch_namespaced_stateful_set(
        "db", ground.namespace, image_patch(ground.image)
    )

    def noticed() -> bool:
        found = ground.apps.read_namespaced_stateful_set("db", ground.namespace)
        return bool(found.status.observed_generation == reverted.metadata.generation)

    ground.wait(noticed)
    assert uids(ground, "app=db") == {stuck}
    ground.core.delete_namespaced_pod("db-0", ground.namespace)
    ground.ready("db")


def test_what_may_not_be_changed_is_refused(ground: Ground) -> None:
    ground.stateful("db", replicas=0)
    patch = {"spec": {"serviceName": "other"}}
    error = refusal(
        lambda: ground.apps.patch_namespaced_stateful_set("db", ground.namespace, patch)
    )
    assert error.status == 422
    assert "updates to statefulset spec for fields other than" in error.body
