"""`k8s rollback --database`: the last run taken back, image and database together."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.support.kubernetes_commands import Commands, health_server
from tests.support.kubernetes_service import V1, V2, Service
from tests.support.projects import execute, query
from tests.support.traps import Trap

ADD = "op.add_column('notes', sa.Column('text', sa.String()))"
WORDS = ("rollback", "statefulset/web", "--database")
ACCEPT = "--accept-data-loss"

# Three dry runs, the Lease (4th), the record (5th), zero, the step, the Job, its uid, the step, the
# Job's end, the image, the step, the replicas, the record's end (15th).
RECORD, JOB, END = 5, 8, 15
_BACK = {
    "ok": True,
    "database": "/data/app.db",
    "from": "002",
    "to": "001",
    "snapshot": {"id": "snap", "path": "/data/backups/snap.db", "sha256": "0"},
    "put_aside": {"id": "aside", "path": "/data/backups/aside.db"},
}


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    """At 001, image v1."""
    service = Service(cluster, tmp_path / "image")
    service.begin()
    return service


@pytest.fixture
def deployed(service: Service, k8s: Commands) -> Service:
    """At 002, image v2, with a row that was written since."""
    service.project.add("002", ADD)
    done = k8s("deploy", service.target, "--image", V2)
    assert done.returncode == 0, done.stderr
    execute(service.database, "INSERT INTO notes VALUES (2, 'since')")
    return service


def test_a_run_that_changed_nothing_is_not_what_is_taken_back(
    deployed: Service, k8s: Commands
) -> None:
    assert k8s("deploy", deployed.target, "--image", V2).returncode == 0
    assert k8s.result(*WORDS, ACCEPT)["upgrade"]["to"] == "001"
    assert deployed.heads == ["001"]
    deployed.require_over(V1)


def rows(service: Service) -> list[object]:
    return query(service.database, "SELECT id FROM notes ORDER BY id")


def test_image_and_database_go_back_and_nothing_is_lost(deployed: Service, k8s: Commands) -> None:
    [before] = deployed.snapshots()
    error = k8s.failure(*WORDS, code=5)
    assert error["code"] == "would-discard-writes"
    plan = k8s.result(*WORDS, ACCEPT, "--dry-run", "server")
    assert before.endswith(f"{plan['snapshot']}.snapshot")
    assert (plan["images"]["to"], deployed.image, deployed.heads) == ({"web": V1}, V2, ["002"])
    done = k8s.result(*WORDS, ACCEPT)
    assert (done["upgrade"]["from"], done["upgrade"]["to"]) == ("002", "001")
    assert deployed.heads == ["001"]
    assert rows(deployed) == [(1,)]
    aside = Path(done["upgrade"]["put_aside"]["path"])
    assert query(aside, "SELECT text FROM notes WHERE id = 2") == [("since",)]
    deployed.require_over(V1)
    assert k8s.failure(*WORDS, ACCEPT, code=5)["code"] == "no-deploy"


def test_one_that_is_not_healthy_is_put_back_with_all_that_was_written(
    deployed: Service, k8s: Commands
) -> None:
    with health_server([503]) as (url, _):
        words = (ACCEPT, "--health", url, "--timeout", "3s")
        error = k8s.failure(*WORDS, *words, code=7)
    assert error["details"]["code"] == "unhealthy"
    assert deployed.heads == ["002"]
    assert rows(deployed) == [(1,), (2,)]
    deployed.require_over(V2)
    # It is not taken back yet, so it still can be.
    assert k8s(*WORDS, ACCEPT).returncode == 0
    assert deployed.heads == ["001"]


def test_other_images_since_are_told(deployed: Service, k8s: Commands) -> None:
    done = k8s("rollback", deployed.target)
    assert done.returncode == 0, done.stderr
    assert "--database takes it back, too" in done.stderr
    assert deployed.heads == ["002"]
    error = k8s.failure(*WORDS, ACCEPT, code=5)
    assert error["code"] == "changed-since"
    assert f"web={V2}" in error["hint"]


def test_without_revisions_the_image_alone_goes_back(service: Service, k8s: Commands) -> None:
    assert k8s("deploy", service.target, "--image", V2).returncode == 0
    made = len(service.cluster.history.on_claim("default", service.claim))
    done = k8s(*WORDS)
    assert done.returncode == 0, done.stderr
    assert f"left as it is, {V1}, ready" in done.stdout
    assert service.heads == ["001"]
    service.require_over(V1)
    assert len(service.cluster.history.on_claim("default", service.claim)) == made + 1


@pytest.mark.parametrize("words", [("--resume",), (ACCEPT,), ("--database", "--no-wait")])
def test_what_does_not_go_together(k8s: Commands, words: tuple[str, ...]) -> None:
    assert k8s.failure("rollback", "statefulset/web", *words, code=2)["code"] == "usage"


# -- killed --------------------------------------------------------------------------------------


@pytest.fixture
def pretended(cluster: Cluster, tmp_path: Path) -> Service:
    """As after a deploy of v2 that changed the database, its Jobs only saying so."""
    last = {
        "run": "abc123",
        "command": "deploy",
        "step": "done",
        "replicas": 1,
        "container": "web",
        "revision": "head",
        "job_image": V2,
        "old_images": {"web": V1},
        "new_images": {"web": V2},
        "claims": ["data-web-0"],
        "started_at": "2026-01-01T00:00:00+00:00",
        "changed": True,
        "answer": {"databases": [{"from": "001", "to": "002", "snapshot": _BACK["snapshot"]}]},
    }
    service = Service(cluster, tmp_path / "image", image=V2)
    service.annotate("orchctl/last-run", json.dumps(last))
    service.settled()
    service.pretend(_BACK)
    return service


@pytest.mark.parametrize("number", range(RECORD + 1, END))
def test_killed_at_any_write_the_next_run_finishes_it(
    pretended: Service, k8s: Commands, number: int
) -> None:
    trap = Trap(pretended.cluster, number)
    assert trap.run(k8s, *WORDS, ACCEPT) == -signal.SIGKILL
    done = k8s.result(*WORDS)
    assert done["resumed"]
    pretended.require_over(V1)
    assert pretended.last_run is None


@pytest.mark.parametrize("number", range(RECORD + 1, END))
def test_killed_it_can_be_undone(pretended: Service, k8s: Commands, number: int) -> None:
    trap = Trap(pretended.cluster, number)
    assert trap.run(k8s, *WORDS, ACCEPT) == -signal.SIGKILL
    done = k8s.result(*WORDS, "--abort")
    assert done["undone"]
    if number != JOB:  # it may have been made
        assert bool(done["restored"]) is (number > JOB)
    pretended.require_over(V2)
    assert pretended.last_run is not None
    asked = pretended.cluster.history.requests
    made = [one.body for one in asked if one.verb == "create" and one.path.endswith("/jobs")]
    commands = [one["spec"]["template"]["spec"]["containers"][0]["command"][-1] for one in made]
    if number != JOB:
        assert commands[-1:] == ["aside" if number > JOB else "snap"][: len(commands)]


@pytest.mark.parametrize("number", [END, END + 4, END + 7])
def test_killed_while_it_is_put_back_the_next_run_finishes_that(
    pretended: Service, k8s: Commands, number: int
) -> None:
    crashing = Script(image=V1, pod="web-0", run_for=0.01, exit_code=3)
    pretended.cluster.script(crashing)
    trap = Trap(pretended.cluster, number)
    assert trap.run(k8s, *WORDS, ACCEPT) == -signal.SIGKILL
    assert k8s.failure(*WORDS, code=7)["code"] == "upgrade-restored"
    pretended.require_over(V2)
    assert pretended.last_run is not None
