"""What the API promises about everything: watches, leases, rights, logs, jobs on a claim, exec."""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.contract.ground import IDLE, Ground, refusal


def test_a_watch_goes_on_from_a_list(ground: Ground) -> None:
    listed = ground.core.list_namespaced_config_map(ground.namespace)
    labels = {"app": "watched"}
    body = {"metadata": {"name": "seen", "labels": labels}, "data": {"a": "1"}}
    ground.core.create_namespaced_config_map(ground.namespace, body)
    ground.core.create_namespaced_config_map(ground.namespace, {"metadata": {"name": "other"}})
    ground.core.patch_namespaced_config_map("seen", ground.namespace, {"data": {"a": "2"}})
    # What matches no longer is deleted, as far as this watch is concerned.
    gone = {"metadata": {"labels": {"app": "elsewhere"}}}
    ground.core.patch_namespaced_config_map("seen", ground.namespace, gone)
    events = watch.Watch().stream(
        ground.core.list_namespaced_config_map,
        ground.namespace,
        resource_version=listed.metadata.resource_version,
        label_selector="app=watched",
        timeout_seconds=30,
    )
    with closing(events):
        three = list(itertools.islice(events, 3))
    seen = [(each["type"], each["object"].data["a"]) for each in three]
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_from_a_forgotten_version_says_so(ground: Ground) -> None:
    events = watch.Watch().stream(
        ground.core.list_namespaced_config_map,
        ground.namespace,
        resource_version="1",
        timeout_seconds=5,
    )
    error = refusal(lambda: list(events))
    assert error.status == 410


def test_long_lists_come_in_pages(ground: Ground) -> None:
    for number in range(5):
        name = {"metadata": {"name": f"c-{number}", "labels": {"app": "paged"}}}
        ground.core.create_namespaced_config_map(ground.namespace, name)
    names: list[str] = []
    token = None
    while True:
        page = ground.core.list_namespaced_config_map(
            ground.namespace, limit=2, _continue=token, label_selector="app=paged"
        )
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"c-{number}" for number in range(5)]


def test_a_lease_is_taken_once(ground: Ground) -> None:
    leases = client.CoordinationV1Api(ground.api)
    body = {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "a"}}
    first = leases.create_namespaced_lease(ground.namespace, body)
    error = refusal(lambda: leases.create_namespaced_lease(ground.namespace, body))
    assert (error.status, json.loads(error.body)["reason"]) == (409, "AlreadyExists")
    first.spec.holder_identity = "b"
    leases.replace_namespaced_lease("lock", ground.namespace, first)
    # The second who read it as it was before comes too late.
    first.spec.holder_identity = "c"
    late = refusal(lambda: leases.replace_namespaced_lease("lock", ground.namespace, first))
    assert (late.status, json.loads(late.body)["reason"]) == (409, "Conflict")


def test_jobs_on_a_claim_see_each_others_files(ground: Ground) -> None:
    claim = ground.claim("data")
    first = ground.run_job("write", "echo kept > /data/file && echo written", claim)
    assert first.status.succeeded == 1
    ground.run_job("read", "cat /data/file", claim)
    (pod,) = ground.pods("job-name=read")
    assert ground.core.read_namespaced_pod_log(pod.metadata.name, ground.namespace) == "kept\n"


def test_a_failed_job_says_why_and_keeps_its_exit_code(ground: Ground) -> None:
    failed = ground.run_job("fails", "echo words; exit 6")
    conditions = [(each.type, each.reason) for each in failed.status.conditions]
    assert conditions == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert failed.status.failed == 1
    (pod,) = ground.pods("job-name=fails")
    assert pod.status.container_statuses[0].state.terminated.exit_code == 6
    background = client.V1DeleteOptions(propagation_policy="Background")
    ground.batch.delete_namespaced_job("fails", ground.namespace, body=background)
    ground.wait(lambda: not ground.pods("job-name=fails"))


def test_a_job_past_its_deadline_is_ended(ground: Ground) -> None:
    late = ground.run_job("late", IDLE, activeDeadlineSeconds=2)
    assert {each.reason for each in late.status.conditions} == {"DeadlineExceeded"}
    ground.wait(lambda: not ground.pods("job-name=late"))


def test_a_job_whose_pod_is_deleted_has_failed_and_makes_no_other(ground: Ground) -> None:
    """As when its node is drained: another pod beside the one that is still ending would be a
    second writer."""
    ground.start_job("drained", "trap 'sleep 2; exit 1' TERM; sleep 3600 & wait")
    (pod,) = ground.wait(lambda: [one for one in ground.pods() if one.status.phase == "Running"])
    ground.core.delete_namespaced_pod(pod.metadata.name, ground.namespace)
    seen: set[str] = set()

    def failed() -> Any:
        seen.update(each.metadata.uid for each in ground.pods())
        return ground.ended("drained")

    job = ground.wait(failed)
    assert {each.reason for each in job.status.conditions} == {"BackoffLimitExceeded"}
    assert job.status.failed == 1
    ground.wait(lambda: not ground.pods())
    assert seen == {pod.metadata.uid}


