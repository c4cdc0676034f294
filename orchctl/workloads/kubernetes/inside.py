"""Asking a running pod, by running a command in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchctl.workloads.kubernetes.pods import PodFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchctl.workloads.kubernetes.client import Cluster

_PATIENCE = 20  # seconds for one command


def execute(
    cluster: Cluster, pod: str, container: str, words: Sequence[str]
) -> tuple[int, str] | None:
    """Run a command in a container.

    Args:
        cluster: The cluster.
        pod: The pod's name.
        container: The container's name.
        words: The command.

    Returns:
        Its exit code and what it printed on stdout; None when it could not be run, or did not end.
    """
    import urllib3
    import websocket
    from kubernetes import client
    from kubernetes.stream import stream

    api = client.CoreV1Api(client.ApiClient(cluster.connection.configuration))
    try:
        answer = stream(
            api.connect_get_namespaced_pod_exec,
            pod,
            cluster.namespace,
            container=container,
            command=list(words),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
            _request_timeout=_PATIENCE,
        )
        try:
            answer.run_forever(timeout=_PATIENCE)
            code = answer.returncode
            return None if code is None else (int(code), str(answer.read_stdout(timeout=0) or ""))
        finally:
            answer.close()
    except (
        client.ApiException,
        websocket.WebSocketException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ):
        return None


def revision_inside(cluster: Cluster, pods: Collection[PodFacts]) -> str | None:
    """The revision of the database that a ready pod uses, as the orchctl in it says.

    Returns:
        The revision, "" at base; None when no pod can tell.
    """
    for pod in (one for one in pods if one.ready and not one.terminating):
        for container in (one for one in pod.containers if not one.first):
            said = execute(cluster, pod.name, container.name, ("orchctl", "current", "--json"))
            if said is None:
                continue
            try:
                found = json.loads(said[1])
                return ",".join(found["revisions"])
            except (ValueError, KeyError, TypeError):
                continue
    return None
