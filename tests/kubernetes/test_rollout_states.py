"""What objects of a real cluster (1.34) say: fixtures in their shape, zero counts absent."""

from __future__ import annotations

from typing import Any

import pytest

from orchctl.errors import ConfigurationError, WorkloadFailed
from orchctl.workloads.kubernetes.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    STATEFUL_SET,
    Kind,
    selector_text,
)
from orchctl.workloads.kubernetes.pods import mount_trouble, read_pod, trouble_of, why_not_ready
from orchctl.workloads.kubernetes.refusal import read_refusal, translated
from orchctl.workloads.kubernetes.rollout import (
    current_revision,
    pods_progress,
    progress_of,
    standstill,
)

Json = dict[str, Any]


def workload(spec: Json, status: Json, generation: int = 2) -> Json:
    return {
        "metadata": {"name": "web", "uid": "u", "generation": generation},
        "spec": spec,
        "status": status,
    }


def pod(name: str = "web-1", revision: str = "new", **status: Any) -> Json:
    ready = status.pop("ready", True)
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if status.pop("going", False) else {}
    labels = {"pod-template-hash": revision}
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, **going},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
SET = {
    "observedGeneration": 2,
    "replicas": 1,
    "readyReplicas": 1,
    "updatedReplicas": 1,
    "availableReplicas": 1,
    "currentRevision": "web-b",
    "updateRevision": "web-b",
}
ON_NODES = {
    "observedGeneration": 2,
    "desiredNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
}


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        (DEPLOYMENT, DONE, "successfully rolled out"),
        (DEPLOYMENT, {**DONE, "observedGeneration": 1}, "spec update to be observed"),
        (DEPLOYMENT, {"observedGeneration": 2, "replicas": 2}, "0 of 2 new replicas have been"),
        (DEPLOYMENT, {**DONE, "replicas": 3}, "1 old replicas are pending termination"),
        (DEPLOYMENT, {**DONE, "availableReplicas": 1}, "1 of 2 updated replicas are available"),
        (STATEFUL_SET, SET, "rolling update complete"),
        (STATEFUL_SET, {"observedGeneration": 2, "replicas": 1}, "1 pods to be ready"),
        # Between two pods a set has no updatedReplicas at all, and all the rest looks good.
        (
            STATEFUL_SET,
            {**{k: v for k, v in SET.items() if k != "updatedReplicas"}, "currentRevision": "a"},
            "0 pods at revision web-b",
        ),
        (STATEFUL_SET, {**SET, "availableReplicas": 0}, "1 pods to be available"),
        (DAEMON_SET, ON_NODES, "successfully rolled out"),
        (DAEMON_SET, {**ON_NODES, "updatedNumberScheduled": 1}, "1 out of 2 new pods"),
        (DAEMON_SET, {**ON_NODES, "numberAvailable": 1}, "1 of 2 updated pods are available"),
    ],
)
def test_how_far_a_rollout_is(kind: Kind, status: Json, told: str) -> None:
    replicas = 1 if kind is STATEFUL_SET else 2
    progress = progress_of(kind, workload({"replicas": replicas}, status))
    assert told in progress.told
    assert progress.done == (told in ("successfully rolled out", "rolling update complete"))


def test_a_deadline_that_has_passed() -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "web-1" has timed out progressing.',
    }
    status = {"observedGeneration": 2, "replicas": 1, "conditions": [condition]}
    progress = progress_of(DEPLOYMENT, workload({"replicas": 1}, status))
    assert progress.stuck.startswith("ProgressDeadlineExceeded: ReplicaSet")


@pytest.mark.parametrize(
    ("pods", "before", "told"),
    [
        ([pod()], [], None),
        # 24 ms after a pod was deleted its Deployment still reads "settled".
        ([pod(going=True)], [], "1 old pod to be gone: web-1"),
        ([pod()], ["uid-web-1"], "1 old pod to be gone"),
        ([pod(), pod("web-0", "old")], [], "1 old pod to be gone: web-0"),
        ([pod(ready=False)], [], "1 pods to be ready"),
        ([], [], "1 pods to be ready"),
        # An evicted pod stays listed, and nothing of it runs.
        ([pod(), pod("web-0", "old", phase="Failed", ready=False)], [], None),
    ],
)
def test_pods_bear_out_the_status_or_not(
    pods: list[Json], before: list[str], told: str | None
) -> None:
    said = progress_of(DEPLOYMENT, workload({"replicas": 2}, DONE))
    found = pods_progress(said, [read_pod(one) for one in pods], 1, "new", before)
    assert found.done == (told is None)
    assert told is None or told in found.told


def test_revisions() -> None:
    owner = {"controller": True, "uid": "u", "kind": "Deployment", "name": "web"}

    def replica_set(number: str, part: str) -> Json:
        return {
            "metadata": {
                "annotations": {"deployment.kubernetes.io/revision": number},
                "labels": {"pod-template-hash": part},
                "ownerReferences": [owner],
            }
        }

    sets = [replica_set("2", "a"), replica_set("5", "b")]
    made = workload({}, {})
    made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    assert current_revision(DEPLOYMENT, made, sets) == "a"
    made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "6"}
    assert current_revision(DEPLOYMENT, made, sets) == ""
    assert current_revision(STATEFUL_SET, workload({}, SET), ()) == "web-b"


def test_selectors() -> None:
    rules = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": rules}
    assert selector_text({"spec": {"selector": selector}}) == "app=web,tier in (a,b),!old"


