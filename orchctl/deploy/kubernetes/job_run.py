"""Running a Job on the claim: made once, its log told as it comes, its answer read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchctl.deploy.kubernetes.job import read_answer
from orchctl.errors import OrchctlError, TimedOut, WorkloadFailed
from orchctl.workloads.kubernetes.kinds import JOB, POD, Object, name_of
from orchctl.workloads.kubernetes.logs import Wanted, lines_of, lines_of_all
from orchctl.workloads.kubernetes.pods import ContainerState, read_pod, trouble_of, why_not_ready
from orchctl.workloads.kubernetes.sharers import is_over
from orchctl.workloads.kubernetes.watching import Picture, Source, picture

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

Told = Callable[[str], None]
_HOPELESS = ("image-pull", "container-config")


@dataclass(frozen=True)
class JobEnd:
    """How a Job ended.

    Attributes:
        answer: The JSON object that its command printed; None when it said nothing that can be
            read: it was killed, or its node is gone.
        exit_code: Of its container; None when that is not known.
        lines: The last lines of its log.
    """

    answer: dict[str, Any] | None
    exit_code: int | None
    lines: tuple[str, ...]


def make_job(cluster: Cluster, body: Object) -> Object:
    """Create a Job, or take the one of that name that is there already."""
    found = cluster.find(JOB, name_of(body))
    if found is not None:
        return found
    try:
        return cluster.create(JOB, body)
    except OrchctlError as error:
        # The answer may have been lost, and the Job be there all the same.
        if error.code not in ("cluster-away", "cluster-conflict", "cluster-trouble"):
            raise
        found = cluster.find(JOB, name_of(body))
        if found is None:
            raise
        return found


def follow_job(cluster: Cluster, name: str, *, deadline: float, on_line: Told) -> JobEnd:
    """Wait until a Job has ended, and tell what it prints meanwhile.

    Args:
        cluster: The cluster.
        name: Of the Job.
        deadline: A time of the monotonic clock.
        on_line: Called with what it prints, and with what is waited for.

    Raises:
        WorkloadFailed: `job-not-started`: its image can't be had.
        TimedOut: `job-timeout`; `job-not-started`: it had no pod that ran.
    """
    pods = Source(POD, labels=f"job-name={name}")
    with picture(cluster, Source(JOB, fields=f"metadata.name={name}"), pods) as kept:
        return _Follower(cluster, name, kept, deadline, on_line).ended()


def hold_job(cluster: Cluster, name: str, *, deadline: float, on_line: Told) -> Object:
    """Wait until a Job's pod runs: one that is there to be asked.

    Args:
        cluster: The cluster.
        name: Of the Job.
        deadline: A time of the monotonic clock.
        on_line: Called with what is waited for.

    Returns:
        The pod.

    Raises:
        WorkloadFailed: `job-not-started`: its image can't be had, or it ended at once.
        TimedOut: `job-not-started`.
    """
    pods = Source(POD, labels=f"job-name={name}")
    with picture(cluster, Source(JOB, fields=f"metadata.name={name}"), pods) as kept:
        return _Follower(cluster, name, kept, deadline, on_line).running()


def remove_job(cluster: Cluster, name: str, *, deadline: float) -> None:
    """Delete a Job, and wait until no pod of it is left.

    Raises:
        TimedOut: `job-pod-stays`.
    """
    found = cluster.find(JOB, name)
    if found is not None:
        cluster.delete(JOB, name, uid=found["metadata"]["uid"], propagation="Foreground")
    pods = Source(POD, labels=f"job-name={name}")
    with picture(cluster, Source(JOB, fields=f"metadata.name={name}"), pods) as kept:
        while kept.objects[0] or kept.objects[1]:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"Job {name} and its pods do not go",
                    code="job-pod-stays",
                    hint="Is its node still there? kubectl get nodes",
                    details={"pods": [name_of(one) for one in kept.objects[1].values()]},
                )
            kept.update(left)


class _Follower:
    def __init__(
        self, cluster: Cluster, name: str, kept: Picture, deadline: float, on_line: Told
    ) -> None:
        self._cluster, self._name, self._kept = cluster, name, kept
        self._deadline, self._tell = deadline, on_line
        self._line, self._streamed = "", ""
        self._lines: list[str] = []

    def ended(self) -> JobEnd:
        while True:
            job = next(iter(self._kept.objects[0].values()), None)
            if job is None:
                return JobEnd(None, None, tuple(self._lines))
            pod = next(iter(self._kept.objects[1].values()), None)
            if pod is not None and _began(pod) and self._streamed != pod["metadata"]["uid"]:
                self._streamed = pod["metadata"]["uid"]
                self._stream(pod)
                self._kept.update(0.0)
                continue
            if is_over(job):
                return self._end(pod)
            self._wait(pod)

    def running(self) -> Object:
        while True:
            job = next(iter(self._kept.objects[0].values()), None)
            pod = next(iter(self._kept.objects[1].values()), None)
            state = None if pod is None else _state(pod)
            if pod is not None and state is not None and state.state == "running":
                return pod
            if job is None or is_over(job):
                raise WorkloadFailed(
                    f"Job {self._name} ended before it could be asked",
                    code="job-not-started",
                    details={"exit_code": state.exit_code if state else None},
                )
            self._wait(pod)

    def _wait(self, pod: Object | None) -> None:
        self._require_hope(pod)
        told = f"Waiting for Job {self._name}"
        if pod is not None and not _began(pod):
            told += f": {why_not_ready(read_pod(pod))}"
        if told != self._line and not self._streamed:
            self._tell(told)
        self._line = told
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(
                f"Job {self._name} has not {'ended' if self._streamed else 'started'} in time",
                code="job-timeout" if self._streamed else "job-not-started",
                hint="--job-timeout gives it longer",
            )
        self._kept.update(left)

    def _require_hope(self, pod: Object | None) -> None:
        trouble = None if pod is None else trouble_of(read_pod(pod))
        if trouble is not None and trouble.kind in _HOPELESS:
            raise WorkloadFailed(
                f"Job {self._name} can't start: {trouble}",
                code="job-not-started",
                hint="Is the image right, and may the cluster pull it?",
                details={"reason": trouble.reason, "message": trouble.message},
            )

    def _stream(self, pod: Object) -> None:
        """Tell what it prints, up to the answer; a lost log is no reason to end anything."""
        left, quiet = max(1.0, self._deadline - time.monotonic()), False
        try:
            for line in lines_of_all(self._cluster, [pod], Wanted(follow=True), left):
                self._lines.append(line.text)
                quiet = quiet or line.text.startswith("{")
                if not quiet:
                    self._tell(line.text)
        except OrchctlError as error:
            self._tell(f"The log of Job {self._name} can't be followed: {error.message}")

    def _end(self, pod: Object | None) -> JobEnd:
        lines = list(self._printed(pod)) or self._lines
        state = None if pod is None else _state(pod)
        code = state.exit_code if state else None
        return JobEnd(read_answer(lines), code, tuple(lines[-20:]))

    def _printed(self, pod: Object | None) -> Iterator[str]:
        if pod is None:
            return
        try:
            for line in lines_of(self._cluster, pod, Wanted()):
                yield line.text
        except OrchctlError:
            return  # what was followed must do


def _state(pod: Object) -> ContainerState | None:
    return next(iter(read_pod(pod).containers), None)


def _began(pod: Object) -> bool:
    state = _state(pod)
    return state is not None and state.state in ("running", "terminated")
