"""A run that was killed half-way: what others say of it; and hints that can be typed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.resources import DEPLOYMENTS
from tests.kubernetes.objects import deployment
from tests.support.kubernetes_commands import Commands
from tests.support.kubernetes_service import V1, V2, Service
from tests.support.traps import Trap

WORDS = ("deploy", "sts/web", "--image", V2)
JOB = 8  # the write that makes it; see test_k8s_upgrade_killed
HERE = ("-n", "default")


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.settled()
    service.pretend()
    return service


@pytest.fixture
def elsewhere(cluster: Cluster, tmp_path: Path) -> Commands:
    """`orchctl k8s` of somebody whose own namespace is another."""
    return Commands(tmp_path / "elsewhere", cluster.kubeconfig(tmp_path / "other", "kube-system"))


def commands_in(hint: str) -> list[str]:
    """What there is to type in a hint about a run: to go on, to undo."""
    command = hint.partition(" goes on")[0]
    return shlex.split(command[command.index("orchctl k8s ") :])[2:]


def test_at_zero_in_the_middle_nothing_is_good(service: Service, k8s: Commands) -> None:
    Trap(service.cluster, JOB + 1).run(k8s, *WORDS)
    [found] = k8s.result("status", "sts/web", code=1)["workloads"]
    assert not found["good"]
    assert (found["run"]["command"], found["run"]["step"]) == ("deploy", "upgrading")
    # Started by hand it would write beside the Job.
    for words in (("status", "sts/web"), ("wait", "sts/web")):
        told = k8s(*words).stderr
        assert "--resume goes on, --abort undoes it" in told
        assert "kubectl scale" not in told
    examined = k8s.bare("doctor", "--target", "k8s:sts/web").stdout
    assert "k8s deploy statefulset/web -n default --resume" in examined
    assert "kubectl scale" not in examined
    assert k8s("deploy", "sts/web", "--resume").returncode == 0
    [found] = k8s.result("status", "sts/web")["workloads"]
    assert found["run"] is None
    service.require_over(V2)


@pytest.mark.parametrize(
    "words", [("restart", "sts/web"), ("set-image", "sts/web", "x:1"), ("rollback", "sts/web")]
)
def test_nothing_else_changes_what_a_run_has_in_hand(
    service: Service, k8s: Commands, words: tuple[str, ...]
) -> None:
    assert k8s("set-image", "sts/web", V2).returncode == 0
    assert k8s("set-image", "sts/web", V1).returncode == 0
    Trap(service.cluster, JOB).run(k8s, *WORDS)
    before = service.object["metadata"]["generation"]
    assert k8s.failure(*words, code=5)["code"] == "unfinished-run"
    assert service.object["metadata"]["generation"] == before
    assert k8s("deploy", "sts/web", "--abort").returncode == 0
    service.require_over(V1)


def test_a_hint_is_about_the_namespace_that_was_meant(
    service: Service, elsewhere: Commands
) -> None:
    Trap(service.cluster, JOB).run(elsewhere, *WORDS, *HERE)
    error = elsewhere.failure("deploy", "sts/web", "--image", "x:1", *HERE, code=5)
    assert error["code"] == "unfinished-run"
    done = elsewhere(*commands_in(error["hint"]))
    assert done.returncode == 0, done.stderr
    service.require_over(V2)


def test_a_killed_rollback_is_gone_on_with_as_its_hint_says(
    service: Service, elsewhere: Commands
) -> None:
    assert elsewhere(*WORDS, *HERE).returncode == 0
    back = ("rollback", "k8s:default/sts/web", "--database", "--accept-data-loss")
    Trap(service.cluster, JOB).run(elsewhere, *back)
    error = elsewhere.failure("restart", "k8s:default/sts/web", code=5)
    done = elsewhere(*commands_in(error["hint"]))
    assert done.returncode == 0, done.stderr
    service.require_over(V1)


def test_what_kubectl_is_to_do_is_typed_with_cluster_and_namespace(
    service: Service, elsewhere: Commands, tmp_path: Path
) -> None:
    service.scale(2)
    given = service.cluster.kubeconfig(tmp_path / "a file", "kube-system")
    error = elsewhere.failure(
        *(*WORDS, *HERE, "--context", "fake", "--kubeconfig", str(given)), code=5
    )
    hint = error["hint"]
    assert hint.startswith("kubectl ")
    env = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(shlex.split(hint), env=env, check=True, capture_output=True)
    assert service.object["spec"]["replicas"] == 1


def test_what_shares_the_claim_is_stopped_as_the_hint_says(
    service: Service, elsewhere: Commands
) -> None:
    viewer = deployment("viewer")
    claim = {"name": "d", "persistentVolumeClaim": {"claimName": service.claim}}
    viewer["spec"]["template"]["spec"]["volumes"] = [claim]
    service.cluster.create(DEPLOYMENTS, "default", viewer)
    error = elsewhere.failure(*WORDS, *HERE, code=5)
    assert error["code"] == "claim-shared"
    assert "kubectl -n default scale deployment/viewer --replicas=0" in error["hint"]


def test_that_nobody_listens_stops_nothing_half_way(service: Service, k8s: Commands) -> None:
    """`orchctl k8s deploy … 2>&1 | head -1`"""
    given = shlex.join([f"{Path(sys.executable).parent}/orchctl", "k8s", *WORDS])
    done = subprocess.run(
        ["bash", "-c", f"{given} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}"],
        env={**os.environ, "KUBECONFIG": str(k8s.kubeconfig)},
        cwd=k8s.project.folder,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    service.require_over(V2)


@pytest.mark.parametrize(
    "words",
    [
        ("deploy", "sts/web", "--image", ""),
        ("deploy", "sts/web", "--image", " ", "--resume"),
        ("upgrade", "sts/web", "--job-timeout", "0s"),
        ("restart", "web"),
    ],
)
def test_what_means_nothing_is_not_begun(
    service: Service, k8s: Commands, words: tuple[str, ...]
) -> None:
    assert k8s(*words).returncode == 2
    assert not service.cluster.history.writes()


def test_another_deploy_waits_for_the_one_that_is_under_way(
    service: Service, k8s: Commands
) -> None:
    """As two pipelines do it: it is not for the second to go on with the first, or to undo it."""
    cluster = service.cluster
    service.pretend(run_for=None)
    running = k8s.start(*WORDS)
    ran = cluster.wait(lambda: cluster.history.on_claim("default", service.claim)[1:])
    other = ("deploy", "sts/web", "--image", "localhost/web:v3")
    for words in (other, ("backup", "create", "sts/web")):
        assert k8s.failure(*words, code=4)["code"] == "run-under-way"
    waiting = k8s.start(*other, "--lock-timeout", "60s")
    service.pretend()
    cluster.crash("default", ran[0].pod, 0)
    assert running.finished().returncode == 0
    assert waiting.finished().returncode == 0
    service.require_over("localhost/web:v3")
