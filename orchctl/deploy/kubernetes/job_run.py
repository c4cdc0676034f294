"""Running a Job on the claim: made once, its log told as it comes, its answer read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orchctl.deploy.kubernetes.job import read_answer
from orchctl.errors import OrchctlError, TimedOut, WorkloadFailed
from orchctl.workloads.kubernetes.kinds import JOB, POD, Object, name_of
from orchctl.workloads.kubernetes.logs import Wanted, lines_of
from orchctl.workloads.kubernetes.pods import ContainerState, read_pod, trouble_of, why_not_ready
from orchctl.workloads.kubernetes.sharers import is_over
from orchctl.workloads.kubernetes.watching import Picture, Source, picture

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

Told = Callable[[str], None]
_REMEDIES = {
    "OOMKilled": "kubectl set resources {target} -c {container} --limits=memory=2Gi gives it more "
    "memory",
    "DeadlineExceeded": "--job-timeout gives it longer",
}
_HOPELESS = ("image-pull", "container-config")
# Seconds: between two looks at what a log has brought, and for its end once the Job is over.
_LISTENED, _LAST_WORDS = 0.1, 5.0


@dataclass(frozen=True)
class JobEnd:
    """How a Job ended.

    Attributes:
        answer: The JSON object that its command printed; None when it said nothing that can be
            read: it was killed, or its node is gone.
        exit_code: Of its container; None when that is not known.
        lines: The last lines of its log.
        reason: Kubernetes' word for why it was ended: `OOMKilled`, `DeadlineExceeded`; "" where it
            ended by itself.
    """

    answer: dict[str, Any] | None
    exit_code: int | None
    lines: tuple[str, ...]
    reason: str = ""

    @property
    def told(self) -> str:
        """How it ended, for a message."""
        return self.reason or f"exit code {self.exit_code}"

    def remedy(self, target: str, container: str) -> str:
        """What lets it end by itself; "" where nothing is known to."""
        return _REMEDIES.get(self.reason, "").format(target=target, container=container)


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


def follow_job(
    cluster: Cluster,
    name: str,
    *,
    deadline: float,
    on_line: Told,
    patience: float | None = None,
) -> JobEnd:
    """Wait until a Job has ended, and tell what it prints meanwhile.

    Args:
        cluster: The cluster.
        name: Of the Job.
        deadline: A time of the monotonic clock.
        on_line: Called with what it prints, and with what is waited for.
        patience: Seconds for its pod to run, and to go once it is told to; None means until then.

    Raises:
        WorkloadFailed: `job-not-started`: its image can't be had.
        TimedOut: `job-timeout`, also when its pod does not go; `job-not-started`: it had no pod
            that ran.
    """
    pods = Source(POD, labels=f"job-name={name}")
    with picture(cluster, Source(JOB, fields=f"metadata.name={name}"), pods) as kept:
        return _Follower(cluster, name, kept, deadline, on_line, patience).ended()


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


def remove_job(cluster: Cluster, name: str, *, deadline: float) -> bool:
    """Delete a Job, and wait until no pod of it is left.

    Returns:
        Whether a pod of it that was still there has, or may have, run.

    Raises:
        TimedOut: `job-pod-stays`.
    """
    pods = Source(POD, labels=f"job-name={name}")
    with picture(cluster, Source(JOB, fields=f"metadata.name={name}"), pods) as kept:
        seen: set[str] = set()
        for found in kept.objects[0].values():
            cluster.delete(JOB, name, uid=found["metadata"]["uid"], propagation="Foreground")
        while kept.objects[0] or kept.objects[1]:
            seen |= set(kept.objects[1])
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"Job {name} and its pods do not go",
                    code="job-pod-stays",
                    hint="Is its node still there? kubectl get nodes",
                    details={"pods": [name_of(one) for one in kept.objects[1].values()]},
                )
            kept.update(left)
        last = kept.gone[1]
    # One whose end was missed, because the watch was cut off, may have run.
    return any(uid not in last or _has_run(last[uid]) for uid in seen | set(last))


def _has_run(pod: Object) -> bool:
    return any(one.begun for one in read_pod(pod).containers)


class _Log:
    """A pod's log, followed by a thread of its own: of a node that is away nothing ever comes."""

    def __init__(self, cluster: Cluster, pod: Object) -> None:
        self._cluster, self._pod = cluster, pod
        self._heard: SimpleQueue[str | None] = SimpleQueue()
        self.over = False
        threading.Thread(target=self._follow, name="log", daemon=True).start()

    def _follow(self) -> None:
        try:
            for line in lines_of(self._cluster, self._pod, Wanted(follow=True)):
                self._heard.put(line.text)
        except OrchctlError as error:
            # A lost log is no reason to end anything.
            self._heard.put(f"The log of {name_of(self._pod)} can't be followed: {error.message}")
        self._heard.put(None)

    def next(self, seconds: float) -> str | None:
        """The next line; None when none came within so many seconds, or it is over."""
        if self.over:
            return None
        try:
            found = self._heard.get(timeout=seconds) if seconds > 0 else self._heard.get_nowait()
        except Empty:
            return None
        self.over = found is None
        return found


