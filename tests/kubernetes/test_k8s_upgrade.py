"""`orchctl k8s upgrade | deploy` with real Jobs on a real SQLite file: done, or all put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import CRON_JOBS, JOBS
from tests.support.kubernetes_commands import Commands, health_server
from tests.support.kubernetes_service import V1, V2, Service
from tests.support.projects import execute, query

ADD = "op.add_column('notes', sa.Column('text', sa.String()))"


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.begin()
    return service


def test_a_deploy_goes_through_zero_and_arrives(service: Service, k8s: Commands) -> None:
    service.project.add("002", ADD)
    done = k8s.result("deploy", service.target, "--image", V2)
    assert (done["upgrade"]["from"], done["upgrade"]["to"]) == ("001", "002")
    assert (done["resumed"], done["undone"], done["restored"]) == (False, False, None)
    assert done["images"] == {"from": {"web": V1}, "to": {"web": V2}}
    assert service.heads == ["002"]
    assert query(service.database, "SELECT id FROM notes") == [(1,)]
    assert Path(done["upgrade"]["snapshot"]["path"]).is_relative_to(service.database.parent)
    service.require_over(V2)
    runs = service.cluster.history.on_claim("default", service.claim)
    assert [run.images for run in runs] == [(V1,), (V2,), (V2,)]


def test_the_job_is_the_services_pod_with_another_command(service: Service, k8s: Commands) -> None:
    service.project.add("002", ADD)
    assert k8s("deploy", service.target, "--image", V2).returncode == 0
    asked = service.cluster.history.requests
    [made] = [
        one.body
        for one in asked
        if one.verb == "create" and one.path.endswith("/jobs") and "dryRun" not in one.query
    ]
    pod = made["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["activeDeadlineSeconds"] == 3600
    assert pod["securityContext"] == {"runAsUser": 1000, "fsGroup": 1000}
    assert pod["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": service.claim}}
    ]
    assert container["image"] == V2
    assert container["env"] == [{"name": "DATABASE_URL", "value": "sqlite:////data/app.db"}]
    assert container["command"] == ["orchctl", "upgrade", "--json", "head"]
    assert "app" not in made["spec"]["template"]["metadata"]["labels"]


def test_a_loss_that_is_meant_is_said_as_the_hint_says(service: Service, k8s: Commands) -> None:
    service.project.add("002", "op.drop_table('notes')")
    error = k8s.failure("upgrade", service.target, code=6)
    assert "would lose data" in error["message"]
    option = error["hint"].split("--allow-loss ")[1].split(",")[0]
    assert option == "notes"
    assert service.heads == ["001"]
    assert k8s.result("upgrade", service.target, "--allow-loss", option)["upgrade"]["to"] == "002"
    assert service.heads == ["002"]
    service.require_over(V1)


def test_an_upgrade_keeps_the_image(cluster: Cluster, tmp_path: Path, k8s: Commands) -> None:
    service = Service(cluster, tmp_path / "image", "deployment")
    service.begin()
    service.project.add("002", ADD)
    service.project.add("003")
    done = k8s("upgrade", service.target, "--revision", "002")
    assert done.returncode == 0, done.stderr
    assert "001 -> 002, ready" in done.stdout
    assert service.heads == ["002"]
    service.require_over(V1)


def test_a_failing_revision_leaves_all_as_it_was(service: Service, k8s: Commands) -> None:
    service.project.add("002", f"{ADD}\nop.execute('SELECT * FROM nowhere')")
    error = k8s.failure("deploy", service.target, "--image", V2, code=6)
    assert error["code"] == "job-failed"
    assert "002" in error["message"]
    assert "nowhere" in error["message"]
    assert "the database is as it was" in error["state"]
    assert service.heads == ["001"]
    service.require_over(V1)


def test_the_jobs_log_is_told_as_it_comes(service: Service, k8s: Commands) -> None:
    service.pretend(log='Rehearsing 002\n{"ok": true, "revisions": []}')
    done = k8s("upgrade", service.target)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "Rehearsing 002" in lines
    # The answer at its end is for orchctl.
    assert not any(line.startswith("{") for line in lines)


def test_a_version_that_does_not_get_ready_is_taken_back_with_its_database(
    service: Service, k8s: Commands
) -> None:
    """D16: the stuck pod of the new version is away before the old one starts."""
    service.project.add("002", ADD)
    service.cluster.script(
        Script(image=V2, container="web", pod="web-0", run_for=0.02, exit_code=3)
    )
    error = k8s.failure("deploy", service.target, "--image", V2, code=7)
    assert error["code"] == "upgrade-restored"
    assert "CrashLoopBackOff" in error["message"]
    assert error["details"]["code"] == "rollout-failed"
    assert error["details"]["restored"]["to"] == "001"
    assert service.heads == ["001"]
    assert query(service.database, "SELECT id FROM notes") == [(1,)]
    service.require_over(V1)


def test_a_version_that_is_not_healthy_is_taken_back_with_its_database(
    service: Service, k8s: Commands
) -> None:
    service.project.add("002", ADD)
    with health_server([503]) as (url, answered):
        words = ("--image", V2, "--health", url, "--timeout", "4s")
        error = k8s.failure("deploy", service.target, *words, code=7)
    assert answered
    assert error["details"]["code"] == "unhealthy"
    assert service.heads == ["001"]
    service.require_over(V1)


def test_without_revisions_an_unhealthy_version_costs_no_restore(
    service: Service, k8s: Commands
) -> None:
    with health_server([503]) as (url, _):
        words = ("--image", V2, "--health", url, "--timeout", "4s")
        error = k8s.failure("deploy", service.target, *words, code=9)
    assert error["code"] == "unhealthy"
    assert "the database is as it was" in error["state"]
    service.require_over(V1)
    assert len(service.cluster.history.on_claim("default", service.claim)) == 4


@pytest.mark.parametrize("healthy", [True, False])
def test_the_cron_job_of_snapshots_is_held_meanwhile(
    service: Service, k8s: Commands, healthy: bool
) -> None:
    body = cron_job(service)
    service.cluster.create(CRON_JOBS, "default", body)
    service.cluster.script(Script(pod="snapshots-*", run_for=0.5))
    assert service.cluster.run_cron_job("default", "snapshots")
    service.project.add("002", ADD)
    with health_server([200 if healthy else 503]) as (url, _):
        words = ("--image", V2, "--health", url, "--timeout", "4s")
        done = k8s("deploy", service.target, *words)
    assert done.returncode == (0 if healthy else 7), done.stderr
    held = [one for one in service.cluster.history.writes() if "/cronjobs/" in one.path]
    assert [one.body["spec"]["suspend"] for one in held] == [True, False]
    [after] = service.cluster.objects(CRON_JOBS, "default")
    assert after["spec"]["suspend"] is False
    assert service.heads == ["002" if healthy else "001"]
    runs = service.cluster.history.on_claim("default", service.claim)
    # Its own pod ran beside the service's, and was over before anything was stopped.
    assert len(runs) == (4 if healthy else 6)


def cron_job(service: Service) -> dict[str, Any]:
    labels = {"orchctl/snapshots": "web"}
    volume = {"name": "d", "persistentVolumeClaim": {"claimName": service.claim}}
    pod = {
        "restartPolicy": "Never",
        "volumes": [volume],
        "containers": [{"name": "snapshots", "image": V1}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    job = {"metadata": {"labels": labels}, "spec": {"template": template}}
    metadata = {"name": "snapshots", "labels": labels}
    return {"metadata": metadata, "spec": {"schedule": "0 0 * * *", "jobTemplate": job}}


def test_a_dry_run_shows_the_plan_and_writes_nothing(service: Service, k8s: Commands) -> None:
    words = ("deploy", service.target, "--image", V2, "--dry-run")
    plan = k8s.result(*words)
    assert plan["claims"] == [service.claim]
    assert plan["images"] == {"from": {"web": V1}, "to": {"web": V2}}
    assert "Nothing was written" in k8s(*words).stdout
    assert all("dryRun" in one.query for one in service.cluster.history.writes())
    assert not service.cluster.objects(JOBS, "default")


def test_a_downgrade_and_the_way_back_from_one(service: Service, k8s: Commands) -> None:
    service.project.add("002", ADD, "op.drop_column('notes', 'text')")
    assert k8s("upgrade", service.target).returncode == 0
    execute(service.database, "UPDATE notes SET text = 'kept'")
    words = ("downgrade", service.target, "001")
    assert k8s.failure(*words, code=5)["code"] == "needs-yes"
    with health_server([503]) as (url, _):
        more = ("--yes", "--health", url, "--timeout", "3s")
        assert k8s.failure(*words, *more, code=7)["details"]["code"] == "unhealthy"
    assert service.heads == ["002"]
    assert query(service.database, "SELECT text FROM notes") == [("kept",)]
    done = k8s.result(*words, "--yes")
    assert (done["upgrade"]["from"], done["upgrade"]["to"]) == ("002", "001")
    assert service.heads == ["001"]
    service.require_over(V1)


def test_a_downgrade_that_was_done_does_nothing_more(service: Service, k8s: Commands) -> None:
    """The second try of a run whose Job has left no answer must not go further."""
    done = k8s.result("downgrade", service.target, "001", "--yes")
    assert done["upgrade"]["revisions"] == []
    assert service.heads == ["001"]


def test_the_pod_is_asked_for_the_revision_that_it_sees(service: Service, k8s: Commands) -> None:
    service.project.add("002", ADD)
    service.answers_exec()
    done = k8s("upgrade", service.target)
    assert done.returncode == 0, done.stderr
    assert "Revision 002 is what its pod sees" in done.stderr
    assert service.heads == ["002"]


def test_a_pod_that_sees_another_database_is_not_what_was_asked_for(
    service: Service, k8s: Commands
) -> None:
    service.project.add("002", ADD)
    told = {"orchctl current --json": (0, '{"revisions": ["001"]}')}
    service.cluster.script(Script(labels={"app": "web"}, stop_after=0.3, exec_results=told))
    error = k8s.failure("upgrade", service.target, code=7)
    assert error["details"]["code"] == "other-revision"
    assert service.heads == ["001"]
    service.require_over(V1)
