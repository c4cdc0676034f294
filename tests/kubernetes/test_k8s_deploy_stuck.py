"""D16: a StatefulSet whose pod does not start goes on only through zero, in whatever order it got
stuck; and a pod whose node is away is waited for, never forced, whenever that happens."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.history import Ran
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.support.kubernetes_commands import Commands
from tests.support.kubernetes_service import V1, V2, Service

BROKEN = "localhost/web:broken"
WORDS = ("deploy", "sts/web", "--image", V2)


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.settled()
    service.pretend()
    service.pretend_restore({"ok": True, "to": "001"})
    cluster.script(Script(image=BROKEN, pod="web-0", image_error="no such image"))
    return service


def never_forced(service: Service) -> bool:
    """No pod was deleted by a request of ours, and nothing with a grace period of its own."""
    deleted = [one for one in service.cluster.history.writes() if one.method == "DELETE"]
    return all(
        "/pods" not in one.path and "gracePeriodSeconds" not in str((one.body, one.query))
        for one in deleted
    )


def upgrades(service: Service) -> list[Ran]:
    """The pods of upgrades that ran."""
    ran = service.cluster.history.on_claim("default", service.claim)
    return [one for one in ran if "-upgrade" in one.pod]


def get_stuck(service: Service, k8s: Commands) -> None:
    error = k8s.failure("set-image", "sts/web", BROKEN, code=9)
    assert error["details"]["reason"] == "ImagePullBackOff"


@pytest.mark.parametrize("reverted", [False, True], ids=["stuck", "reverted"])
def test_stuck_before_it_begins(service: Service, k8s: Commands, reverted: bool) -> None:
    get_stuck(service, k8s)
    if reverted:
        # As `kubectl rollout undo` does it: the broken pod stays in the way.
        assert k8s("set-image", "sts/web", V1, "--no-wait").returncode == 0
    done = k8s.result(*WORDS)
    assert done["images"]["from"] == {"web": V1 if reverted else BROKEN}
    service.require_over(V2)
    assert never_forced(service)


def test_stuck_before_it_begins_and_the_upgrade_fails(service: Service, k8s: Commands) -> None:
    """What it goes back to is what was there: as stuck as before, and that is told."""
    get_stuck(service, k8s)
    error = {"code": "upgrade-failed", "message": "no such column: x", "exit_code": 6}
    service.pretend({"error": error}, code=6)
    failure = k8s.failure(*WORDS, code=6)
    assert "but is not ready" in failure["state"]
    assert "ImagePullBackOff" in failure["state"]
    assert service.step is None
    assert (service.image, service.object["spec"]["replicas"]) == (BROKEN, 1)
    service.pretend()
    assert k8s(*WORDS).returncode == 0
    service.require_over(V2)


@pytest.mark.parametrize("option", ["--abort", "--resume"])
def test_stuck_and_killed(service: Service, k8s: Commands, option: str) -> None:
    """The new version's pod crashes, and nobody is there any more to take it back."""
    service.cluster.script(Script(image=V2, pod="web-0", run_for=0.01, exit_code=3, backoff=60))
    running = k8s.start(*WORDS)
    service.cluster.wait(lambda: service.step == "starting" and service.cluster.pods("default"))
    running.send_signal(signal.SIGKILL)
    running.finished()
    if option == "--abort":
        assert k8s.result("deploy", "sts/web", option)["restored"]
    else:
        assert k8s.failure("deploy", "sts/web", option, code=7)["code"] == "upgrade-restored"
    service.require_over(V1)
    assert never_forced(service)


def test_the_old_version_is_gone_too(service: Service, k8s: Commands) -> None:
    """The way back gets stuck as well: told, and the next deploy goes through zero again."""
    cluster = service.cluster
    cluster.script(Script(image=V2, pod="web-0", run_for=0.01, exit_code=3))
    cluster.script(Script(image=V1, pod="web-0", image_error="was deleted"))
    error = k8s.failure(*WORDS, code=7)
    assert "but is not ready" in error["state"]
    assert "was deleted" in error["state"]
    assert service.step is None
    v3 = "localhost/web:v3"
    assert k8s("deploy", "sts/web", "--image", v3).returncode == 0
    service.require_over(v3)


