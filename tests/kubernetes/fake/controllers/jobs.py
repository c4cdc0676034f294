"""Jobs: pods until one succeeds, too many fail, or the deadline passes."""

from __future__ import annotations

import time

from tests.kubernetes.fake import events
from tests.kubernetes.fake.controllers.loop import soonest
from tests.kubernetes.fake.controllers.owned import (
    condition_of,
    create_pod,
    delete_pod,
    is_going,
    is_over,
    is_ready,
    owned,
    pod_from,
)
from tests.kubernetes.fake.moments import seconds_since, stamp
from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import JOBS, PODS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import DeleteOptions, delete, mutate

_BY = "job-controller"
TRACKING = "batch.kubernetes.io/job-tracking"
# The real controller waits 10 s before the second pod, then twice as long.
_RETRY = 0.1
_SUCCEEDED = ("CompletionsReached", "Reached expected number of succeeded pods")
_TOO_MANY = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_TOO_LATE = ("DeadlineExceeded", "Job was active longer than specified deadline")


def reconcile(state: State) -> float | None:
    again: float | None = None
    for job in state.store.all(JOBS):
        again = soonest(again, _Sync(state.store, job).step())
    return again


class _Sync:
    def __init__(self, store: Store, job: Json) -> None:
        self.store = store
        self.job = job
        self.meta = job["metadata"]
        self.spec = job["spec"]
        self.pods = owned(store, PODS, job)
        self.again: float | None = None

    def step(self) -> float | None:
        if is_going(self.job):
            self._untrack(self.pods)
        elif self._ended():
            self._untrack(self.pods)
            self._expire()
        elif self.spec.get("suspend"):
            for pod in self._active():
                self._drop(pod)
        else:
            self._work()
        return self.again

    def _ended(self) -> bool:
        kinds = ("Complete", "Failed")
        return any((condition_of(self.job, kind) or {}).get("status") == "True" for kind in kinds)

    def _active(self) -> list[Json]:
        return [each for each in self.pods if not is_over(each) and not is_going(each)]

    def _going(self) -> list[Json]:
        return [each for each in self.pods if is_going(each) and not is_over(each)]

    def _of_phase(self, phase: str) -> list[Json]:
        return [each for each in self.pods if each["status"].get("phase") == phase]

    def _work(self) -> None:
        if "startTime" not in self.job["status"]:
            self._write({"startTime": stamp()})
        target = condition_of(self.job, "FailureTarget")
        success = condition_of(self.job, "SuccessCriteriaMet")
        if target is not None:
            self._finish_failing(target)
        elif success is not None:
            self._end("Complete", _SUCCEEDED)
        elif len(self._of_phase("Succeeded")) >= (self.spec.get("completions") or 1):
            uncounted = [each["metadata"]["uid"] for each in self._of_phase("Succeeded")]
            self._aim("SuccessCriteriaMet", _SUCCEEDED, {"succeeded": uncounted})
        elif self._late():
            self._fail(_TOO_LATE)
        elif self._failures() > self.spec["backoffLimit"]:
            self._fail(_TOO_MANY)
        else:
            self._keep_going()

    def _failures(self) -> int:
        restarts = 0
        if self.spec["template"]["spec"]["restartPolicy"] == "OnFailure":
            restarts = sum(
                status["restartCount"]
                for pod in self.pods
                for status in pod["status"].get("containerStatuses") or []
            )
        # A pod that was told to go counts at once, however it is going to end.
        return len(self._of_phase("Failed")) + len(self._going()) + restarts + self._lost()

    def _lost(self) -> int:
        """Pods deleted under the Job count as failed once they are gone."""
        counted = int(self.job["status"].get("failed", 0))
        return max(0, counted - len(self._of_phase("Failed")))

    def _late(self) -> bool:
        limit = self.spec.get("activeDeadlineSeconds")
        if limit is None or "startTime" not in self.job["status"]:
            return False
        left = limit - seconds_since(self.job["status"]["startTime"])
        if left > 0:
            self.again = soonest(self.again, left)
        return left <= 0

    def _keep_going(self) -> None:
        wanted = min(
            self.spec["parallelism"],
            (self.spec.get("completions") or 1) - len(self._of_phase("Succeeded")),
        )
        missing = wanted - len(self._active()) - len(self._going())
        if missing > 0 and self._retry_wait() <= 0:
            for _ in range(missing):
                self._add()
            self.pods = owned(self.store, PODS, self.job)
        self._write(self._counts())

    def _retry_wait(self) -> float:
        failed = self._of_phase("Failed")
        if not failed:
            return 0
        wait = _RETRY * 2 ** min(len(failed) - 1, 5)
        left = wait - (time.monotonic() - self.store.written_at(failed[-1]))
        if left > 0:
            self.again = soonest(self.again, left)
        return left

    def _add(self) -> None:
        pod = pod_from(self.spec["template"], self.job)
        pod["metadata"]["finalizers"] = [TRACKING]
        made = create_pod(self.store, pod)
        if made is not None:
            self._tell("SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _drop(self, pod: Json) -> None:
        delete_pod(self.store, pod)
        self._tell("SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _fail(self, why: tuple[str, str]) -> None:
        active = self._active()
        counted = self._of_phase("Failed") + self._going() + active
        failed = [each["metadata"]["uid"] for each in counted]
        for pod in active:
            self._drop(pod)
        self.pods = owned(self.store, PODS, self.job)
        self._aim("FailureTarget", why, {"failed": failed})
        self._tell(*why)

    def _aim(self, kind: str, why: tuple[str, str], uncounted: Json) -> None:
        """First the goal is written down, then the pods are counted, then it has ended."""
        going = len(self._going())
        counted = {"terminating": going, "uncountedTerminatedPods": uncounted, "ready": 0}
        self._write(counted, (kind, why))
        self._untrack(self.pods)

    def _finish_failing(self, target: Json) -> None:
        counted = self._counts()
        uncounted = self.job["status"].get("uncountedTerminatedPods") or {}
        before = int(self.job["status"].get("failed", 0))
        counted["failed"] = before + len(uncounted.get("failed", []))
        counted.pop("active", None)
        if self._going():
            self._write(counted)
        else:
            self._end("Failed", (target["reason"], target["message"]), counted)

    def _end(self, kind: str, why: tuple[str, str], counted: Json | None = None) -> None:
        counted = counted or self._counts()
        if kind == "Complete":
            counted["completionTime"] = stamp()
            self._tell("Completed", "Job completed")
        self._write(counted, (kind, why))

    def _counts(self) -> Json:
        active = self._active()
        counted: Json = {
            "terminating": len(self._going()),
            "uncountedTerminatedPods": {},
            "ready": sum(is_ready(each) for each in active),
        }
        numbers = {
            "active": len(active),
            "succeeded": len(self._of_phase("Succeeded")),
            "failed": len(self._of_phase("Failed")),
        }
        return counted | {key: value for key, value in numbers.items() if value}

    def _write(self, counted: Json, met: tuple[str, tuple[str, str]] | None = None) -> None:
        def change(body: Json) -> None:
            before = body["status"]
            kept = ("conditions", "startTime", "completionTime")
            after = {key: before[key] for key in kept if key in before}
            if met is not None:
                kind, (reason, message) = met
                fresh = {"type": kind, "status": "True", "lastProbeTime": stamp()}
                fresh |= {"lastTransitionTime": stamp(), "reason": reason, "message": message}
                after["conditions"] = [*(before.get("conditions") or []), fresh]
            body["status"] = after | counted

        self.job = (
            mutate(self.store, JOBS, self.meta["namespace"], self.meta["name"], change) or self.job
        )

    def _untrack(self, pods: list[Json]) -> None:
        def change(pod: Json) -> None:
            held = pod["metadata"].get("finalizers") or []
            left = [each for each in held if each != TRACKING]
            pod["metadata"].pop("finalizers", None)
            if left:
                pod["metadata"]["finalizers"] = left

        for pod in pods:
            if TRACKING in (pod["metadata"].get("finalizers") or []):
                mutate(self.store, PODS, self.meta["namespace"], pod["metadata"]["name"], change)

    def _expire(self) -> None:
        ttl = self.spec.get("ttlSecondsAfterFinished")
        if ttl is None:
            return
        ended = self.job["status"]["conditions"][-1]["lastTransitionTime"]
        left = ttl - seconds_since(ended)
        if left > 0:
            self.again = soonest(self.again, left)
            return
        options = DeleteOptions(propagation="Background")
        try:
            delete(self.store, JOBS, self.meta["namespace"], self.meta["name"], options)
        except Refused:
            return

    def _tell(self, reason: str, said: str) -> None:
        events.record(self.store, self.job, reason, said, by=_BY)
