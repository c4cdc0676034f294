"""What tests can make the fake do: containers by script, trouble on demand, history."""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import (
    CLAIMS,
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    STATEFUL_SETS,
    Json,
    Resource,
)
from tests.kubernetes.objects import deployment, job, stateful_set

PODS_PATH = "/api/v1/namespaces/default/pods"


def ask(
    cluster: Cluster,
    method: str,
    path: str,
    body: Json | None = None,
    kind: str = "",
    token: str = "",
) -> tuple[int, Any, dict[str, str]]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=30)
    headers = {"Content-Type": kind or "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.headers)
    finally:
        connection.close()


def run(cluster: Cluster, name: str = "db", **spec: Any) -> Json:
    """A StatefulSet whose pod is ready."""
    cluster.create(STATEFUL_SETS, "default", stateful_set(name, **spec))
    return cluster.wait(lambda: ready(cluster, f"{name}-0"))


def ready(cluster: Cluster, name: str) -> Json | None:
    for pod in cluster.pods("default"):
        for condition in pod["status"].get("conditions", []):
            if pod["metadata"]["name"] == name and condition["type"] == "Ready":
                return pod if condition["status"] == "True" else None
    return None


def waiting(cluster: Cluster, reason: str) -> Json | None:
    for pod in cluster.pods("default"):
        for status in pod["status"].get("containerStatuses", []):
            if status["state"].get("waiting", {}).get("reason") == reason:
                return dict(status)
    return None


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(image_error="no such host"), "ImagePullBackOff"),
        (Script(config_error='secret "s" not found'), "CreateContainerConfigError"),
        (Script(mount_error="MountVolume.SetUp failed"), "ContainerCreating"),
        (Script(run_for=0.01, exit_code=3), "CrashLoopBackOff"),
    ],
)
def test_containers_fail_as_their_script_says(
    cluster: Cluster, script: Script, reason: str
) -> None:
    cluster.script(script)
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    status = cluster.wait(lambda: waiting(cluster, reason))
    if reason == "CrashLoopBackOff":
        assert status["lastState"]["terminated"]["exitCode"] == 3


def test_a_stuck_pod_stays_until_it_is_released(cluster: Cluster) -> None:
    cluster.script(Script(stuck=True))
    pod = run(cluster)
    uid = pod["metadata"]["uid"]
    ask(cluster, "DELETE", f"{PODS_PATH}/db-0?gracePeriodSeconds=1")
    time.sleep(1.3)  # longer than its grace period
    (held,) = cluster.pods("default")
    assert held["metadata"]["uid"] == uid
    assert held["metadata"]["deletionTimestamp"]
    cluster.release("db-0")
    cluster.wait(lambda: uid not in {each["metadata"]["uid"] for each in cluster.pods("default")})


def test_what_runs_on_an_unreachable_node_runs_on_when_its_pod_is_forced_away(
    cluster: Cluster,
) -> None:
    """The hazard of force-deletion: the object goes, the writer stays, the next one starts."""
    pod = run(cluster)
    cluster.node_down(pod["spec"]["nodeName"])
    ask(cluster, "DELETE", f"{PODS_PATH}/db-0")
    cluster.wait(lambda: not ready(cluster, "db-0"))
    assert cluster.pods("default")[0]["metadata"]["uid"] == pod["metadata"]["uid"]
    ask(cluster, "DELETE", f"{PODS_PATH}/db-0?gracePeriodSeconds=0")
    cluster.wait(lambda: ready(cluster, "db-0"))
    ((first, second),) = cluster.history.overlaps("default", "data-db-0")
    assert first.uid == pod["metadata"]["uid"]
    assert second.node != first.node


def test_an_ordinary_restart_never_overlaps(cluster: Cluster) -> None:
    run(cluster)
    patch = {"spec": {"template": {"metadata": {"annotations": {"a": "1"}}}}}
    path = "/apis/apps/v1/namespaces/default/statefulsets/db"
    ask(cluster, "PATCH", path, patch, "application/strategic-merge-patch+json")
    cluster.wait(lambda: len(cluster.history.on_claim("default", "data-db-0")) == 2)
    cluster.wait(lambda: ready(cluster, "db-0"))
    assert cluster.history.overlaps("default", "data-db-0") == []


def test_two_pods_on_one_claim_are_seen_to_overlap(cluster: Cluster) -> None:
    body = deployment("web", replicas=2)
    run(cluster)
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    body["spec"]["template"]["spec"]["volumes"] = [claim]
    cluster.create(DEPLOYMENTS, "default", body)
    cluster.wait(lambda: len(cluster.history.overlaps("default", "data-db-0")) == 3)