def test_the_node_goes_away_with_the_new_version(service: Service, k8s: Commands) -> None:
    """It may write still: no Job, no other pod, until somebody knows."""
    cluster = service.cluster
    cluster.script(Script(image=V2, pod="web-0", ready_after=None))
    running = k8s.start(*WORDS, "--timeout", "3s")
    ran = cluster.history.on_claim
    cluster.wait(lambda: [one for one in ran("default", service.claim) if one.images == (V2,)][1:])
    [pod] = cluster.pods("default")
    cluster.node_down(pod["spec"]["nodeName"])
    done = running.finished()
    assert done.returncode == 9, done.stderr
    assert "still uses claim" in done.stderr
    assert "--abort" in done.stderr
    assert service.step == "undoing"
    assert service.object["spec"]["replicas"] == 0
    [left] = cluster.pods("default")
    assert left["metadata"]["uid"] == pod["metadata"]["uid"]
    assert never_forced(service)
    cluster.node_up(pod["spec"]["nodeName"])
    assert k8s("deploy", "sts/web", "--abort").returncode == 0
    service.require_over(V1)


def test_the_node_goes_away_with_the_job(service: Service, k8s: Commands) -> None:
    """What runs there may write still: no other Job, no pod of the service, whatever time it is."""
    cluster = service.cluster
    service.pretend(run_for=None)
    running = k8s.start(*WORDS, "--timeout", "3s", "--job-timeout", "2s")
    cluster.wait(lambda: upgrades(service))
    [pod] = cluster.pods("default")
    cluster.node_down(pod["spec"]["nodeName"])
    done = running.finished()
    assert done.returncode == 9, done.stderr
    assert f"is to go, and still there on {pod['spec']['nodeName']}" in done.stderr
    assert f"kubectl get node {pod['spec']['nodeName']}; then orchctl k8s deploy" in done.stderr
    assert service.step == "undoing"
    assert service.object["spec"]["replicas"] == 0
    assert [one["metadata"]["uid"] for one in cluster.pods("default")] == [pod["metadata"]["uid"]]
    assert never_forced(service)
    service.pretend()
    cluster.node_up(pod["spec"]["nodeName"])
    # Whether it was done nobody knows: it is asked for again, and put back.
    assert k8s.result("deploy", "sts/web", "--abort")["restored"]
    service.require_over(V1)
    assert never_forced(service)


def test_a_job_that_finds_no_place_keeps_nobody_waiting_for_an_hour(
    service: Service, k8s: Commands
) -> None:
    service.cluster.script(Script(pod="web-*-upgrade-*", unschedulable="0/2 nodes are available"))
    error = k8s.failure(*WORDS, "--timeout", "3s", code=10)
    assert error["code"] == "job-not-started"
    assert "0/2 nodes are available" in error["message"]
    service.require_over(V1)


def test_an_image_that_arrives_at_the_last_moment_is_reckoned_with(
    service: Service, k8s: Commands
) -> None:
    """The Job is given up, and it runs all the same before it is gone: it may have written."""
    cluster = service.cluster
    cluster.script(Script(pod="web-*-upgrade-*", image_error="no such image"))

    def arrives() -> None:
        service.pretend(run_for=None)
        cluster.wait(lambda: upgrades(service))
        service.pretend()  # the next one

    cluster.fault(Fault("delete", "/jobs/", before=arrives))
    done = k8s.result(*WORDS)
    assert done["upgrade"]["to"] == "002"
    assert len(upgrades(service)) == 2
    service.require_over(V2)


def test_a_pod_that_does_not_end_is_waited_for(service: Service, k8s: Commands) -> None:
    """Slow is not away: within the timeout it may take what it takes."""
    cluster = service.cluster
    cluster.script(Script(image=V1, pod="web-0", stuck=True))
    cluster.crash("default", "web-0")  # started anew, it is the script's
    cluster.wait(
        lambda: cluster.pods("default")[0]["status"]["containerStatuses"][0]["restartCount"]
    )
    service.settled()
    running = k8s.start(*WORDS)
    cluster.wait(lambda: "to let go of claim" in running.stderr())
    assert running.alive()
    cluster.release("web-0")
    assert running.finished().returncode == 0
    service.require_over(V2)
    assert never_forced(service)
