"""A service on a claim of the fake cluster: a real database, Jobs that really run orchctl."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kubernetes.fake.cluster import Cluster
from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import CLAIMS, DEPLOYMENTS, JOBS, LEASES, STATEFUL_SETS
from tests.kubernetes.fake.writing import mutate
from tests.kubernetes.objects import deployment, stateful_set
from tests.support.kubernetes_commands import IMPORTS
from tests.support.preloaded import start
from tests.support.projects import Project, execute, query

V1, V2 = "localhost/web:v1", "localhost/web:v2"
OF_JOBS = {"app.kubernetes.io/managed-by": "orchctl"}
Json = dict[str, Any]

_ANSWER = {
    "ok": True,
    "database": "/data/app.db",
    "from": "001",
    "to": "002",
    "revisions": ["002"],
    "snapshot": {"id": "snap", "path": "/data/backups/snap.db", "sha256": "0"},
}


class Service:
    """`statefulset/web` (or a Deployment), one replica, its database on a claim.

    Args:
        cluster: Where.
        folder: A new folder, for the image's project.
        kind: `statefulset` or `deployment`.
        image: Of its container.
        spec: Put over the workload's own.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        kind: str = "statefulset",
        *,
        image: str = V1,
        **spec: Any,
    ) -> None:
        self.cluster = cluster
        self.resource = STATEFUL_SETS if kind == "statefulset" else DEPLOYMENTS
        self.target = f"{kind}/web"
        self.claim = "data-web-0" if kind == "statefulset" else "data"
        body = stateful_set("web") if kind == "statefulset" else _deployment(cluster)
        body["spec"] |= spec
        pod = body["spec"]["template"]["spec"]
        pod["securityContext"] = {"runAsUser": 1000, "fsGroup": 1000}
        pod["containers"][0]["image"] = image
        pod["containers"][0]["env"] = [{"name": "DATABASE_URL", "value": "sqlite:////data/app.db"}]
        # Slow to end: who doesn't wait for that starts the next one beside it.
        cluster.script(Script(pod="web-*", stop_after=0.3))
        cluster.create(self.resource, "default", body)
        self.project = Project(folder, url=None)
        self.project.add("001", "op.create_table('notes', sa.Column('id', sa.Integer))")

    def begin(self) -> None:
        """The database at 001 with a row, Jobs that really run, and the pod ready."""
        self.settled()
        script = Script(
            labels=OF_JOBS,
            process=True,
            programs=Path(sys.executable).parent,
            cwd=self.project.folder,
        )
        self.cluster.script(script)
        env = {"DATABASE_URL": f"sqlite:///{self.database}"}
        done = start(self.project, "upgrade", "--no-backup", env=env, imports=IMPORTS).finished()
        assert done.returncode == 0, done.stderr
        execute(self.database, "INSERT INTO notes VALUES (1)")

    def answers_exec(self, **script: Any) -> None:
        """What is run in the service's pod, is really run."""
        run = {"programs": Path(sys.executable).parent, "cwd": self.project.folder, **script}
        labels = {"app": "web"}
        self.cluster.script(Script(labels=labels, stop_after=0.3, exec_process=True, **run))

    def annotate(self, name: str, value: str) -> None:
        """As somebody else would."""
        self._change(
            lambda body: body["metadata"].setdefault("annotations", {}).update({name: value})
        )

    def _change(self, change: Callable[[Json], None]) -> None:
        store = self.cluster.state.store
        self.cluster.do(lambda: mutate(store, self.resource, "default", "web", change))

    def scale(self, replicas: int) -> None:
        """As somebody else would; until it has come to that."""
        self._change(lambda body: body["spec"].update(replicas=replicas))
        self.cluster.wait(lambda: len(self.cluster.pods("default")) == replicas)

    def snapshots(self) -> list[str]:
        """The snapshots beside the database."""
        folder = self.database.parent / "backups"
        return sorted(one.name for one in folder.glob("*.snapshot"))

    def pretend(self, answer: Json | None = None, code: int = 0, **script: Any) -> None:
        """Jobs that only print an answer."""
        text = json.dumps(_ANSWER if answer is None else answer, indent=2)
        run = {"run_for": 0.05, "exit_code": code, "log": text, **script}
        self.cluster.script(Script(labels=OF_JOBS, **run))

    def pretend_restore(self, answer: Json, code: int = 0) -> None:
        """Jobs that put the database back only print an answer."""
        log = json.dumps(answer, indent=2)
        self.cluster.script(Script(pod="web-*-restore-*", run_for=0.05, exit_code=code, log=log))

    @property
    def database(self) -> Path:
        return self.cluster.claim_directory("default", self.claim) / "app.db"

    @property
    def heads(self) -> list[str]:
        return [row[0] for row in query(self.database, "SELECT version_num FROM alembic_version")]

    @property
    def object(self) -> Json:
        [found] = self.cluster.objects(self.resource, "default")
        return found

    @property
    def image(self) -> str:
        return str(self.object["spec"]["template"]["spec"]["containers"][0]["image"])

    @property
    def step(self) -> str | None:
        """Where an unfinished run is."""
        text = (self.object["metadata"].get("annotations") or {}).get("orchctl/run")
        return None if text is None else str(json.loads(text)["step"])

    @property
    def last_run(self) -> Json | None:
        """The run that can be taken back."""
        text = (self.object["metadata"].get("annotations") or {}).get("orchctl/last-run")
        return None if text is None else dict(json.loads(text))

    def settled(self) -> None:
        """One pod, and ready."""
        self.cluster.wait(self._settled)

    def _settled(self) -> bool:
        pods = self.cluster.pods("default")
        conditions = [one for pod in pods for one in pod["status"].get("conditions") or []]
        ready = [one for one in conditions if one["type"] == "Ready" and one["status"] == "True"]
        return len(pods) == 1 and len(ready) == 1

    def require_over(self, image: str) -> None:
        """Nothing is left of a run, one pod is ready with this image, and never were there two."""
        assert self.step is None
        assert self.object["spec"]["replicas"] == 1
        assert self.image == image
        assert not self.cluster.objects(LEASES, "default")
        assert not self.cluster.objects(JOBS, "default")
        self.settled()
        [pod] = self.cluster.pods("default")
        assert pod["spec"]["containers"][0]["image"] == image
        self.require_one_writer()

    def require_one_writer(self) -> None:
        assert len(self.cluster.history.on_claim("default", self.claim)) > 1
        assert self.cluster.history.overlaps("default", self.claim) == []


def _deployment(cluster: Cluster) -> Json:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.create(CLAIMS, "default", claim)
    body = deployment("web", strategy={"type": "Recreate"})
    pod = body["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "d", "mountPath": "/data"}]
    return body
