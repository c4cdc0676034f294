"""`orchctl doctor --target k8s:…`: what the API can tell of a workload, and the command for it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from orchctl.doctor.cluster import cluster_patient
from orchctl.doctor.cluster_state import examine_workloads
from orchctl.doctor.findings import Finding
from orchctl.workloads.kubernetes.client import Cluster as Api
from orchctl.workloads.kubernetes.connection import ClusterChoice, find_cluster
from orchctl.workloads.kubernetes.find import find
from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import CLAIMS, CRON_JOBS, DEPLOYMENTS, STATEFUL_SETS
from tests.kubernetes.fake.writing import mutate
from tests.kubernetes.objects import deployment, stateful_set
from tests.support.kubernetes_commands import Commands

Json = dict[str, Any]

_GOOD: Json = {
    "image": "localhost/web:v1",
    "env": [{"name": "DATABASE_URL", "value": "sqlite:////data/app.db"}],
    "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
    **{probe: {"tcpSocket": {"port": 80}} for probe in ("readinessProbe", "startupProbe")},
}


def put(
    cluster: Cluster, container: Json | None = None, pod: Json | None = None, **spec: Any
) -> None:
    """A StatefulSet as it should be, but for what is given."""
    body = stateful_set("web", **spec)
    of_pod = body["spec"]["template"]["spec"]
    of_pod |= {"securityContext": {"fsGroup": 1000}, **(pod or {})}
    of_pod["containers"][0] |= {**_GOOD, **(container or {})}
    of_pod["containers"][0] = {
        key: value for key, value in of_pod["containers"][0].items() if value is not None
    }
    cluster.create(STATEFUL_SETS, "default", body)


def put_deployment(cluster: Cluster, volume: Json, mount: Json, **spec: Any) -> None:
    body = deployment("web", **{"strategy": {"type": "Recreate"}, **spec})
    pod = body["spec"]["template"]["spec"]
    pod |= {"securityContext": {"fsGroup": 1000}, "volumes": [{"name": "d", **volume}]}
    pod["containers"][0] |= {**_GOOD, "volumeMounts": [{"name": "d", **mount}]}
    cluster.create(DEPLOYMENTS, "default", body)


def claim(cluster: Cluster, mode: str = "ReadWriteOnce") -> None:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.create(CLAIMS, "default", {"metadata": {"name": "data"}, "spec": spec})


def settled(cluster: Cluster) -> None:
    def ready() -> bool:
        conditions = [
            one["type"]
            for pod in cluster.pods("default")
            for one in pod["status"].get("conditions") or ()
            if one["status"] == "True"
        ]
        return "Ready" in conditions

    cluster.wait(ready)


def examined(kubeconfig: Path, kind: str = "statefulset") -> dict[str, Finding]:
    """The findings, by their id."""
    choice = ClusterChoice(None, kubeconfig, None)
    api = Api(find_cluster(choice, {}, kubeconfig.parent))
    try:
        checks = examine_workloads([cluster_patient(api, find(api, kind, "web"))])
    finally:
        api.close()
    assert [one for one in checks if one.obstacle] == []
    findings = [one for check in checks for one in check.findings]
    assert all(one.command and one.subject == f"k8s:default/{kind}/web" for one in findings)
    return {one.id: one for one in findings}


def test_a_good_workload_has_nothing(cluster: Cluster, kubeconfig: Path) -> None:
    put(cluster)
    settled(cluster)
    assert examined(kubeconfig) == {}
    assert not cluster.history.writes()


def test_everything_about_a_template(cluster: Cluster, kubeconfig: Path) -> None:
    container = {
        "image": "localhost/web",
        "securityContext": None,
        "readinessProbe": None,
        "startupProbe": None,
        "livenessProbe": {"tcpSocket": {"port": 80}},
    }
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    pod = {"securityContext": {}}
    put(cluster, container, pod, persistentVolumeClaimRetentionPolicy=policy)
    settled(cluster)
    found = examined(kubeconfig)
    assert set(found) == {
        "claim-deleted-when-scaled",
        "runs-as-root",
        "image-latest",
        "no-readiness-probe",
        "no-startup-probe",
    }
    assert "set-image statefulset/web -n default localhost/web:VERSION" in str(
        found["image-latest"].command
    )
    assert '"whenScaled":"Retain"' in found["claim-deleted-when-scaled"].command


@pytest.mark.parametrize(
    ("volume", "mount", "found"),
    [
        ({"emptyDir": {}}, {"mountPath": "/data"}, "empty-dir"),
        ({"hostPath": {"path": "/srv"}}, {"mountPath": "/data"}, "host-path"),
        ({"emptyDir": {}}, {"mountPath": "/other"}, "container-layer"),
        (
            {"persistentVolumeClaim": {"claimName": "data"}},
            {"mountPath": "/data/app.db", "subPath": "app.db"},
            "single-file-mount",
        ),
    ],
)
def test_where_the_database_is(
    cluster: Cluster, kubeconfig: Path, volume: Json, mount: Json, found: str
) -> None:
    claim(cluster)
    put_deployment(cluster, volume, mount)
    settled(cluster)
    assert set(examined(kubeconfig, "deployment")) == {found}


def test_two_writers(cluster: Cluster, kubeconfig: Path) -> None:
    claim(cluster, "ReadWriteMany")
    volume = {"persistentVolumeClaim": {"claimName": "data"}}
    rolling = {"type": "RollingUpdate"}
    put_deployment(cluster, volume, {"mountPath": "/data"}, replicas=2, strategy=rolling)
    pod = {"restartPolicy": "Never", "volumes": [{"name": "d", **volume}]}
    pod["containers"] = [{"name": "c", "image": "localhost/busybox:1"}]
    job = {"spec": {"template": {"spec": pod}}}
    body = {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 0 * * *", "jobTemplate": job}}
    cluster.create(CRON_JOBS, "default", body)
    settled(cluster)
    found = examined(kubeconfig, "deployment")
    assert {"several-writers", "rolling-update", "read-write-many", "claim-shared"} <= set(found)
    assert "cronjob/nightly" in found["claim-shared"].what
    assert "suspend" in found["claim-shared"].command


def test_pods_that_do_not_run(cluster: Cluster, kubeconfig: Path) -> None:
    cluster.script(Script(run_for=0.01, exit_code=137, oom_killed=True))
    put(cluster, pod={"securityContext": {}})

    def looping() -> bool:
        states = [
            one["state"].get("waiting", {}).get("reason")
            for pod in cluster.pods("default")
            for one in pod["status"].get("containerStatuses") or ()
        ]
        return "CrashLoopBackOff" in states

    cluster.wait(looping)
    found = examined(kubeconfig)
    assert {"crash-loop", "oom-killed", "no-fs-group"} <= set(found)
    assert "exit code 137" in found["crash-loop"].evidence[0]
    assert "--previous" in found["crash-loop"].command


def test_what_is_not_there_is_told(cluster: Cluster, kubeconfig: Path) -> None:
    volume = {"persistentVolumeClaim": {"claimName": "data"}}
    put_deployment(cluster, volume, {"mountPath": "/data"})
    cluster.wait(lambda: unscheduled(cluster))
    found = examined(kubeconfig, "deployment")
    assert set(found) == {"not-ready", "claim-not-bound"}
    assert "Missing" in found["claim-not-bound"].what
    assert "Unschedulable" in found["not-ready"].evidence[0]


def unscheduled(cluster: Cluster) -> bool:
    conditions = [
        one for pod in cluster.pods("default") for one in pod["status"].get("conditions", ())
    ]
    return any(one.get("reason") == "Unschedulable" for one in conditions)


def test_who_else_decides_and_what_is_not_over(cluster: Cluster, kubeconfig: Path) -> None:
    put(cluster, replicas=2)
    settled(cluster)
    record = {"command": "deploy", "step": "upgrading", "started_at": "2026-01-01T00:00:00+00:00"}

    def mark(body: Json) -> None:
        body["metadata"]["labels"] = {"argocd.argoproj.io/instance": "shop"}
        body["metadata"]["annotations"] = {"orchctl/run": json.dumps(record)}

    store = cluster.state.store
    cluster.do(lambda: mutate(store, STATEFUL_SETS, "default", "web", mark))
    found = examined(kubeconfig)
    assert {"several-databases", "workload-owned", "unfinished-run"} <= set(found)
    assert "k8s deploy statefulset/web -n default --resume" in str(found["unfinished-run"].command)


def test_it_is_drawn_and_a_wrong_target_is_told(
    cluster: Cluster, k8s: Commands, tmp_path: Path
) -> None:
    put(cluster, replicas=0)
    done = k8s.bare("doctor", "--target", "k8s:sts/web")
    assert done.returncode == 0, done.stdout
    assert "note      not-running: statefulset/web has no replicas" in done.stdout
    assert "-> kubectl scale statefulset/web -n default --replicas=1" in done.stdout
    assert k8s.bare("doctor", "--target", "k8s:sts/other").returncode == 9
    bundle = tmp_path / "for-support.zip"
    assert k8s.bare("doctor", "--target", "k8s:sts/web", "--bundle", str(bundle)).returncode == 0
    assert "for-support/findings.json" in zipfile.ZipFile(bundle).namelist()
    # As the target of the settings, it is looked at beside the settings' own database.
    (tmp_path / "project" / "orchctl.toml").write_text("[workload]\ntarget = 'k8s:sts/web'\n")
    found = json.loads(k8s.bare("doctor", "--json").stdout)
    assert "not-running" in {one["id"] for one in found["findings"]}
    assert len({one["subject"] for one in found["checks"]}) == 2
