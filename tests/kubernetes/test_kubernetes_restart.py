"""`orchctl k8s restart`: what is asked of the cluster, and when it is over (D06, D08, D10, D11)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import (
    CLAIMS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    STATEFUL_SETS,
)
from tests.kubernetes.objects import daemon_set, deployment, stateful_set, template
from tests.support.kubernetes_commands import Commands, health_server

ANNOTATION = "kubectl.kubernetes.io/restartedAt"
KINDS = {
    "deployment": (DEPLOYMENTS, deployment),
    "statefulset": (STATEFUL_SETS, stateful_set),
    "daemonset": (DAEMON_SETS, daemon_set),
}
Json = dict[str, Any]


def settled(cluster: Cluster, count: int, namespace: str = "default") -> set[str]:
    """The uids of the pods, once there are so many and all are ready."""

    def ready() -> bool:
        pods = cluster.pods(namespace)
        return len(pods) == count and all(map(is_ready, pods))

    cluster.wait(ready)
    return {pod["metadata"]["uid"] for pod in cluster.pods(namespace)}


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def patches(cluster: Cluster) -> list[Any]:
    return [one for one in cluster.history.writes() if one.method == "PATCH"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_pod_is_another_and_ready_when_it_returns(
    cluster: Cluster, k8s: Commands, kind: str
) -> None:
    resource, make = KINDS[kind]
    made = cluster.create(resource, "default", make("web"))
    before = settled(cluster, 2 if kind == "daemonset" else 1)

    result = k8s.result("restart", f"{kind}/web")

    pods = cluster.pods("default")
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in pods)
    assert all(map(is_ready, pods))
    [workload] = result["workloads"]
    assert workload["target"] == f"{kind}/web"
    assert workload["changed"]
    assert workload["waited"]
    assert {pod["uid"] for pod in workload["pods"]} == {pod["metadata"]["uid"] for pod in pods}
    [patch] = patches(cluster)
    assert patch.path.endswith(f"/{kind}s/web")
    assert patch.content_type == "application/strategic-merge-patch+json"
    at = patch.body["spec"]["template"]["metadata"]["annotations"].pop(ANNOTATION)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)
    assert patch.body == {"spec": {"template": {"metadata": {"annotations": {}}}}}
    assert made["metadata"]["uid"]


@pytest.mark.parametrize("replicas", [1, 3])
def test_d08_it_is_not_over_before_the_old_pods_are_gone(
    cluster: Cluster, k8s: Commands, replicas: int
) -> None:
    cluster.script(Script(stuck=True))
    cluster.create(DEPLOYMENTS, "default", deployment("web", replicas))
    before = settled(cluster, replicas)

    run = k8s.start("restart", "deploy/web")
    # Everything that the Deployment's status says is good while the old pods go on.
    cluster.wait(lambda: "to be gone" in run.stderr())
    assert run.alive()
    status = cluster.objects(DEPLOYMENTS)[0]["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == replicas
    assert status["replicas"] == replicas
    for pod in cluster.pods("default"):
        if pod["metadata"]["uid"] in before:
            cluster.release(pod["metadata"]["name"])
    done = run.finished()

    assert done.returncode == 0, done.stderr
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in cluster.pods("default"))


def test_lines_are_those_of_kubectl(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web", 2))
    settled(cluster, 2)
    done = k8s("restart", "deploy/web")
    # How far it is when it is looked at for the first time is the controller's affair.
    assert re.search("Waiting for deployment 'web' rollout to finish: [0-2] ", done.stderr)
    assert "deployment 'web' successfully rolled out" in done.stderr
    assert re.fullmatch(r"deployment/web: restarted, 2 ready \(\d.*s\)\n", done.stdout)


def test_many_pods_cost_one_watch(cluster: Cluster, k8s: Commands) -> None:
    at_once = {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}}
    cluster.create(DEPLOYMENTS, "default", deployment("web", 200, strategy=at_once))
    settled(cluster, 200)
    asked = len(cluster.history.requests)
    assert k8s("restart", "deploy/web").returncode == 0
    about = [one for one in cluster.history.requests[asked:] if one.path.endswith("/pods")]
    # One list tells what must be gone, one is where the watch begins.
    assert sorted(one.verb for one in about) == ["list", "list", "watch"]
    assert len(cluster.history.requests[asked:]) < 15


def test_restarted_twice_within_a_second_is_restarted_twice(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    seen = [settled(cluster, 1)]
    for _ in range(2):
        assert k8s("restart", "sts/db").returncode == 0
        seen.append({pod["metadata"]["uid"] for pod in cluster.pods("default")})
    assert len(set.union(*seen)) == 3


def test_it_is_not_waited_for_where_nobody_wants_it(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(ready_after=None, annotations={}))
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    [workload] = k8s.result("restart", "deploy/web", "--no-wait")["workloads"]
    assert workload["changed"]
    assert not workload["waited"]


@pytest.mark.parametrize("target", ["deploy/web", "pod"])
def test_a_dry_run_asks_the_server_and_changes_nothing(
    cluster: Cluster, k8s: Commands, target: str
) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    before = settled(cluster, 1)
    if target == "pod":
        target = f"pod/{cluster.pods('default')[0]['metadata']['name']}"
    [kept] = cluster.objects(DEPLOYMENTS)

    [workload] = k8s.result("restart", target, "--dry-run=server")["workloads"]

    assert workload["dry_run"]
    [write] = cluster.history.writes()
    assert write.query.get("dryRun") == "All" or write.body["dryRun"] == ["All"]
    assert cluster.objects(DEPLOYMENTS)[0]["spec"] == kept["spec"]
    assert settled(cluster, 1) == before
    assert k8s.failure("restart", target, "--dry-run=client", code=2)["code"] == "usage"


def test_all_with_some_labels(cluster: Cluster, k8s: Commands) -> None:
    for name in ("one", "two", "three"):
        body = deployment(name)
        body["metadata"]["labels"] = {"part": "x" if name != "three" else "y"}
        cluster.create(DEPLOYMENTS, "default", body)
    settled(cluster, 3)
    result = k8s.result("restart", "deployment", "-l", "part=x")
    assert [one["target"] for one in result["workloads"]] == ["deployment/one", "deployment/two"]
    assert len(k8s.result("status", "-l", "part=x")["workloads"]) == 2
    assert k8s.failure("restart", "-l", "part=z", code=9)["code"] == "no-such-object"
    assert k8s.failure("restart", "deploy/one", "-l", "part=x", code=2)["code"] == "bad-target"


# -- pods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_is_deleted_by_its_uid_and_its_successor_waited_for(
    cluster: Cluster, k8s: Commands, kind: str
) -> None:
    resource, make = KINDS[kind]
    cluster.create(resource, "default", make("web"))
    count = 2 if kind == "daemonset" else 1
    settled(cluster, count)
    old = cluster.pods("default")[0]["metadata"]

    [workload] = k8s.result("restart", f"pod/{old['name']}")["workloads"]

    [delete] = cluster.history.writes()
    assert (delete.method, delete.body) == ("DELETE", {"preconditions": {"uid": old["uid"]}})
    uids = {pod["metadata"]["uid"] for pod in cluster.pods("default")}
    assert old["uid"] not in uids
    [pod] = workload["pods"]
    assert pod["ready"]
    assert pod["uid"] in uids - {old["uid"]}


def test_a_pod_that_ends_slowly_is_waited_for_and_never_forced(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.script(Script(stuck=True))
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    settled(cluster, 1)
    name = cluster.pods("default")[0]["metadata"]["name"]
    run = k8s.start("restart", f"pod/{name}")
    cluster.wait(lambda: sum(map(is_ready, cluster.pods("default"))) == 2)
    assert run.alive()
    cluster.release(name)
    assert run.finished().returncode == 0
    assert len(cluster.history.writes()) == 1


def test_a_pod_that_nothing_would_bring_back_is_left_alone(cluster: Cluster, k8s: Commands) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", **template("lone")}
    body["metadata"]["name"] = "lone"
    cluster.create(PODS, "default", body)
    settled(cluster, 1)
    error = k8s.failure("restart", "pod/lone", code=5)
    assert error["code"] == "bare-pod"
    assert not cluster.history.writes()


# -- what would not roll (D11) ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "body", "code"),
    [
        (DEPLOYMENTS, deployment("web", paused=True), "paused"),
        (STATEFUL_SETS, stateful_set("web", updateStrategy={"type": "OnDelete"}), "on-delete"),
        (DAEMON_SETS, daemon_set("web", updateStrategy={"type": "OnDelete"}), "on-delete"),
        (
            STATEFUL_SETS,
            stateful_set(
                "web", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
            ),
            "partition",
        ),
    ],
    ids=["paused", "sts-on-delete", "ds-on-delete", "partition"],
)
def test_d11_a_restart_that_would_do_nothing_is_refused(
    cluster: Cluster, k8s: Commands, resource: Any, body: Json, code: str
) -> None:
    cluster.create(resource, "default", body)
    target = f"{body['kind'].lower()}/web"
    error = k8s.failure("restart", target, code=5)
    assert error["code"] == code
    assert error["state"] == "Nothing was changed"
    assert error["hint"]
    assert not cluster.history.writes()
    # Another image is taken, and it is told that no pod changes.
    [workload] = k8s.result("set-image", target, "localhost/web:v2")["workloads"]
    assert workload["held"]["reason"] == code
    assert not workload["waited"]
    [waited] = k8s.result("wait", target)["workloads"]
    assert waited["held"]["reason"] == code


def test_d11_of_a_partition_only_what_changes_is_waited_for(
    cluster: Cluster, k8s: Commands
) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    cluster.create(STATEFUL_SETS, "default", stateful_set("db", 2, updateStrategy=rolling))
    settled(cluster, 2)
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods("default")}
    done = k8s("restart", "sts/db")
    after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in cluster.pods("default")}
    assert done.returncode == 0, done.stderr
    assert after["db-0"] == before["db-0"]
    assert after["db-1"] != before["db-1"]
    assert "1 of its pods stay as they are" in done.stderr


def test_d11_nothing_is_waited_for_at_zero(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db", 0))
    done = k8s("restart", "sts/db")
    assert done.returncode == 0
    assert "no replicas" in done.stderr
    assert len(patches(cluster)) == 1


# -- two writers (D06) -----------------------------------------------------------------------


def _with_claim(body: Json) -> Json:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}
    body["spec"]["template"]["spec"]["volumes"] = [volume]
    return body


@pytest.mark.parametrize(
    ("resource", "body", "ids"),
    [
        (DEPLOYMENTS, _with_claim(deployment("web")), ["rolling-update"]),
        (DEPLOYMENTS, _with_claim(deployment("web", strategy={"type": "Recreate"})), []),
        (
            DEPLOYMENTS,
            _with_claim(deployment("web", 2, strategy={"type": "Recreate"})),
            ["several-writers"],
        ),
        (DAEMON_SETS, _with_claim(daemon_set("web")), ["several-writers"]),
        (STATEFUL_SETS, stateful_set("web"), []),
        (STATEFUL_SETS, stateful_set("web", 2), ["several-databases"]),
        (DEPLOYMENTS, deployment("web", 2), []),
    ],
    ids=["rolling", "recreate", "replicas", "daemon", "one", "replicas-of-a-set", "no-claim"],
)
def test_d06_a_shape_with_two_writers_is_named(
    cluster: Cluster, k8s: Commands, resource: Any, body: Json, ids: list[str]
) -> None:
    cluster.create(resource, "default", body)
    target = f"{body['kind'].lower()}/web"
    [workload] = k8s.result("restart", target, "--no-wait")["workloads"]
    assert [one["id"] for one in workload["warnings"]] == ids
    warned = k8s("restart", target, "--no-wait").stderr.count("warning: ")
    assert warned == len(ids)


def test_d06_it_is_named_before_anything_is_done(cluster: Cluster, k8s: Commands) -> None:
    claim = {
        "metadata": {"name": "shared"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.create(CLAIMS, "default", claim)
    cluster.create(DEPLOYMENTS, "default", _with_claim(deployment("web")))
    cluster.deny("patch", "deployments")
    done = k8s("restart", "deploy/web")
    assert done.returncode == 9
    assert (
        "RollingUpdate starts the new pod while the old one still writes to shared" in done.stderr
    )
    assert "claim shared is ReadWriteMany" in done.stderr
    assert done.stderr.index("ReadWriteMany") < done.stderr.index("may not patch")


# -- health (D10) ------------------------------------------------------------------------------


def test_d10_it_is_over_when_the_health_check_is_good(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    with health_server([503, 503, 200]) as (url, answered):
        [workload] = k8s.result("restart", "sts/db", "--health", url)["workloads"]
    assert answered == [503, 503, 200]
    assert workload["answer"]["status"] == 200


def test_d10_ready_but_unhealthy_is_a_failure(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    with health_server([500]) as (url, _):
        error = k8s.failure("restart", "sts/db", "--health", url, "--timeout", "3s", code=9)
    assert error["code"] == "unhealthy"
    assert error["details"]["status"] == 500
    gone = k8s.failure("wait", "sts/db", "--health", url, "--timeout", "1s", code=10)
    assert gone["code"] == "no-answer"


# -- orchctl upgrade --restart -------------------------------------------------------------------


def test_an_upgrade_restarts_what_uses_the_database(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    settled(cluster, 1)
    k8s.project.add("001", "op.create_table('notes', sa.Column('id', sa.Integer))")
    done = k8s.bare("upgrade", "--restart", "k8s:deployment/web", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["revisions"] == ["001"]
    [one] = found["restarted"]
    assert (one["target"], one["changed"], one["waited"]) == ("deployment/web", True, True)
    again = k8s.bare("upgrade", "--restart", "k8s:deployment/web")
    assert "deployment/web: restarted, 1 ready" in again.stdout
    assert len([one for one in cluster.history.writes() if "dryRun" not in one.query]) == 2


def test_what_can_not_be_restarted_is_told_before_the_upgrade(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web", paused=True))
    k8s.project.add("001", "op.create_table('notes', sa.Column('id', sa.Integer))")
    for target, code in (("k8s:deployment/web", 5), ("k8s:deployment/other", 9)):
        done = k8s.bare("upgrade", "--restart", target)
        assert done.returncode == code
        assert "Nothing was changed" in done.stderr
    assert not k8s.project.database.exists()
