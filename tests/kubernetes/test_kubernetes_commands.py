"""`orchctl k8s status | logs | wait | set-image | rollback | events`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from tests.kubernetes.objects import daemon_set, deployment, stateful_set
from tests.kubernetes.test_kubernetes_restart import KINDS, patches, settled
from tests.support.kubernetes_commands import Commands

V1, V2, V3 = (f"localhost/web:v{number}" for number in (1, 2, 3))
START = """\
2025-10-20 INFO something before
2025-10-20 INFO something just before
INFO  [alembic.runtime.migration] Running upgrade 002 -> 003, config to fields
INFO  [alembic.runtime.migration] Running upgrade 003 -> 004, health fields
2025-10-20 INFO listening on :8000
2025-10-20 INFO GET /health 200
2025-10-20 INFO postgres://user:secret@db/x"""


def images(cluster: Cluster) -> set[str]:
    pods = cluster.pods("default")
    return {each["image"] for pod in pods for each in pod["spec"]["containers"]}


# -- status --------------------------------------------------------------------------------------


def test_status_tells_what_there_is(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    assert k8s("restart", "sts/db").returncode == 0
    [workload] = k8s.result("status", "sts/db")["workloads"]
    [pod] = workload["pods"]
    assert workload["good"]
    assert workload["rollout"]["done"]
    assert workload["restarted_at"].endswith("Z")
    assert workload["images"] == {"web": V1}
    assert workload["claims"] == [
        {
            "name": "data-db-0",
            "access_modes": ["ReadWriteOnce"],
            "phase": "Bound",
            "size": "1Gi",
        }
    ]
    assert pod["started_at"].endswith("Z")
    assert pod["containers"][0]["image_id"].startswith("sha256:")
    text = k8s("status", "sts/db").stdout
    for part in ("rolling update complete", "data-db-0 ReadWriteOnce 1Gi Bound", "ready", V1):
        assert part in text


@pytest.mark.parametrize("kind", KINDS)
def test_status_is_good_at_rest_and_bad_when_a_pod_is_not_ready(
    cluster: Cluster, k8s: Commands, kind: str
) -> None:
    resource, make = KINDS[kind]
    cluster.create(resource, "default", make("web"))
    settled(cluster, 2 if kind == "daemonset" else 1)
    assert k8s("wait", f"{kind}/web").returncode == 0
    assert k8s("status", f"{kind}/web").returncode == 0
    name = cluster.pods("default")[0]["metadata"]["name"]
    assert k8s("status", f"pod/{name}").returncode == 0
    cluster.set_ready("default", name, False)
    for target in (f"{kind}/web", f"pod/{name}"):
        [workload] = k8s.result("status", target, code=1)["workloads"]
        assert not workload["good"]
        assert [pod["why"] for pod in workload["pods"] if not pod["ready"]]


def test_status_of_what_was_scaled_away_is_good(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web", 0))
    done = k8s("status", "deploy/web")
    assert done.returncode == 0
    assert "no replicas" in done.stderr


@pytest.mark.parametrize(
    ("said", "revision", "text"),
    [
        ((0, '{"revisions": ["004"], "at_head": true}'), "004", "004"),
        ((0, '{"revisions": []}'), "", "base"),
        ((127, "orchctl: not found"), None, "no pod can tell"),
    ],
)
def test_a_pod_is_asked_for_its_database_s_revision(
    cluster: Cluster, k8s: Commands, said: tuple[int, str], revision: str | None, text: str
) -> None:
    cluster.script(Script(exec_results={"orchctl current --json": said}))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    k8s("wait", "sts/db")
    assert k8s.result("status", "sts/db", "--database")["workloads"][0]["revision"] == revision
    assert f"database   {text}" in k8s("status", "sts/db", "--database").stdout
    assert not [one for one in cluster.history.writes() if one.verb != "create"]
    cluster.deny("create", "pods/exec")
    cluster.deny("get", "pods/exec")
    assert k8s.result("status", "sts/db", "--database")["workloads"][0]["revision"] is None


# -- wait ----------------------------------------------------------------------------------------


def test_wait_goes_on_until_a_rollout_of_somebody_else_is_over(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.script(Script(stuck=True))
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    before = settled(cluster, 1)
    assert k8s("set-image", "deploy/web", V2, "--no-wait").returncode == 0
    run = k8s.start("wait", "deploy/web")
    cluster.wait(lambda: "to be gone" in run.stderr())
    assert run.alive()
    for pod in cluster.pods("default"):
        cluster.release(pod["metadata"]["name"])
    assert run.finished().returncode == 0
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in cluster.pods("default"))


def test_wait_for_a_pod(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(ready_after=0.5))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    cluster.wait(lambda: cluster.pods("default"))
    [workload] = k8s.result("wait", "pod/db-0")["workloads"]
    assert workload["pods"][0]["ready"]
    assert not cluster.history.writes()


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_set_and_taken_back(cluster: Cluster, k8s: Commands, kind: str) -> None:
    resource, make = KINDS[kind]
    cluster.create(resource, "default", make("web"))
    settled(cluster, 2 if kind == "daemonset" else 1)

    [workload] = k8s.result("set-image", f"{kind}/web", V2)["workloads"]
    assert workload["images"] == {"from": {"web": V1}, "to": {"web": V2}}
    assert images(cluster) == {V2}
    assert patches(cluster)[0].body == {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": V2}]}}}
    }
    # A restart makes a revision with the same image: going back means the image before.
    assert k8s("restart", f"{kind}/web").returncode == 0
    [workload] = k8s.result("rollback", f"{kind}/web")["workloads"]
    assert workload["images"] == {"from": {"web": V2}, "to": {"web": V1}}
    assert images(cluster) == {V1}


def test_a_rollback_to_a_revision(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    settled(cluster, 1)
    for image in (V2, V3):
        assert k8s("set-image", "deploy/web", image).returncode == 0
    assert k8s("rollback", "deploy/web", "--to-revision", "1").returncode == 0
    assert images(cluster) == {V1}
    # Revision 1 has become 4: the numbers have a gap.
    error = k8s.failure("rollback", "deploy/web", "--to-revision", "1", code=2)
    assert error["code"] == "no-such-revision"
    assert error["hint"] == "Known: 2, 3, 4"
    assert k8s("rollback", "deploy/web").returncode == 0
    assert images(cluster) == {V3}


def test_without_another_image_there_is_nothing_to_go_back_to(
    cluster: Cluster, k8s: Commands
) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    error = k8s.failure("rollback", "sts/db", code=1)
    assert error["code"] == "no-earlier-image"
    assert not cluster.history.writes()


def test_the_image_that_is_there_already_changes_nothing(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    before = settled(cluster, 1)
    done = k8s("set-image", "sts/db", V1)
    assert done.returncode == 0
    assert "nothing to change" in done.stdout
    assert settled(cluster, 1) == before


def test_several_containers(cluster: Cluster, k8s: Commands) -> None:
    body = deployment("web")
    spec = body["spec"]["template"]["spec"]
    spec["containers"].append({"name": "side", "image": "localhost/side:1"})
    spec["initContainers"] = [{"name": "first", "image": V1}]
    cluster.script(Script(container="first", run_for=0.02))
    cluster.create(DEPLOYMENTS, "default", body)
    settled(cluster, 1)
    for wrong in (V2, "wbe=x", "web="):
        error = k8s.failure("set-image", "deploy/web", wrong, code=2)
        assert error["code"] == "bad-image"
        assert "first, web, side" in error["hint"]
    assert k8s("set-image", "deploy/web", f"web={V2}", f"first={V2}").returncode == 0
    [pod] = [one for one in cluster.pods("default") if "deletionTimestamp" not in one["metadata"]]
    assert [one["image"] for one in pod["spec"]["containers"]] == [V2, "localhost/side:1"]
    assert pod["spec"]["initContainers"][0]["image"] == V2
    assert k8s.failure("set-image", "pod/x", V2, code=9)["code"] == "no-such-object"
    target = f"pod/{pod['metadata']['name']}"
    assert k8s.failure("set-image", target, V2, code=2)["code"] == "bad-target"


# -- logs ----------------------------------------------------------------------------------------


@pytest.fixture
def said(cluster: Cluster) -> Cluster:
    """A StatefulSet that has upgraded its database and started."""
    cluster.script(Script(log=START))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    return cluster


def test_logs(said: Cluster, k8s: Commands) -> None:
    everything = k8s("logs", "sts/db").stdout
    assert everything == START.replace("secret", "***") + "\n"
    assert k8s("logs", "pod/db-0", "--tail", "2").stdout.splitlines()[0].endswith("/health 200")
    assert k8s("logs", "po/db-0", "--since", "90s").stdout == everything
    assert said.history.requests[-1].query["sinceSeconds"] == "90"
    upgrades = [line for line in START.splitlines() if "Running upgrade" in line]
    found = k8s("logs", "sts/db", "--migrations", "-C", "0").stdout.splitlines()
    assert found == upgrades
    around = k8s("logs", "sts/db", "--migrations", "-C", "1").stdout.splitlines()
    assert around == START.splitlines()[1:5]
    kept = k8s.result("logs", "sts/db", "--migrations", "-C", "0")
    assert kept["lines"] == [{"pod": "db-0", "line": line} for line in upgrades]


def test_logs_are_followed_until_something_is_said(said: Cluster, k8s: Commands) -> None:
    done = k8s.result("logs", "sts/db", "--expect", r"upgrade 003 -> (\d+)")
    assert done["seen"].endswith("004, health fields")
    assert len(done["lines"]) == 4
    late = k8s.failure("logs", "sts/db", "--expect", "never", "--timeout", "0.5s", code=10)
    assert late["code"] == "log-timeout"
    assert k8s.failure("logs", "sts/db", "--expect", "(", code=2)["code"] == "bad-pattern"


def test_logs_go_on_where_the_connection_was_lost(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(log="first\nagain", log_every=0.2))
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    settled(cluster, 1)
    run = k8s.start("logs", "-f", "sts/db")
    output = run._folder / "stdout"
    cluster.wait(lambda: output.read_text().count("again") >= 1)
    cluster.fault(Fault("get", "/log", status=503))
    cluster.break_streams()
    seen = output.read_text().count("again")
    cluster.wait(lambda: output.read_text().count("again") >= seen + 2)
    cluster.crash("default", "db-0", 0)
    done = run.finished()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("first") == 1


def test_logs_of_the_container_before(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(run_for=0.02, ready_after=None, exit_code=2, log="its last words"))
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    cluster.wait(lambda: any(_restarts(pod) for pod in cluster.pods("default")))
    assert k8s("logs", "deploy/web", "--previous").stdout == "its last words\n"


def test_logs_that_are_not_there(said: Cluster, k8s: Commands) -> None:
    assert k8s.failure("logs", "sts/db", "--previous", code=1)["code"] == "no-log"
    error = k8s.failure("logs", "sts/db", "--container", "wbe", code=2)
    assert (error["code"], error["hint"]) == ("no-such-container", "--container web")
    said.create(DEPLOYMENTS, "default", deployment("none", 0))
    assert k8s.failure("logs", "deploy/none", code=1)["code"] == "no-pods"


def test_logs_of_several_pods_say_whose_they_are(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(log="hello"))
    cluster.create(DAEMON_SETS, "default", daemon_set("ds"))
    settled(cluster, 2)
    names = sorted(pod["metadata"]["name"] for pod in cluster.pods("default"))
    assert k8s("logs", "ds/ds").stdout.splitlines() == [f"[{name}] hello" for name in names]


# -- events --------------------------------------------------------------------------------------


def test_events_are_those_of_the_workload_and_its_pods(cluster: Cluster, k8s: Commands) -> None:
    cluster.script(Script(image="*:bad", image_error="no such image"))
    cluster.create(DEPLOYMENTS, "default", deployment("web", image="localhost/web:bad"))
    cluster.create(DEPLOYMENTS, "default", deployment("web-admin"))
    cluster.create(STATEFUL_SETS, "default", stateful_set("web"))
    cluster.wait(lambda: "ImagePullBackOff" in json.dumps(cluster.pods("default")))
    found = k8s.result("events", "deploy/web")["events"]
    about = {one["about"] for one in found}
    assert "deployment/web" in about
    assert not any("web-admin" in one or one in ("pod/web-0", "statefulset/web") for one in about)
    assert {one["about"].partition("/")[0] for one in found} >= {"deployment", "replicaset", "pod"}
    warnings = k8s.result("events", "deploy/web", "--warnings")["events"]
    assert warnings
    assert {one["type"] for one in warnings} == {"Warning"}
    assert len(k8s.result("events", "deploy/web", "--tail", "1")["events"]) == 1
    assert "no such image" in k8s("events", "deploy/web").stdout


def _restarts(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any(one["restartCount"] and "waiting" in one["state"] for one in statuses)
