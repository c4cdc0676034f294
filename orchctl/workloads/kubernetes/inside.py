"""Running a command in a running pod: asking it something, or reading a file out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.workloads.kubernetes.access import Need
from orchctl.workloads.kubernetes.kinds import POD
from orchctl.workloads.kubernetes.pods import PodFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from orchctl.workloads.kubernetes.client import Cluster

# A websocket is opened with GET, for which clusters before 1.35 want `get`; later ones `create`.
# https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
NEEDS = (Need("get", POD, "exec"), Need("create", POD, "exec"))

_PATIENCE = 20.0  # seconds without a word, for a short command
_NOT_STARTED = 127
_STDOUT, _ERROR = 1, 3  # channels of v4.channel.k8s.io


@dataclass(frozen=True)
class Ended:
    """How a command in a container ended.

    Attributes:
        code: Its exit code, 127 where it could not be started; None when the connection was lost,
            or never made.
        told: What the cluster says about that; "" where there is nothing to say.
    """

    code: int | None
    told: str = ""


def stream_inside(
    cluster: Cluster,
    pod: str,
    container: str,
    words: Sequence[str],
    take: Callable[[bytes], object],
    *,
    silence: float = _PATIENCE,
) -> Ended:
    """Run a command in a container and take what it prints as it comes.

    Args:
        cluster: The cluster.
        pod: The pod's name.
        container: The container's name.
        words: The command.
        take: Called with parts of its stdout.
        silence: Seconds without a word after which the connection counts as lost.
    """
    import urllib3
    import websocket
    from kubernetes import client
    from kubernetes.stream import stream

    api = client.CoreV1Api(client.ApiClient(cluster.connection.configuration))
    try:
        opened = stream(
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
        )
        try:
            return _followed(opened.sock, take, silence)
        finally:
            opened.sock.shutdown()
    except client.ApiException as error:
        return Ended(None, " ".join(str(error.reason).split())[:200])
    except (
        websocket.WebSocketException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
    ) as error:
        return Ended(None, " ".join(str(error).split())[:200])


def _followed(socket: Any, take: Callable[[bytes], object], silence: float) -> Ended:
    """Frame by frame: the client's own reader keeps all that is there in memory."""
    from websocket import ABNF, WebSocketConnectionClosedException

    socket.settimeout(silence)
    status = b""
    while True:
        try:
            code, frame = socket.recv_data_frame(True)
        except WebSocketConnectionClosedException:
            if status:
                break  # closed without a word, but all was said
            raise
        if code == ABNF.OPCODE_CLOSE:
            break
        if code not in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) or not frame.data:
            continue
        channel, data = frame.data[0], bytes(frame.data[1:])
        if channel == _STDOUT and data:
            take(data)
        elif channel == _ERROR:
            status += data
    return read_end(status)


def read_end(status: bytes) -> Ended:
    """What the error channel says of a command's end.

    Args:
        status: A `Status` as JSON; empty when the connection was closed before it came.
    """
    if not status:
        return Ended(None, "the connection was closed")
    found = json.loads(status)
    if found.get("status") == "Success":
        return Ended(0)
    told = str(found.get("message", ""))
    for cause in (found.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return Ended(int(cause["message"]), told)
    return Ended(_NOT_STARTED, told)


def execute(
    cluster: Cluster, pod: str, container: str, words: Sequence[str]
) -> tuple[int, str] | None:
    """Run a short command in a container.

    Args:
        cluster: The cluster.
        pod: The pod's name.
        container: The container's name.
        words: The command.

    Returns:
        Its exit code and what it printed on stdout; None when it could not be run, or did not end.
    """
    said = bytearray()
    ended = stream_inside(cluster, pod, container, words, said.extend)
    return None if ended.code is None else (ended.code, said.decode("utf-8", "replace"))


def revision_inside(
    cluster: Cluster, pods: Collection[PodFacts], only: str | None = None
) -> str | None:
    """The revision of the database that a ready pod uses, as the orchctl in it says.

    Args:
        cluster: The cluster.
        pods: The pods that may be asked.
        only: The container to ask; None asks each but those that run first.

    Returns:
        The revision, "" at base; None when no pod can tell.
    """
    for pod in (one for one in pods if one.ready and not one.terminating):
        for container in (one for one in pod.containers if not one.first):
            if only not in (None, container.name):
                continue
            said = execute(cluster, pod.name, container.name, ("orchctl", "current", "--json"))
            if said is None:
                continue
            try:
                found = json.loads(said[1])
                return ",".join(found["revisions"])
            except (ValueError, KeyError, TypeError):
                continue
    return None