class _Follower:
    def __init__(
        self,
        cluster: Cluster,
        name: str,
        kept: Picture,
        deadline: float,
        on_line: Told,
        patience: float | None = None,
    ) -> None:
        self._cluster, self._name, self._kept = cluster, name, kept
        self._deadline, self._tell = deadline, on_line
        left = deadline - time.monotonic()
        self._patience = left if patience is None else patience
        self._starts_by = min(deadline, time.monotonic() + self._patience)
        self._goes_by: float | None = None
        self._line, self._streamed = "", ""
        self._log: _Log | None = None
        self._lines: list[str] = []
        self._quiet = False

    def ended(self) -> JobEnd:
        while True:
            job = next(iter(self._kept.objects[0].values()), None)
            if job is None:
                return JobEnd(None, None, tuple(self._lines))
            pod = next(iter(self._kept.objects[1].values()), None)
            if pod is not None and _began(pod) and self._streamed != pod["metadata"]["uid"]:
                self._streamed = pod["metadata"]["uid"]
                self._log = _Log(self._cluster, pod)
                if not self._line:  # it ran before anybody waited for it
                    self._tell(f"Job {self._name} runs")
            self._hear(_LAST_WORDS if is_over(job) else 0.0)
            if is_over(job):
                return self._end(job, pod)
            self._wait(pod)

    def _hear(self, seconds: float) -> None:
        """Tell what it has printed meanwhile, up to the answer."""
        until = time.monotonic() + seconds
        while self._log and (text := self._log.next(until - time.monotonic())) is not None:
            self._lines.append(text)
            self._quiet = self._quiet or text.startswith("{")
            if not self._quiet:
                self._tell(text)

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
        told, leaving = self._awaited(pod)
        if told != self._line and (leaving or not self._streamed):
            self._tell(told)
        self._line = told
        left = self._until(pod, leaving=leaving) - time.monotonic()
        if left <= 0:
            raise self._too_late(pod, leaving=leaving)
        listening = self._log is not None and not self._log.over
        self._kept.update(min(left, _LISTENED) if listening else left)

    def _until(self, pod: Object | None, *, leaving: bool) -> float:
        if not leaving or pod is None:
            return self._deadline if self._streamed else self._starts_by
        if self._goes_by is None:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            self._goes_by = min(self._deadline, time.monotonic() + self._patience + grace)
        return self._goes_by

    def _awaited(self, pod: Object | None) -> tuple[str, bool]:
        """What is waited for; and whether it is the end of a pod that was told to go."""
        told = f"Waiting for Job {self._name}"
        if pod is None:
            return told, False
        facts = read_pod(pod)
        if facts.terminating:
            return f"{told}: {facts.name} is to go, and still there on {facts.node}", True
        return told if _began(pod) else f"{told}: {why_not_ready(facts)}", False

    def _too_late(self, pod: Object | None, *, leaving: bool) -> TimedOut:
        if leaving and pod is not None:
            return TimedOut(
                f"The pod of Job {self._name} does not go",
                code="job-timeout",
                hint=f"Is its node still there? kubectl get node {read_pod(pod).node}",
            )
        if self._streamed:
            told = f"Job {self._name} has not ended in time"
            return TimedOut(told, code="job-timeout", hint="--job-timeout gives it longer")
        why = "no pod was made for it" if pod is None else why_not_ready(read_pod(pod))
        return TimedOut(
            f"Job {self._name} has not started in time: {why}",
            code="job-not-started",
            hint="kubectl describe nodes shows what room there is; --timeout gives it longer",
        )

    def _require_hope(self, pod: Object | None) -> None:
        trouble = None if pod is None else trouble_of(read_pod(pod))
        if trouble is not None and trouble.kind in _HOPELESS:
            raise WorkloadFailed(
                f"Job {self._name} can't start: {trouble}",
                code="job-not-started",
                hint="Is the image right, and may the cluster pull it?",
                details={"reason": trouble.reason, "message": trouble.message},
            )

    def _end(self, job: Object, pod: Object | None) -> JobEnd:
        lines = list(self._printed(pod)) or self._lines
        state = None if pod is None else _state(pod)
        code = state.exit_code if state else None
        reasons = [state.ended_reason] if state else []
        reasons += [one.get("reason", "") for one in job["status"].get("conditions") or ()]
        why = next((one for one in reasons if one in _REMEDIES), "")
        return JobEnd(read_answer(lines), code, tuple(lines[-20:]), why)

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
