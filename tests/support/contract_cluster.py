"""What the contract suite needs of a cluster: a namespace, and workloads made with kubectl.

Nothing here but `faked` knows that there is a fake.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import contract_run

Json = dict[str, Any]

FAKE_IMAGES = ("localhost/orchctl-test:1", "localhost/orchctl-test:2")
MIGRATED = "INFO  [alembic.runtime.migration] Running upgrade 003 -> 004, health fields"
# How a container behaves; the fake goes by the annotation, a real cluster by the command.
BEHAVES = "orchctl-test/behaves"
_SERVE = f"""
echo started; echo '{MIGRATED}'
mkdir -p /tmp/www; echo ok > /tmp/www/index.html; httpd -p 8080 -h /tmp/www
"""
_COMMANDS = {
    "well": f"{_SERVE} trap 'exit 0' TERM; while :; do sleep 0.2; done",
    "slow": f"{_SERVE} trap 'sleep 2; exit 0' TERM; while :; do sleep 0.2; done",
    "crash": "echo 'no such column: x'; exit 3",
    "unready": "trap 'exit 0' TERM; while :; do sleep 0.2; done",
    "placeless": "exit 1",
}


@contextmanager
def faked(folder: Path) -> Iterator[Path]:
    """The kubeconfig of a fake whose containers behave as those commands would."""
    from tests.kubernetes.fake.cluster import Cluster
    from tests.kubernetes.fake.kubelet.scripts import Script

    log = f"started\n{MIGRATED}"
    cluster = Cluster(folder / "cluster")
    cluster.start()
    for script in (
        Script(log=log),
        Script(image="*no-such-image*", image_error="no such image"),
        Script(annotations={BEHAVES: "slow"}, log=log, stop_after=0.5),
        Script(
            annotations={BEHAVES: "crash"},
            run_for=0.02,
            ready_after=None,
            exit_code=3,
            log="no such column: x",
        ),
        Script(annotations={BEHAVES: "unready"}, ready_after=None),
        Script(annotations={BEHAVES: "placeless"}, unschedulable="0/2 nodes are available"),
    ):
        cluster.script(script)
    try:
        yield cluster.kubeconfig(folder / "kubeconfig")
        assert cluster.state.troubles == []
    finally:
        cluster.stop()


@dataclass
class Workshop:
    """A namespace in which tests make workloads.

    Attributes:
        kubeconfig: Of the cluster.
        namespace: Its name.
        images: Two tags of one image.
        cache: A folder for what kubectl learns of the cluster.
        made: What there is to delete.
    """

    kubeconfig: Path
    namespace: str
    images: tuple[str, str]
    cache: Path
    made: list[str] = field(default_factory=list)

    def kubectl(self, *words: str, given: str | None = None) -> str:
        whose = ("--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.cache))
        done = subprocess.run(
            ["kubectl", *whose, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:
        """Objects, as `kubectl get … -o json` has them."""
        found = json.loads(self.kubectl("get", *words, "-n", self.namespace, "-o", "json"))
        return found.get("items", found)

    def make(self, kind: str, name: str, behaves: str = "well", **spec: Any) -> str:
        """Make a workload with pods that behave so; its target."""
        body = workload(kind, name, self.images[0], behaves)
        body["spec"] |= spec
        return self.put(body)

    def put(self, body: Json) -> str:
        """Make whatever it is; its target."""
        target = f"{body['kind'].lower()}/{body['metadata']['name']}"
        self.made.append(target)
        self.post(f"/apis/apps/v1/namespaces/{self.namespace}/{body['kind'].lower()}s", body)
        return target

    def post(self, path: str, body: Json) -> None:
        self.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body))

    def ready(self, kind: str, name: str, behaves: str = "well", **spec: Any) -> str:
        """Make a workload and wait until its pods are ready."""
        target = self.make(kind, name, behaves, **spec)
        self.kubectl("rollout", "status", target, "-n", self.namespace, "--timeout=120s")
        return target

    def pods(self, name: str) -> dict[str, Json]:
        """Every pod of a workload, also those on their way out, by uid."""
        return {one["metadata"]["uid"]: one for one in self.get("pods", "-l", f"app={name}")}

    def wait(self, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s for {condition}"
            time.sleep(0.2)
        return found

    def clear(self) -> None:
        """Delete what was made, with its pods."""
        if self.made:
            words = ("-n", self.namespace, "--ignore-not-found", "--wait=false", *self.made)
            self.kubectl("delete", *words)
            self.made.clear()
            self.wait(lambda: not self.get("pods"))


@contextmanager
def namespace_in(
    kubeconfig: Path, name: str, images: tuple[str, str], cache: Path
) -> Iterator[Workshop]:
    """A new namespace; in the end it is gone."""
    made = Workshop(kubeconfig, name, images, cache)
    try:
        made.post("/api/v1/namespaces", contract_run.namespace(name))
        # Pods are refused until the namespace has its default account.
        made.wait(lambda: "default" in {one["metadata"]["name"] for one in made.get("sa")})
        yield made
    finally:
        made.kubectl("delete", "namespace", name, "--ignore-not-found")


def workload(kind: str, name: str, image: str, behaves: str) -> Json:
    """A Deployment, StatefulSet or DaemonSet with one container called web."""
    kinds = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
    container: Json = {
        "name": "web",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _COMMANDS[behaves]],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    spec: Json = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}, "annotations": {BEHAVES: behaves}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
        },
    }
    if kind != "daemonset":
        spec["replicas"] = 1
    if kind == "statefulset":
        spec["serviceName"] = name
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "apps/v1", "kind": kinds[kind], "metadata": metadata, "spec": spec}