def test_a_job_really_writes_to_the_claims_directory(cluster: Cluster, tmp_path: Path) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.create(CLAIMS, "default", claim)
    cluster.script(Script(image="localhost/busybox:1", process=True, env={"FROM_SCRIPT": "7"}))
    program = (
        'python3 -c "import os, sqlite3\n'
        "at = sqlite3.connect(os.environ['DATABASE'])\n"
        "at.execute('CREATE TABLE t AS SELECT ' + os.environ['FROM_SCRIPT'] + ' AS x')\n"
        'at.commit()"; echo done; exit 6'
    )
    body = job("up", ["sh", "-c", program], "data")
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "DATABASE", "value": "/data/app.db"}]
    cluster.create(JOBS, "default", body)
    cluster.wait(lambda: _conditions(cluster) == ["FailureTarget", "Failed"])
    (pod,) = cluster.pods("default")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 6
    with sqlite3.connect(cluster.claim_directory("default", "data") / "app.db") as held:
        assert held.execute("SELECT x FROM t").fetchall() == [(7,)]
    held.close()


def _conditions(cluster: Cluster) -> list[str]:
    (held,) = cluster.objects(JOBS, "default")
    return [each["type"] for each in held["status"].get("conditions", [])]


def test_when_scaled_delete_deletes_the_data(cluster: Cluster) -> None:
    """D07."""
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    run(cluster, persistentVolumeClaimRetentionPolicy=policy)
    (cluster.claim_directory("default", "data-db-0") / "app.db").write_text("rows")
    path = "/apis/apps/v1/namespaces/default/statefulsets/db/scale"
    ask(cluster, "PATCH", path, {"spec": {"replicas": 0}}, "application/merge-patch+json")
    cluster.wait(lambda: not cluster.objects(CLAIMS, "default"))
    assert not cluster.claim_directory("default", "data-db-0").exists()


def test_a_suspended_cron_job_makes_no_jobs(cluster: Cluster) -> None:
    spec = {"jobTemplate": {"spec": job("x", ["true"])["spec"]}, "schedule": "* * * * *"}
    cluster.create(CRON_JOBS, "default", {"metadata": {"name": "tick"}, "spec": spec})
    assert cluster.run_cron_job("default", "tick") is not None
    path = "/apis/batch/v1/namespaces/default/cronjobs/tick"
    ask(cluster, "PATCH", path, {"spec": {"suspend": True}}, "application/merge-patch+json")
    assert cluster.run_cron_job("default", "tick") is None


def test_faults_are_met_as_often_as_asked(cluster: Cluster) -> None:
    cluster.fault(Fault(verb="list", status=429, retry_after=1, times=2))
    for _ in range(2):
        status, body, headers = ask(cluster, "GET", PODS_PATH)
        assert (status, body["reason"], headers["Retry-After"]) == (429, "TooManyRequests", "1")
    assert ask(cluster, "GET", PODS_PATH)[0] == 200
    cluster.fault(Fault(verb="list", drop=True))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(cluster, "GET", PODS_PATH)


def test_an_answer_that_is_lost_was_written_all_the_same(cluster: Cluster) -> None:
    cluster.fault(Fault(verb="create", lose_answer=True))
    body = {"metadata": {"name": "made"}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(cluster, "POST", PODS_PATH, body)
    assert [each["metadata"]["name"] for each in cluster.pods("default")] == ["made"]
    assert cluster.history.writes()[-1].verb == "create"


def test_a_request_can_be_held_up(cluster: Cluster) -> None:
    held, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        held.set()
        go_on.wait(30)

    cluster.fault(Fault(verb="list", before=wait))
    asking = threading.Thread(target=ask, args=(cluster, "GET", PODS_PATH))
    asking.start()
    assert held.wait(30)
    go_on.set()
    asking.join(30)
    assert cluster.history.requests[-1].status == 200


def test_an_outage_answers_nobody(cluster: Cluster) -> None:
    with cluster.outage(), pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(cluster, "GET", PODS_PATH)
    assert ask(cluster, "GET", PODS_PATH)[0] == 200


def test_rights_are_taken_away_and_tokens_refused(cluster: Cluster) -> None:
    cluster.deny("list", "pods")
    status, body, _ = ask(cluster, "GET", PODS_PATH)
    assert (status, body["reason"]) == (403, "Forbidden")
    assert ask(cluster, "GET", PODS_PATH, token="unknown")[0] == 401
    viewer = cluster.token_for("viewer")
    assert (
        'User "viewer" cannot get'
        in ask(cluster, "GET", f"{PODS_PATH}/x", token=viewer)[1]["message"]
    )


def test_kinds_are_unknown_until_they_are_put_in(cluster: Cluster) -> None:
    path = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
    assert ask(cluster, "GET", path)[0] == 404
    scaled = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", custom=True)
    cluster.add_kind(scaled)
    assert ask(cluster, "GET", path)[1]["items"] == []