def test_a_pause_is_told_before_anything_else() -> None:
    held = standstill(DEPLOYMENT, workload({"paused": True, "replicas": 0}, {}))
    assert held is not None
    assert held.reason == "paused"


# -- pods ----------------------------------------------------------------------------------------


def _waiting(reason: str, message: str = "", **more: Any) -> Json:
    return {
        "name": "web",
        "state": {"waiting": {"reason": reason, "message": message}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": "i",
        "imageID": "",
        **more,
    }


ENDED = {"terminated": {"exitCode": 3, "reason": "Error"}}
UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/2 nodes are available",
}


@pytest.mark.parametrize(
    ("status", "kind", "why"),
    [
        (
            {"containerStatuses": [_waiting("CrashLoopBackOff", "back-off 20s", lastState=ENDED)]},
            "crash-loop",
            "web: CrashLoopBackOff, exit code 3 (back-off 20s)",
        ),
        ({"containerStatuses": [_waiting("ErrImagePull", "refused")]}, None, "(refused)"),
        ({"containerStatuses": [_waiting("ImagePullBackOff")]}, "image-pull", "ImagePullBackOff"),
        (
            {"containerStatuses": [_waiting("CreateContainerConfigError", 'configmap "m"')]},
            "container-config",
            'configmap "m"',
        ),
        ({"containerStatuses": [_waiting("ContainerCreating")]}, None, "ContainerCreating"),
        (
            {"initContainerStatuses": [_waiting("CrashLoopBackOff", lastState=ENDED)]},
            "crash-loop",
            "CrashLoopBackOff",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "pod-failed", "Evict"),
        ({"conditions": [UNSCHEDULED]}, "unschedulable", "unschedulable: 0/2 nodes"),
        ({"containerStatuses": []}, None, "starting"),
    ],
)
def test_why_a_pod_is_not_ready(status: Json, kind: str | None, why: str) -> None:
    facts = read_pod(pod(ready=False, **status))
    trouble = trouble_of(facts)
    assert (trouble.kind if trouble else None) == kind
    assert why in why_not_ready(facts)


def test_storage_may_take_its_time_to_make_a_volume() -> None:
    unbound = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    for message, patience in (("0/2 nodes are available", 3), (unbound, 30)):
        conditions = [{**UNSCHEDULED, "message": message}]
        trouble = trouble_of(read_pod(pod(ready=False, conditions=conditions)))
        assert trouble is not None
        assert trouble.patience == patience


@pytest.mark.parametrize(
    ("status", "begun"),
    [
        ({"state": {"running": {"startedAt": "…"}}}, True),
        ({"state": {"terminated": {"exitCode": 0, "startedAt": "…"}}}, True),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 1}, True),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, False),
        # What kubelet says of one that never was, when its pod is deleted.
        (
            {
                "state": {
                    "terminated": {
                        "exitCode": 137,
                        "reason": "ContainerStatusUnknown",
                        "startedAt": None,
                        "finishedAt": None,
                    }
                }
            },
            False,
        ),
    ],
)
def test_whether_a_container_ever_ran(status: Json, begun: bool) -> None:
    statuses = [{**_waiting(""), **status}]
    [container] = read_pod(pod(ready=False, containerStatuses=statuses)).containers
    assert container.begun is begun


@pytest.mark.parametrize(
    ("message", "count", "counts"),
    [
        ('MountVolume.SetUp failed for volume "m" : secret "missing" not found', 1, True),
        ('failed for volume "api" : object "ns"/"kube-root-ca.crt" not registered', 1, False),
        ('failed for volume "api" : configmap "kube-root-ca.crt" not found', 1, False),
        ("driver name x.csi not found in the list of registered CSI drivers", 2, False),
        ("Unable to attach or mount volumes: timed out", 3, True),
    ],
)
def test_a_mount_that_fails_once_may_pass(message: str, count: int, counts: bool) -> None:
    event = {
        "reason": "FailedMount",
        "message": message,
        "count": count,
        "involvedObject": {"kind": "Pod", "name": "web-1"},
    }
    assert (mount_trouble(event) is not None) == counts


# -- refusals ------------------------------------------------------------------------------------


def test_what_a_proxy_answers_is_no_status() -> None:
    refusal = read_refusal(502, b"<html>Bad Gateway</html>", None)
    assert refusal.transient
    assert "Bad Gateway" in translated(refusal, "https://c").message


def test_the_field_that_is_invalid_is_named() -> None:
    raw = b"""{"kind": "Status", "reason": "Invalid", "code": 422,
        "message": "Deployment.apps \\"web\\" is invalid: spec.replicas: Invalid value: -1",
        "details": {"causes": [{"reason": "FieldValueInvalid", "field": "spec.replicas"}]}}"""
    error = translated(read_refusal(422, raw), "https://c")
    assert isinstance(error, WorkloadFailed)
    assert error.hint == "The field to correct: spec.replicas"


def test_who_is_not_known_has_to_sign_in() -> None:
    error = translated(read_refusal(401, b'{"message": "Unauthorized"}'), "https://c")
    assert isinstance(error, ConfigurationError)


def test_a_right_in_the_whole_cluster_needs_a_cluster_role() -> None:
    raw = (
        b'{"message": "nodes is forbidden: User \\"a\\" cannot list resource \\"nodes\\" '
        b'in API group \\"\\" at the cluster scope"}'
    )
    error = translated(read_refusal(403, raw), "https://c")
    assert error.details["role"]["kind"] == "ClusterRole"
    assert error.hint is not None
    assert "create clusterrole orchctl-list-nodes" in error.hint
