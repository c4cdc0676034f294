"""`orchctl k8s backup create` and `--copy-to`: real snapshots of a real file, the pod going on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import JOBS, LEASES
from tests.support.kubernetes_commands import IMPORTS, Commands
from tests.support.kubernetes_service import V2, Service
from tests.support.preloaded import start
from tests.support.projects import execute, query

WORDS = ("backup", "create", "statefulset/web")


@pytest.fixture
def service(cluster: Cluster, tmp_path: Path) -> Service:
    service = Service(cluster, tmp_path / "image")
    service.begin()
    service.answers_exec()
    return service


def for_one_pod(cluster: Cluster, tmp_path: Path) -> Service:
    """Its claim is ReadWriteOncePod."""
    claim = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    service = Service(cluster, tmp_path / "image", volumeClaimTemplates=templates)
    service.begin()
    return service


def jobs_made(service: Service) -> list[dict[str, Any]]:
    asked = service.cluster.history.requests
    made = [one for one in asked if one.verb == "create" and one.path.endswith("/jobs")]
    return [one.body for one in made if "dryRun" not in one.query]


@pytest.fixture
def pretended(cluster: Cluster, tmp_path: Path) -> Service:
    """Its Jobs say that they took a snapshot, which is on the claim; exec is real."""
    service = Service(cluster, tmp_path / "image")
    service.settled()
    path = service.database.parent / "backups" / "app.db.1.snapshot"
    path.parent.mkdir()
    execute(path, "CREATE TABLE notes AS SELECT 1 AS id, zeroblob(9999) AS much")
    path.with_suffix(".json").write_text("{}")
    facts = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    snapshot = {"id": "1", "size": path.stat().st_size, "status": "complete", **facts}
    # Exec is real, and tells of a database at base.
    answer = {"database": "/data/app.db", "from": "001", "to": None, "revisions": ["001"]}
    service.pretend({"ok": True, "snapshot": snapshot, **answer})
    service.answers_exec()
    return service


def require_copy(copied: dict[str, Any], snapshot: dict[str, Any], folder: Path) -> None:
    path = Path(copied["path"])
    assert path.parent == folder
    assert copied["sha256"] == snapshot["sha256"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == snapshot["sha256"]
    assert path.stat().st_mode & 0o777 == 0o600
    names = [path.with_suffix(".json").name, path.name]
    assert sorted(one.name for one in folder.iterdir()) == names
    assert query(path, "SELECT id FROM notes") == [(1,)]


def test_a_job_beside_the_pod_takes_it_and_the_copy_comes_here(
    service: Service, k8s: Commands, tmp_path: Path
) -> None:
    [before] = service.cluster.pods("default")
    folder = tmp_path / "copies" / "web"
    done = k8s.result(*WORDS, "--verify", "--reason", "scheduled", "--copy-to", str(folder))
    assert (done["ok"], done["how"]) == (True, "job")
    assert (done["snapshot"]["status"], done["snapshot"]["reason"]) == ("verified", "scheduled")
    assert service.snapshots() == [Path(done["snapshot"]["path"]).name]
    require_copy(done["copied"], done["snapshot"], folder)
    # Nobody was stopped, and the Job was where the claim was.
    [after] = service.cluster.pods("default")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    [job] = jobs_made(service)
    pod = job["spec"]["template"]["spec"]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchFields"][0]["values"] == [before["spec"]["nodeName"]]
    assert {one["key"] for one in pod["tolerations"]} == {"node.kubernetes.io/unschedulable"}
    assert not service.cluster.objects(JOBS, "default")
    assert not service.cluster.objects(LEASES, "default")
    # As a catalog of its own, the folder can be looked through here.
    env = {"DATABASE_URL": f"sqlite:///{service.database}"}
    env["ORCHCTL_SNAPSHOT_DIRECTORY"] = str(folder)
    words = ("backup", "verify", "--all")
    seen = start(service.project, *words, env=env, imports=IMPORTS).finished()
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert done["snapshot"]["id"] in seen.stdout


def test_a_lost_connection_is_taken_up_where_it_was(
    pretended: Service, k8s: Commands, tmp_path: Path
) -> None:
    service = pretended
    cut = service.cluster.fault(Fault(path="/exec$", after_bytes=4096))
    done = k8s(*WORDS, "--copy-to", str(tmp_path / "copies"))
    assert done.returncode == 0, done.stderr
    assert cut.met == 1
    assert "was lost" in done.stderr
    words = [
        one.query["command"] for one in service.cluster.history.requests if "/exec" in one.path
    ]
    assert len(words) == 3
    [path] = (tmp_path / "copies").glob("*.snapshot")
    assert path.read_bytes() == (service.database.parent / "backups" / path.name).read_bytes()


def test_with_a_claim_for_one_pod_it_is_taken_in_that_pod(
    cluster: Cluster, tmp_path: Path, k8s: Commands
) -> None:
    service = for_one_pod(cluster, tmp_path)
    service.answers_exec()
    done = k8s.result(*WORDS)
    assert (done["how"], done["copied"]) == ("exec", None)
    assert service.snapshots() == [Path(done["snapshot"]["path"]).name]
    assert not jobs_made(service)
    service.answers_exec(env={"PATH": "/nowhere"})
    error = k8s.failure(*WORDS, code=9)
    assert error["code"] == "no-orchctl-inside"
    assert "executable file not found" in error["message"]


def test_a_claim_for_one_pod_that_does_not_run_leaves_no_room(
    cluster: Cluster, tmp_path: Path, k8s: Commands
) -> None:
    service = for_one_pod(cluster, tmp_path)
    cluster.script(Script(labels={"app": "web"}, config_error="no secret"))
    assert k8s("restart", "statefulset/web", "--no-wait").returncode == 0
    cluster.wait(lambda: waits(service))
    error = k8s.failure(*WORDS, "--dry-run", code=5)
    assert error["code"] == "claim-for-one-pod"
    assert "--replicas=0" in error["hint"]


def waits(service: Service) -> bool:
    pods = service.cluster.pods("default")
    states = [one["state"] for pod in pods for one in pod["status"].get("containerStatuses") or ()]
    return any(one.get("waiting", {}).get("reason", "").startswith("Create") for one in states)


def test_at_zero_jobs_do_both(pretended: Service, k8s: Commands, tmp_path: Path) -> None:
    service = pretended
    service.cluster.script(Script(pod="web-*-copy-*", process=True))
    service.scale(0)
    folder = tmp_path / "copies"
    done = k8s.result(*WORDS, "--copy-to", str(folder))
    require_copy(done["copied"], done["snapshot"], folder)
    taken, held = jobs_made(service)
    assert "affinity" not in taken["spec"]["template"]["spec"]
    assert held["spec"]["template"]["spec"]["containers"][0]["command"][0] == "sleep"
    assert not service.cluster.objects(JOBS, "default")
    assert not service.cluster.pods("default")
    assert service.object["spec"]["replicas"] == 0


def test_what_goes_wrong_is_told(pretended: Service, k8s: Commands, tmp_path: Path) -> None:
    service = pretended
    error = {"code": "no-space", "message": "No room", "hint": "Make some", "exit_code": 5}
    service.pretend({"error": error}, code=5)
    failed = k8s.failure(*WORDS, code=6)
    assert (failed["code"], failed["hint"]) == ("snapshot-failed", "Make some")
    assert "No room" in failed["message"]
    service.pretend({"ok": False, "snapshot": {"id": "a", "path": "/data/a.snapshot", "size": 1}})
    assert k8s.result(*WORDS, code=1)["snapshot"]["id"] == "a"
    blocked = tmp_path / "file"
    blocked.write_text("")
    error = k8s.failure(*WORDS, "--copy-to", str(blocked), code=3)
    assert error["code"] == "copies-not-writable"
    assert k8s.failure("backup", "create", "pod/web-0", code=2)["code"] == "bad-target"
    service.cluster.deny("create", "pods/exec")
    assert k8s.failure(*WORDS, "--exec", code=9)["code"] == "no-rights"
    assert not service.cluster.objects(JOBS, "default")


def test_what_has_another_hash_is_not_kept(
    pretended: Service, k8s: Commands, tmp_path: Path
) -> None:
    path = pretended.database.parent / "backups" / "app.db.1.snapshot"
    facts = {"id": "1", "path": str(path), "size": 1, "status": "complete", "sha256": "0" * 64}
    pretended.pretend({"ok": True, "snapshot": facts})
    error = k8s.failure(*WORDS, "--copy-to", str(tmp_path / "copies"), code=6)
    assert error["code"] == "snapshot-not-copied"
    assert "another hash" in error["message"]
    assert str(path) in error["state"]
    assert list((tmp_path / "copies").iterdir()) == []
    (tmp_path / "copies" / path.name).write_text("somebody else's")
    error = k8s.failure(*WORDS, "--copy-to", str(tmp_path / "copies"), code=6)
    assert "another file" in error["message"]
    assert (tmp_path / "copies" / path.name).read_text() == "somebody else's"


def test_it_waits_for_no_run_under_way(pretended: Service, k8s: Commands) -> None:
    service = pretended
    spec = {"holderIdentity": "elsewhere/x/1/2", "leaseDurationSeconds": 30}
    lease = {"metadata": {"name": "orchctl-statefulset-web"}, "spec": spec}
    service.cluster.create(LEASES, "default", lease)
    assert k8s.failure(*WORDS, code=4)["code"] == "run-under-way"
    assert not jobs_made(service)


# -- deploy --------------------------------------------------------------------------------------


def test_a_deploy_brings_its_snapshot_off_the_claim(
    pretended: Service, k8s: Commands, tmp_path: Path
) -> None:
    service = pretended
    folder = tmp_path / "project" / "copies"
    (tmp_path / "project" / "orchctl.toml").write_text("[workload]\ncopy-to = 'copies'\n")
    done = k8s.result("deploy", service.target, "--image", V2)
    [copied] = done["copied"]
    require_copy(copied, done["upgrade"]["snapshot"], folder)
    service.require_over(V2)


def test_a_deploy_without_its_copy_is_done_but_not_well(
    pretended: Service, k8s: Commands, tmp_path: Path
) -> None:
    service = pretended
    service.answers_exec(env={"PATH": "/nowhere"})
    words = ("deploy", service.target, "--image", V2, "--copy-to", str(tmp_path / "copies"))
    done = k8s(*words)
    assert done.returncode == 1
    assert "on the claim alone" in done.stderr
    assert "001 -> base" in done.stdout
    assert list((tmp_path / "copies").iterdir()) == []
    service.require_over(V2)
