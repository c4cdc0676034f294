"""What the containers of pods print: line by line, as it comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from orchctl.config import masked_url
from orchctl.errors import NegativeAnswer, OrchctlError, TimedOut, UsageError
from orchctl.workloads.kubernetes.client import Away
from orchctl.workloads.kubernetes.kinds import DEFAULT_CONTAINER, POD, Object
from orchctl.workloads.kubernetes.pods import read_pod
from orchctl.workloads.kubernetes.refusal import Refused, translated

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

_SILENCE = 30.0  # seconds in which a server sends the lines that are there
_PAUSE = 0.3


@dataclass(frozen=True)
class Wanted:
    """Which lines.

    Attributes:
        container: Of which container; None means the pod's default one, else its first.
        previous: Of the container before its last restart.
        since: Only from so many seconds ago on; None means all.
        tail: Only the last so many that are there; None means all.
        follow: Go on with what comes, until the container ends.
    """

    container: str | None = None
    previous: bool = False
    since: float | None = None
    tail: int | None = None
    follow: bool = False


@dataclass(frozen=True)
class Line:
    """A line, and the pod that printed it."""

    pod: str
    text: str


def lines_of(cluster: Cluster, pod: Object, wanted: Wanted) -> Iterator[Line]:
    """The lines of one pod's container, passwords in URLs masked.

    A connection that is lost while following is taken up again where it was lost.

    Raises:
        UsageError: `no-such-container`.
        NegativeAnswer: `no-log`: it has not started, or there was no earlier one.
        OrchctlError: As Cluster does.
    """
    name = pod["metadata"]["name"]
    container = _container(pod, wanted.container)
    query, last, until = _query(container, wanted), "", cluster.gives_up_at()
    while True:
        for stamp, text in _stamped(cluster, name, query, last, until):
            last, until = stamp, cluster.gives_up_at()
            yield Line(name, text)
        if not wanted.follow or not _goes_on(cluster, pod, container):
            return
        time.sleep(_PAUSE)
        if last:
            query = {**query, "sinceTime": last}
            query.pop("tailLines", None)
            query.pop("sinceSeconds", None)


def lines_of_all(
    cluster: Cluster, pods: Collection[Object], wanted: Wanted, timeout: float | None
) -> Iterator[Line]:
    """The lines of several pods, as they come; without following one pod after the other.

    Args:
        cluster: The cluster.
        pods: The pods.
        wanted: Which lines.
        timeout: Seconds to follow; None means without end.

    Raises:
        TimedOut: `log-timeout`.
        OrchctlError: As `lines_of` does.
    """
    if not wanted.follow:
        for pod in pods:
            yield from lines_of(cluster, pod, wanted)
        return
    heard: SimpleQueue[Line | OrchctlError | None] = SimpleQueue()
    for pod in pods:
        threading.Thread(target=_pass_on, args=(cluster, pod, wanted, heard), daemon=True).start()
    deadline, left = None if timeout is None else time.monotonic() + timeout, len(pods)
    while left:
        try:
            one = heard.get(timeout=deadline and max(0.0, deadline - time.monotonic()))
        except Empty:
            told, hint = f"It was not printed within {timeout:g}s", "--timeout waits longer"
            raise TimedOut(told, code="log-timeout", hint=hint) from None
        if isinstance(one, OrchctlError):
            raise one
        if one is None:
            left -= 1
        else:
            yield one


def _pass_on(
    cluster: Cluster,
    pod: Object,
    wanted: Wanted,
    heard: SimpleQueue[Line | OrchctlError | None],
) -> None:
    try:
        for line in lines_of(cluster, pod, wanted):
            heard.put(line)
    except OrchctlError as error:
        heard.put(error)
    heard.put(None)


def _container(pod: Object, wanted: str | None) -> str:
    spec, metadata = pod["spec"], pod["metadata"]
    names = [one["name"] for one in (*spec["containers"], *spec.get("initContainers", ()))]
    chosen = wanted or metadata.get("annotations", {}).get(DEFAULT_CONTAINER) or names[0]
    if chosen not in names:
        raise UsageError(
            f"pod/{metadata['name']} has no container {chosen}",
            code="no-such-container",
            hint=f"--container {' or '.join(names)}",
        )
    return str(chosen)


def _query(container: str, wanted: Wanted) -> dict[str, str]:
    query = {"container": container, "timestamps": "true"}
    if wanted.previous:
        query["previous"] = "true"
    if wanted.follow:
        query["follow"] = "true"
    if wanted.since is not None:
        query["sinceSeconds"] = str(max(1, round(wanted.since)))
    if wanted.tail is not None:
        query["tailLines"] = str(wanted.tail)
    return query


def _stamped(
    cluster: Cluster, pod: str, query: dict[str, str], last: str, until: float
) -> Iterator[tuple[str, str]]:
    """Lines with the moment each was printed, those up to `last` left out."""
    silence = None if "follow" in query else _SILENCE
    try:
        with cluster.stream(POD.path(cluster.namespace, pod, "log"), query, silence) as lines:
            for raw in lines:
                stamp, _, text = raw.decode(errors="replace").rstrip("\r").partition(" ")
                if stamp > last:
                    yield stamp, masked_url(text)
    except Refused as error:
        refusal = error.refusal
        if refusal.status == 404 and last:
            return  # it went away while it was followed
        if refusal.status == 400:
            raise NegativeAnswer(
                f"pod/{pod} has no such log: {refusal.message}",
                code="no-log",
                hint=f"orchctl k8s status pod/{pod} shows how it is",
            ) from error
        if not refusal.transient or time.monotonic() >= until:
            raise translated(refusal, cluster.connection.host) from error
    except Away as error:
        if time.monotonic() >= until:
            raise cluster.away(error) from error


def _goes_on(cluster: Cluster, pod: Object, container: str) -> bool:
    """Whether the very container goes on: its log ended because the connection was lost."""
    now = cluster.find(POD, pod["metadata"]["name"])
    if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
        return False
    states = {one.name: one for one in read_pod(now).containers}
    state = states.get(container)
    return state is None or state.state != "terminated"