def test_logs_are_cut_and_those_of_the_last_start_are_kept(ground: Ground) -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "talks"},
        "spec": {
            "restartPolicy": "Always",
            "containers": [ground.container("echo one; echo two; exit 3")],
        },
    }
    ground.core.create_namespaced_pod(ground.namespace, body)

    def crashed() -> Any:
        pod = ground.core.read_namespaced_pod("talks", ground.namespace)
        (status,) = pod.status.container_statuses or [None]
        return status if status and status.restart_count and status.last_state.terminated else None

    assert ground.wait(crashed).last_state.terminated.exit_code == 3
    log = ground.core.read_namespaced_pod_log
    assert log("talks", ground.namespace, previous=True) == "one\ntwo\n"
    assert log("talks", ground.namespace, previous=True, tail_lines=1) == "two\n"


def test_followed_logs_end_with_the_container(ground: Ground) -> None:
    container = ground.container("echo first; sleep 1; echo last")
    body = {
        "metadata": {"name": "talks"},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    ground.core.create_namespaced_pod(ground.namespace, body)
    ground.wait(
        lambda: ground.core.read_namespaced_pod("talks", ground.namespace).status.phase != "Pending"
    )
    lines = watch.Watch().stream(
        ground.core.read_namespaced_pod_log, name="talks", namespace=ground.namespace
    )
    assert list(lines) == ["first", "last"]


def test_exec_runs_in_the_container(ground: Ground) -> None:
    ground.deploy("web")
    (pod,) = ground.pods("app=web")
    said, code = ground.run(pod.metadata.name, "sh", "-c", "echo inside; exit 3")
    assert (said, code) == ("inside\n", 3)


def test_rights_can_be_asked_for_and_are_named_when_missing(ground: Ground) -> None:
    mine = _may(ground, "patch", "apps", "statefulsets")
    assert mine is True
    nobody = f"system:serviceaccount:{ground.namespace}:default"
    ground.api.set_default_header("Impersonate-User", nobody)
    try:
        assert _may(ground, "patch", "apps", "statefulsets") is False
        error = refusal(lambda: ground.apps.list_namespaced_stateful_set(ground.namespace))
    finally:
        del ground.api.default_headers["Impersonate-User"]
    assert error.status == 403
    assert json.loads(error.body)["message"] == (
        f'statefulsets.apps is forbidden: User "{nobody}" cannot list resource "statefulsets" in '
        f'API group "apps" in the namespace "{ground.namespace}"'
    )


def _may(ground: Ground, verb: str, group: str, resource: str) -> bool:
    attributes = {
        "namespace": ground.namespace,
        "verb": verb,
        "group": group,
        "resource": resource,
    }
    body = {"spec": {"resourceAttributes": attributes}}
    review = client.AuthorizationV1Api(ground.api).create_self_subject_access_review(body)
    return bool(review.status.allowed)


def test_a_role_grants_what_it_lists(ground: Ground) -> None:
    rbac = client.RbacAuthorizationV1Api(ground.api)
    rule = {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]}
    rbac.create_namespaced_role(ground.namespace, {"metadata": {"name": "r"}, "rules": [rule]})
    account = {"kind": "ServiceAccount", "name": "default", "namespace": ground.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    binding = {"metadata": {"name": "r"}, "subjects": [account], "roleRef": role}
    rbac.create_namespaced_role_binding(ground.namespace, binding)
    nobody = f"system:serviceaccount:{ground.namespace}:default"
    ground.api.set_default_header("Impersonate-User", nobody)
    try:
        ground.wait(lambda: _may(ground, "list", "apps", "statefulsets"), timeout=20)
        assert _may(ground, "patch", "apps", "statefulsets") is False
    finally:
        del ground.api.default_headers["Impersonate-User"]


def test_an_unknown_kind_is_not_found(ground: Ground) -> None:
    custom = client.CustomObjectsApi(ground.api)
    error = refusal(
        lambda: custom.list_namespaced_custom_object(
            "orchctl.invalid", "v1", ground.namespace, "nothings"
        )
    )
    assert error.status == 404


def test_a_used_claim_outlives_its_deletion(ground: Ground) -> None:
    claim = ground.claim("data")
    ground.deploy("web", claim=claim)
    ground.core.delete_namespaced_persistent_volume_claim(claim, ground.namespace)
    held = ground.core.read_namespaced_persistent_volume_claim(claim, ground.namespace)
    assert held.metadata.deletion_timestamp is not None
    ground.apps.delete_namespaced_deployment("web", ground.namespace)
    ground.wait(lambda: _is_gone(ground, claim))


def _is_gone(ground: Ground, claim: str) -> bool:
    try:
        ground.core.read_namespaced_persistent_volume_claim(claim, ground.namespace)
    except ApiException as error:
        return bool(error.status == 404)
    return False
