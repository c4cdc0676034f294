"""A cluster in trouble, away, or one that does not allow it (D12, D13)."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import (
    BINDINGS,
    DEPLOYMENTS,
    ROLES,
    STATEFUL_SETS,
)
from tests.kubernetes.objects import deployment, stateful_set
from tests.kubernetes.test_kubernetes_restart import patches, settled
from tests.support.kubernetes_commands import Commands

USER = "system:serviceaccount:default:orchctl"


@pytest.fixture
def web(cluster: Cluster) -> Cluster:
    """A cluster with a Deployment that is ready."""
    cluster.create(DEPLOYMENTS, "default", deployment("web"))
    settled(cluster, 1)
    return cluster


# -- what passes (D12) --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, times=3),
        Fault(status=503, times=3),
        Fault(status=429, retry_after=1),
        Fault(status=504),
        Fault(drop=True, times=3),
        Fault("patch", status=500, times=2),
        Fault("patch", lose_answer=True),
        Fault("watch", status=503, times=4),
        Fault("watch", drop=True, times=4),
        Fault("watch", after_events=1, times=6),
        Fault("watch", status=410, times=2),
    ],
    ids=lambda fault: f"{fault.verb}-{fault.status or ''}{fault.drop or fault.lose_answer}",
)
def test_d12_what_passes_is_sat_out(web: Cluster, k8s: Commands, fault: Fault) -> None:
    before = settled(web, 1)
    web.fault(fault)
    done = k8s("restart", "deploy/web", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    assert fault.met
    assert before.isdisjoint(pod["metadata"]["uid"] for pod in web.pods("default"))
    # However often it was asked: one restart.
    assert web.objects(DEPLOYMENTS)[0]["metadata"]["generation"] == 2


def test_d12_a_lost_answer_to_a_delete_is_no_second_delete(web: Cluster, k8s: Commands) -> None:
    name = web.pods("default")[0]["metadata"]["name"]
    web.fault(Fault("delete", lose_answer=True))
    done = k8s("restart", f"pod/{name}")
    assert done.returncode == 0, done.stderr
    assert len(web.pods("default")) == 1


def test_d12_an_outage_in_the_middle_is_sat_out(web: Cluster, k8s: Commands) -> None:
    before = settled(web, 1)
    web.script(Script(image="*:v2", ready_after=0.5))
    run = k8s.start("set-image", "deploy/web", "localhost/web:v2", "--timeout", "120s")
    web.wait(lambda: any(one.verb == "watch" for one in web.history.requests))
    web.wait(lambda: len(web.pods("default")) == 2)
    with web.outage():
        # All of it happens while nobody can be told.
        web.wait(lambda: settled(web, 1) - before)
    done = run.finished()
    assert done.returncode == 0, done.stderr


def test_d12_versions_too_old_are_read_anew(web: Cluster, k8s: Commands) -> None:
    web.script(Script(image="*:v2", start_after=0.6))
    run = k8s.start("set-image", "deploy/web", "localhost/web:v2", "--timeout", "120s")
    web.wait(lambda: any(one.verb == "watch" for one in web.history.requests))
    web.forget_changes()
    web.break_streams()
    done = run.finished()
    assert done.returncode == 0, done.stderr
    lists = [one for one in web.history.requests if one.verb == "list"]
    assert lists


def test_d12_what_does_not_pass_ends_with_the_timeout(web: Cluster, k8s: Commands) -> None:
    fault = web.fault(Fault("patch", status=503, times=None))
    error = k8s.failure("restart", "deploy/web", "--timeout", "2s", code=9)
    assert error["code"] == "cluster-trouble"
    assert "503" in error["message"]
    assert fault.met > 1
    fault.times = 0
    web.fault(Fault("get", status=429, times=None))
    assert k8s.failure("restart", "deploy/web", "--timeout", "1s", code=9)["code"] == "cluster-busy"


def test_d12_a_cluster_that_is_not_there(cluster: Cluster, k8s: Commands, tmp_path: Path) -> None:
    config = k8s.kubeconfig.read_text().replace(f":{cluster.port}", ":1")
    nowhere = tmp_path / "nowhere"
    nowhere.write_text(config)
    done = k8s("restart", "deploy/web", "--timeout", "1s", kubeconfig=nowhere)
    assert done.returncode == 9
    assert "does not answer: connection refused" in done.stderr
    assert "again" not in done.stdout


# -- what is refused (D13) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "resource", "full"),
    [
        ("get", "deployments", "deployments.apps"),
        ("patch", "deployments", "deployments.apps"),
        ("list", "pods", "pods"),
        ("watch", "pods", "pods"),
    ],
)
def test_d13_the_missing_right_is_named_with_what_grants_it(
    web: Cluster, k8s: Commands, verb: str, resource: str, full: str
) -> None:
    web.deny(verb, resource)
    error = k8s.failure("restart", "deploy/web", code=9)
    assert error["code"] == "no-rights"
    assert error["message"] == f"admin may not {verb} {full} in namespace default (403 Forbidden)"
    name = f"orchctl-{verb}-{full.replace('.', '-')}"
    assert f"kubectl create role {name} --verb={verb} --resource={full} -n default" in error["hint"]
    assert f"--role={name} --user=admin -n default" in error["hint"]
    [rule] = error["details"]["role"]["rules"]
    group = full.partition(".")[2]
    assert rule == {"apiGroups": [group], "resources": [resource], "verbs": [verb]}


def test_d13_the_named_role_is_enough(web: Cluster, k8s: Commands) -> None:
    """A service account without rights gets, one after the other, those that are asked for."""
    config = web.kubeconfig(k8s.kubeconfig.with_name("account"), token=web.token_for(USER))
    granted: list[str] = []
    for _ in range(12):
        done = k8s("restart", "deploy/web", "--json", kubeconfig=config)
        if done.returncode == 0:
            break
        error = json.loads(done.stderr)["error"]
        assert error["code"] == "no-rights", error
        assert "--serviceaccount=default:orchctl" in error["hint"]
        role = error["details"]["role"]
        [rule] = role["rules"]
        role["metadata"]["name"] += f"-{rule['verbs'][0]}"
        granted.append(f"{rule['verbs'][0]} {rule['resources'][0]}")
        web.create(ROLES, "default", role)
        web.create(BINDINGS, "default", _binding(role["metadata"]["name"]))
    assert done.returncode == 0
    assert sorted(granted) == sorted(
        [
            "get deployments",
            "list deployments",
            "list pods",
            "list replicasets",
            "patch deployments",
            "watch deployments",
            "watch pods",
        ]
    )


def _binding(role: str) -> dict[str, object]:
    return {
        "metadata": {"name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "orchctl", "namespace": "default"}],
        "roleRef": {"kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io"},
    }


def test_d13_what_is_only_good_to_know_is_done_without(web: Cluster, k8s: Commands) -> None:
    for resource in ("events", "persistentvolumeclaims", "pods/log"):
        web.deny("*", resource)
    assert k8s("restart", "deploy/web").returncode == 0
    assert k8s("status", "deploy/web").returncode == 0
    web.script(Script(image="*:bad", run_for=0.02, ready_after=None, exit_code=1))
    error = k8s.failure("set-image", "deploy/web", "localhost/web:bad", code=9)
    assert error["code"] == "rollout-failed"


def test_d13_events_that_may_be_listed_but_not_watched(web: Cluster, k8s: Commands) -> None:
    web.deny("watch", "events")
    done = k8s("restart", "deploy/web")
    assert done.returncode == 0, done.stderr


def test_credentials_that_are_not_accepted(cluster: Cluster, k8s: Commands) -> None:
    config = cluster.kubeconfig(k8s.kubeconfig.with_name("stranger"), token="unknown")
    done = k8s("status", "deploy/web", "--json", kubeconfig=config)
    assert done.returncode == 3
    assert json.loads(done.stderr)["error"]["code"] == "cluster-credentials"
    assert "unknown" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "near"),
    [("deploy/wbe", "deployment/web"), ("sts/web", "deployment/web"), ("deploy/zzz", None)],
)
def test_a_name_that_is_not_there(
    web: Cluster, k8s: Commands, typed: str, near: str | None
) -> None:
    error = k8s.failure("restart", typed, code=9)
    assert error["code"] == "no-such-object"
    if near:
        assert error["hint"].startswith(f"Did you mean {near}")
    else:
        assert "kubectl get deployments -n default" in error["hint"]


def test_a_conflict_is_told(cluster: Cluster, k8s: Commands) -> None:
    """The pod is another by the time it is deleted: the new one is left alone."""
    cluster.create(STATEFUL_SETS, "default", stateful_set("db"))
    [uid] = settled(cluster, 1)

    def replace() -> None:
        subprocess.run(
            ["kubectl", "delete", "pod", "db-0"],
            env={**os.environ, "KUBECONFIG": str(k8s.kubeconfig)},
            capture_output=True,
            timeout=60,
            check=True,
        )
        cluster.wait(lambda: settled(cluster, 1) - {uid})

    cluster.fault(Fault("delete", before=replace))
    error = k8s.failure("restart", "pod/db-0", code=9)
    assert error["code"] == "cluster-conflict"
    [pod] = cluster.pods("default")
    assert pod["metadata"]["uid"] != uid
    assert "deletionTimestamp" not in pod["metadata"]


def test_what_the_server_finds_invalid_is_told(web: Cluster, k8s: Commands) -> None:
    web.fault(Fault("patch", status=422, message='Deployment.apps "web" is invalid'))
    error = k8s.failure("restart", "deploy/web", code=9)
    assert error["code"] == "cluster-refused"
    assert error["message"] == 'The cluster refused: Deployment.apps "web" is invalid'
    assert len(patches(web)) == 1


# -- which cluster ---------------------------------------------------------------------------------


def test_a_kubeconfig_that_is_none(cluster: Cluster, k8s: Commands, tmp_path: Path) -> None:
    for text in ("", "a: [", "apiVersion: v1", "current-context: x\ncontexts: []"):
        path = tmp_path / "broken"
        path.write_text(text)
        done = k8s("status", "deploy/web", "--json", kubeconfig=path)
        assert done.returncode == 3, text
        assert json.loads(done.stderr)["error"]["code"] == "kubeconfig"
    error = k8s.failure("status", "deploy/web", "--kubeconfig", "missing", code=3)
    assert error["message"].endswith("there is no such file")
    error = k8s.failure("status", "deploy/web", "--context", "other", code=3)
    assert error["hint"] == "--context fake"
    gone = k8s("status", "deploy/web", kubeconfig=tmp_path / "nowhere")
    assert gone.returncode == 3


def test_namespaces_and_contexts(cluster: Cluster, k8s: Commands) -> None:
    cluster.create(DEPLOYMENTS, "kube-system", deployment("web"))
    settled(cluster, 1, "kube-system")
    for words in (
        ("deploy/web", "-n", "kube-system"),
        ("k8s:kube-system/deploy/web",),
        ("k8s:fake/kube-system/deployments.apps/web",),
        ("deploy/web", "-n", "kube-system", "--context", "fake"),
    ):
        [workload] = k8s.result("status", *words)["workloads"]
        assert workload["namespace"] == "kube-system"
    assert k8s.failure("status", "deploy/web", code=9)["code"] == "no-such-object"
    wrong = k8s.failure("status", "k8s:kube-system/deploy/web", "-n", "default", code=2)
    assert wrong["code"] == "bad-target"
    assert k8s.failure("status", "docker:web", code=2)["code"] == "bad-target"
    assert k8s.failure("status", code=2)["code"] == "no-target"


def test_a_watch_that_is_quiet_costs_nothing(web: Cluster, k8s: Commands) -> None:
    web.script(Script(stuck=True))
    assert k8s("restart", "deploy/web").returncode == 0
    run = k8s.start("restart", "deploy/web")
    web.wait(lambda: "to be gone" in run.stderr())
    asked = len(web.history.requests)
    threading.Event().wait(0.5)
    assert len(web.history.requests) == asked
    assert run.alive()
    for pod in web.pods("default"):
        web.release(pod["metadata"]["name"])
    assert run.finished().returncode == 0
