"""Where contract tests happen: a namespace of their own in some cluster, and what is put there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from tests.support.contract_run import labels

T = TypeVar("T")
Json = dict[str, Any]

# A program that does nothing and ends at once when it is asked to.
IDLE = "trap 'exit 0' TERM; sleep 3600 & wait"
# Where no node asks anybody's name server for: refused at once, or not found.
NO_IMAGE = "localhost/orchctl-no-such-image:0"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class Ground:
    """A namespace: how to reach it, and two images with a shell (busybox)."""

    kubeconfig: Path
    namespace: str
    image: str
    image_2: str
    api: client.ApiClient

    @property
    def core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    @property
    def apps(self) -> client.AppsV1Api:
        return client.AppsV1Api(self.api)

    @property
    def batch(self) -> client.BatchV1Api:
        return client.BatchV1Api(self.api)

    def pods(self, selector: str = "") -> list[Any]:
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=selector).items)

    def container(self, command: str = IDLE, image: str = "", **more: Any) -> Json:
        """A container called c that runs `command` in a shell."""
        return {
            "name": "c",
            "image": image or self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", command],
            **more,
        }

    def template(self, name: str, container: Json, claim: str = "", **spec: Any) -> Json:
        pod: Json = {"terminationGracePeriodSeconds": 5, "containers": [container], **spec}
        if claim:
            container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
            pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        return {"metadata": {"labels": {"app": name}}, "spec": pod}

    def workload(self, kind: str, name: str, container: Json, **spec: Any) -> Json:
        """A Deployment or StatefulSet with one container; not yet created."""
        claim = spec.pop("claim", "")
        body: Json = {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": self.template(name, container, claim),
            **spec,
        }
        if kind == "StatefulSet":
            body["serviceName"] = name
        return {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": body,
        }

    def deploy(self, name: str, command: str = IDLE, **spec: Any) -> Any:
        """A Deployment that is created and has settled."""
        body = self.workload("Deployment", name, self.container(command), **spec)
        self.apps.create_namespaced_deployment(self.namespace, body)
        return self.settled(name)

    def settled(self, name: str) -> Any:
        """The Deployment, once it is rolled out and its old pods are gone."""

        def look() -> Any:
            found = self.apps.read_namespaced_deployment(name, self.namespace)
            wanted, status = found.spec.replicas, found.status
            conditions = {each.type: each.reason for each in status.conditions or []}
            done = (
                status.observed_generation == found.metadata.generation
                and (status.replicas or 0) == wanted
                and (status.updated_replicas or 0) == wanted
                and (status.available_replicas or 0) == wanted
                and conditions.get("Progressing") == "NewReplicaSetAvailable"
                # The status is behind: it may still count a pod that is gone.
                and sum(map(_is_ready, self.pods(f"app={name}"))) == wanted
                and len(self.pods(f"app={name}")) == wanted
            )
            return found if done else None

        return self.wait(look)

    def stateful(self, name: str, container: Json | None = None, **spec: Any) -> Any:
        """A StatefulSet that is created and whose pod is ready."""
        body = self.workload("StatefulSet", name, container or self.container(), **spec)
        self.apps.create_namespaced_stateful_set(self.namespace, body)
        return self.ready(name)

    def ready(self, name: str) -> Any:
        """The StatefulSet, once its pods are ready and of the newest revision."""

        def look() -> Any:
            found = self.apps.read_namespaced_stateful_set(name, self.namespace)
            status = found.status
            done = (
                status.observed_generation == found.metadata.generation
                and (status.replicas or 0) == found.spec.replicas
                and (status.ready_replicas or 0) == found.spec.replicas
                and (status.updated_replicas or 0) == found.spec.replicas
                and sum(map(_is_ready, self.pods(f"app={name}"))) == found.spec.replicas
            )
            return found if done else None

        return self.wait(look)

    def run(self, pod: str, *words: str) -> tuple[str, int]:
        """What a command in a pod's container says, and its exit code."""
        socket = stream(
            self.core.connect_get_namespaced_pod_exec,
            pod,
            self.namespace,
            command=list(words),
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        socket.run_forever(timeout=30)
        said, code = str(socket.read_stdout()), socket.returncode
        # The library's close() leaves the socket open once the server has said goodbye.
        socket.sock.shutdown()
        return said, int(code)

    def run_job(self, name: str, command: str, claim: str = "", **spec: Any) -> Any:
        """A Job that has ended, whichever way."""
        self.start_job(name, command, claim, **spec)
        return self.wait(lambda: self.ended(name))

    def start_job(self, name: str, command: str, claim: str = "", **spec: Any) -> None:
        """A Job that is tried once, created."""
        pod = self.template(name, self.container(command), claim, restartPolicy="Never")
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": pod, **spec},
        }
        self.batch.create_namespaced_job(self.namespace, body)

    def ended(self, name: str) -> Any:
        """The Job, once it has ended; None until then."""
        job = self.batch.read_namespaced_job(name, self.namespace)
        kinds = {each.type for each in job.status.conditions or [] if each.status == "True"}
        return job if kinds & {"Complete", "Failed"} else None

    def claim(self, name: str) -> str:
        """A claim on one gigabyte that pods of one node may write to; returns its name."""
        body = {"metadata": {"name": name}, "spec": self.claim_spec(name)}
        self.core.create_namespaced_persistent_volume_claim(self.namespace, body)
        return name

    def claim_spec(self, name: str) -> Json:
        """What such a claim asks for; where the cluster makes no volumes itself, one is made."""
        spec: Json = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        classes = client.StorageV1Api(self.api).list_storage_class().items
        notes = [each.metadata.annotations or {} for each in classes]
        if not any(each.get(DEFAULT_CLASS) == "true" for each in notes):
            spec["storageClassName"] = self._volume(name)
        return spec

    def _volume(self, name: str) -> str:
        """A directory of one node, for clusters that provide no volumes; its class's name."""
        full = f"{self.namespace}-{name}"
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self._node()]}
        body = {
            "metadata": {"name": full, "labels": labels()},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "hostPath": {"path": f"/tmp/{full}", "type": "DirectoryOrCreate"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": full,
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }
        self.core.create_persistent_volume(body)
        return full

    def _node(self) -> str:
        """A node that takes any pod: the control plane's often takes none."""
        for node in self.core.list_node().items:
            conditions = {each.type: each.status for each in node.status.conditions or []}
            closed = any(each.effect != "PreferNoSchedule" for each in node.spec.taints or [])
            if conditions.get("Ready") == "True" and not closed and not node.spec.unschedulable:
                return str(node.metadata.labels["kubernetes.io/hostname"])
        raise AssertionError("no node takes pods")

    def wait(self, look: Callable[[], T | None], timeout: float = 120) -> T:
        """What `look` returns once it is true; asserts that this happens in time."""
        deadline = time.monotonic() + timeout
        while not (found := look()):
            assert time.monotonic() < deadline, f"not within {timeout} s: {look}"
            time.sleep(0.1)
        return found


def _is_ready(pod: Any) -> bool:
    conditions = {each.type: each.status for each in pod.status.conditions or []}
    return conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None


def refusal(call: Callable[[], Any]) -> ApiException:
    """The error that `call` raises; asserts that it does."""
    try:
        call()
    except ApiException as error:
        return error
    raise AssertionError("it was not refused")
