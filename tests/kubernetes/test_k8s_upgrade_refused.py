"""`orchctl k8s deploy` where it must not begin, or must not go on: nothing is changed for good."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import (
    AUTOSCALERS,
    CLAIMS,
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    LEASES,
    PODS,
    Json,
    Resource,
)
from tests.kubernetes.fake.writing import mutate
from tests.kubernetes.objects import deployment, job
from tests.support.kubernetes_commands import Commands
from tests.support.kubernetes_service import V1, V2, Service
from tests.support.traps import Trap

SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", custom=True)
WORDS = ("deploy", "sts/web", "--image", V2)


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.settled()
    service.pretend()
    return service


def refused(service: Service, k8s: Commands, *words: str, code: int = 5) -> Json:
    """The error of a deploy that must change nothing."""
    error = k8s.failure(*(words or WORDS), code=code)
    assert all("dryRun" in one.query for one in service.cluster.history.writes())
    return error


def change(service: Service, spec: Json, **metadata: Any) -> None:
    def changed(workload: Json) -> None:
        workload["spec"] |= spec
        workload["metadata"] |= metadata

    state = service.cluster.state
    service.cluster.do(lambda: mutate(state.store, service.resource, "default", "web", changed))


def test_d06_several_replicas(service: Service, k8s: Commands) -> None:
    change(service, {"replicas": 2})
    assert refused(service, k8s)["code"] == "several-databases"


def test_d06_several_replicas_on_one_claim(cluster: Cluster, tmp_path: Path, k8s: Commands) -> None:
    service = Service(cluster, tmp_path / "image", "deployment", replicas=2)
    error = refused(service, k8s, "deploy", "deploy/web", "--image", V2)
    assert error["code"] == "several-writers"
    assert "data" in error["message"]


def test_d06_rolling_update_is_told_and_goes_through_zero(
    cluster: Cluster, tmp_path: Path, k8s: Commands
) -> None:
    service = Service(cluster, tmp_path / "image", "deployment", strategy={"type": "RollingUpdate"})
    service.settled()
    service.pretend()
    done = k8s.result("deploy", "deploy/web", "--image", V2)
    assert "RollingUpdate" in done["warnings"][0]
    service.require_over(V2)


def test_d07_a_claim_that_goes_with_the_replicas(service: Service, k8s: Commands) -> None:
    change(service, {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}})
    error = refused(service, k8s)
    assert error["code"] == "claim-deleted-when-scaled"
    assert '"whenScaled":"Retain"' in error["hint"]


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "jobs"),
        ("delete", "jobs"),
        ("update", "statefulsets/scale"),
        ("get", "pods/log"),
        ("update", "leases"),
        ("list", "cronjobs"),
    ],
)
def test_d13_a_right_that_will_be_needed(
    service: Service, k8s: Commands, verb: str, resource: str
) -> None:
    service.cluster.deny(verb, resource)
    error = refused(service, k8s, code=9)
    assert error["code"] == "no-rights"
    assert error["details"]["missing"][0].startswith(f"{verb} {resource}")
    assert f"--verb={verb}" in error["hint"]
    # The command of the hint gives just that.
    words = error["hint"].partition("kubectl ")[2].partition(" &&")[0].split()
    made = kubectl(k8s, *words, "--dry-run=client", "-o", "json")
    [rule] = json.loads(made)["rules"]
    assert (rule["verbs"], rule["resources"]) == ([verb], [resource])


def test_a_cron_job_on_the_claim_unless_it_is_suspended(service: Service, k8s: Commands) -> None:
    spec = job("backup", ["true"], service.claim)["spec"]
    body = {"schedule": "0 2 * * *", "suspend": False, "jobTemplate": {"spec": spec}}
    cluster = service.cluster
    cluster.create(CRON_JOBS, "default", {"metadata": {"name": "backup"}, "spec": body})
    assert refused(service, k8s)["details"]["others"] == ["cronjob/backup"]

    def suspend(cron_job: Json) -> None:
        cron_job["spec"]["suspend"] = True

    store = cluster.state.store
    cluster.do(lambda: mutate(store, CRON_JOBS, "default", "backup", suspend))
    assert k8s(*WORDS).returncode == 0


def test_another_workload_and_a_bare_pod_on_the_claim(service: Service, k8s: Commands) -> None:
    cluster = service.cluster
    other = deployment("viewer", replicas=1)
    volume = {"name": "d", "persistentVolumeClaim": {"claimName": service.claim}}
    other["spec"]["template"]["spec"]["volumes"] = [volume]
    cluster.create(DEPLOYMENTS, "default", other)
    pod = {"containers": [{"name": "c", "image": "x", "command": ["sleep", "9"]}]}
    cluster.create(
        PODS, "default", {"metadata": {"name": "shell"}, "spec": {**pod, "volumes": [volume]}}
    )
    others = refused(service, k8s)["details"]["others"]
    assert "deployment/viewer" in others
    assert "pod/shell" in others


def test_a_claim_that_it_only_reads_has_no_database(service: Service, k8s: Commands) -> None:
    """Models, say, that other services write to."""
    cluster = service.cluster
    modes = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.create(CLAIMS, "default", {"metadata": {"name": "models"}, "spec": modes})
    volume = {"name": "m", "persistentVolumeClaim": {"claimName": "models"}}
    other = deployment("trainer")
    other["spec"]["template"]["spec"]["volumes"] = [volume]
    cluster.create(DEPLOYMENTS, "default", other)
    change(service, {"replicas": 0})
    cluster.wait(lambda: len(cluster.pods("default")) == 1)
    template = service.object["spec"]["template"]
    template["spec"]["volumes"] = [volume]
    mounts = template["spec"]["containers"][0]["volumeMounts"]
    mounts.append({"name": "m", "mountPath": "/models", "readOnly": True})
    change(service, {"template": template, "replicas": 1})
    cluster.wait(lambda: len(cluster.pods("default")) == 2)
    assert k8s.result(*WORDS, "--dry-run")["claims"] == [service.claim]
    assert k8s.result("backup", "create", "sts/web", "--dry-run")["claims"] == [service.claim]
    assert k8s(*WORDS).returncode == 0
    assert service.image == V2


def kubectl(k8s: Commands, *words: str) -> str:
    place = ("--kubeconfig", str(k8s.kubeconfig), "--cache-dir", str(k8s.project.folder / "cache"))
    done = subprocess.run(["kubectl", *place, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def scaler(most: int) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most}
    return {"metadata": {"name": "web"}, "spec": spec}


def test_an_autoscaler(service: Service, k8s: Commands) -> None:
    service.cluster.create(AUTOSCALERS, "default", scaler(3))
    error = refused(service, k8s)
    assert (error["code"], error["details"]["owners"]) == ("workload-owned", ["autoscaler"])
    assert k8s(*WORDS, "--accept-owner").returncode == 0


def test_an_autoscaler_of_something_else(service: Service, k8s: Commands) -> None:
    other = scaler(3)
    other["spec"]["scaleTargetRef"]["name"] = "other"
    service.cluster.create(AUTOSCALERS, "default", other)
    assert k8s(*WORDS).returncode == 0


def test_keda_unless_it_is_paused(service: Service, k8s: Commands) -> None:
    cluster = service.cluster
    cluster.add_kind(SCALED_OBJECTS)
    spec = {"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}}
    cluster.create(SCALED_OBJECTS, "default", {"metadata": {"name": "web"}, "spec": spec})
    try:
        error = refused(service, k8s)
        assert error["details"]["owners"] == ["keda"]
        assert "autoscaling.keda.sh/paused=true" in error["hint"]

        def pause(scaled: Json) -> None:
            scaled["metadata"]["annotations"] = {"autoscaling.keda.sh/paused": "true"}

        store = cluster.state.store
        cluster.do(lambda: mutate(store, SCALED_OBJECTS, "default", "web", pause))
        assert k8s(*WORDS, "--dry-run").returncode == 0
    finally:
        cluster.do(lambda: cluster.state.registry.known.remove(SCALED_OBJECTS))


@pytest.mark.parametrize(
    ("metadata", "owner", "hint"),
    [
        (
            {
                "annotations": {
                    "argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet:default/web"
                }
            },
            "argocd",
            "argocd app set shop",
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
            "flux",
            "flux suspend kustomization apps",
        ),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "web"}},
            "flux",
            "flux suspend helmrelease web",
        ),
    ],
)
def test_what_sets_it_back_to_its_repository(
    service: Service, k8s: Commands, metadata: Json, owner: str, hint: str
) -> None:
    change(service, {}, **metadata)
    error = refused(service, k8s)
    assert error["details"]["owners"] == [owner]
    assert hint in error["hint"]


def lease(holder: str, lasts: int) -> Json:
    return {
        "metadata": {"name": "orchctl-statefulset-web"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": lasts,
            "acquireTime": "2025-10-20T10:00:00.000000Z",
            "renewTime": "2025-10-20T10:00:00.000000Z",
        },
    }


@pytest.mark.parametrize(
    ("verb", "path"),
    [("create", "jobs$"), ("update", "statefulsets/web/scale"), ("patch", "statefulsets/web$")],
)
def test_what_the_server_will_not_take(
    service: Service, k8s: Commands, verb: str, path: str
) -> None:
    """Each change is tried out (a quota, an admission webhook) before the first is made."""
    told = "admission webhook denied the request"
    fault = service.cluster.fault(Fault(verb, path, status=422, message=told))
    error = refused(service, k8s, code=9)
    assert (error["code"], fault.met) == ("cluster-refused", 1)
    assert told in error["message"]
    assert not service.cluster.objects(LEASES, "default")


def test_a_lease_that_another_holds(service: Service, k8s: Commands) -> None:
    service.cluster.create(LEASES, "default", lease("ci-7/other/1/2", 600))
    error = refused(service, k8s, code=4)
    assert error["code"] == "run-under-way"
    assert "ci-7" in error["message"]


def test_a_lease_that_nobody_renews(service: Service, k8s: Commands) -> None:
    """By the time that passes here: the moment written into it may come from a wrong clock."""
    service.cluster.create(LEASES, "default", lease("ci-7/other/1/2", 1))
    assert k8s(*WORDS, "--lock-timeout", "20s").returncode == 0
    service.require_over(V2)


def test_a_node_that_is_away_is_not_forced(service: Service, k8s: Commands) -> None:
    cluster = service.cluster
    [pod] = cluster.pods("default")
    cluster.node_down(pod["spec"]["nodeName"])
    error = k8s.failure(*WORDS, "--timeout", "2s", code=10)
    assert error["code"] == "claim-in-use"
    assert service.object["spec"]["replicas"] == 1
    assert [one["metadata"]["uid"] for one in cluster.pods("default")] == [pod["metadata"]["uid"]]
    assert all(one.method != "DELETE" or "pods" not in one.path for one in cluster.history.writes())
    cluster.node_up(pod["spec"]["nodeName"])
    cluster.wait(lambda: pod["metadata"]["uid"] not in str(cluster.pods("default")))
    service.require_over(V1)


def test_an_image_that_can_not_be_pulled(service: Service, k8s: Commands) -> None:
    service.cluster.script(Script(image=V2, image_error="manifest unknown"))
    error = k8s.failure(*WORDS, code=9)
    assert error["code"] == "job-not-started"
    assert "manifest unknown" in error["message"]
    service.require_over(V1)


def test_a_job_that_ends_without_a_word_is_run_once_more(service: Service, k8s: Commands) -> None:
    service.pretend(code=137, log="")
    error = k8s.failure(*WORDS, code=8)
    assert error["code"] == "outcome-unknown"
    assert service.object["spec"]["replicas"] == 0
    assert service.step == "upgrading"
    service.pretend()
    assert k8s("deploy", "sts/web", "--resume").returncode == 0
    service.require_over(V2)


def test_a_restore_that_fails_needs_a_person(service: Service, k8s: Commands) -> None:
    service.cluster.script(Script(image=V2, pod="web-0", run_for=0.01, exit_code=3))
    error = {"code": "snapshot-gone", "message": "The snapshot is gone", "exit_code": 5}
    service.pretend_restore({"error": error}, code=5)
    failure = k8s.failure(*WORDS, code=8)
    assert failure["code"] == "restore-failed"
    assert "The snapshot is gone" in failure["message"]
    assert "snap.db" in failure["state"]
    assert service.object["spec"]["replicas"] == 0
    service.pretend_restore({"ok": True, "to": "001"})
    assert k8s.result("deploy", "sts/web", "--abort", code=0)["undone"]
    service.require_over(V1)


def test_a_relative_revision(service: Service, k8s: Commands) -> None:
    """A Job that is run once more would go one further."""
    error = refused(service, k8s, *WORDS, "--revision", "+1", code=2)
    assert error["code"] == "relative-revision"


@pytest.mark.parametrize(
    ("script", "within", "reason", "remedy"),
    [
        ({"oom_killed": True}, "1h", "OOMKilled", "kubectl set resources"),
        ({"run_for": None}, "1s", "DeadlineExceeded", "--job-timeout gives it longer"),
    ],
)
def test_why_a_job_was_ended_is_told_with_what_helps(
    service: Service, k8s: Commands, script: Json, within: str, reason: str, remedy: str
) -> None:
    service.pretend(log="", **script)
    error = k8s.failure(*WORDS, "--job-timeout", within, code=8)
    assert f"({reason})" in error["message"]
    assert remedy in error["hint"]
    assert "--resume tries again" in error["hint"]
    service.pretend()
    assert k8s(*WORDS, "--resume", "--job-timeout", "1h").returncode == 0
    service.require_over(V2)


def test_an_answer_longer_than_an_annotation(service: Service, k8s: Commands) -> None:
    """A first upgrade through thousands of revisions; and another run goes on with it."""
    revisions = [{"revision": f"{number:012}", "message": "m" * 40} for number in range(5000)]
    snapshot = {"id": "snap", "path": "/data/backups/snap.db", "sha256": "0"}
    told = {"database": "/data/app.db", "from": None, "to": "x", "revisions": revisions}
    service.pretend({"ok": True, **told, "snapshot": snapshot})
    Trap(service.cluster, 11).run(k8s, *WORDS)
    assert service.step == "changing"
    done = k8s.result("deploy", "sts/web", "--resume")
    assert done["upgrade"]["snapshot"] == snapshot
    service.require_over(V2)
    assert k8s("rollback", "sts/web", "--database", "--dry-run=server").returncode == 5


def test_ctrl_c_says_where_it_stopped(service: Service, k8s: Commands) -> None:
    service.pretend(run_for=30)
    command = k8s.start(*WORDS)
    service.cluster.wait(lambda: service.cluster.objects(JOBS, "default"))
    command.send_signal(signal.SIGINT)
    done = command.finished()
    assert done.returncode == 130
    assert "Interrupted while upgrading" in done.stderr
    assert "--resume" in done.stderr
    assert not service.cluster.objects(LEASES, "default")


def test_a_cluster_that_goes_away_and_comes_back(service: Service, k8s: Commands) -> None:
    """D12: every request is asked again; a Job that was made although nobody said so is found."""
    cluster = service.cluster
    lost = Fault("create", "jobs", lose_answer=True)
    cluster.fault(Fault("create", "jobs", drop=True))  # the dry run
    cluster.fault(Fault("create", "leases", before=lambda: cluster.fault(lost) and None))
    cluster.fault(Fault("patch", "statefulsets/web", lose_answer=True, times=3))
    cluster.fault(Fault("update", "scale", status=503, times=2))
    cluster.fault(Fault("delete", "jobs", drop=True, times=1))
    assert k8s(*WORDS).returncode == 0
    assert lost.met == 1
    service.require_over(V2)
