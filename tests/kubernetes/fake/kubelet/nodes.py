"""The kubelets of all nodes: a run for every pod that was given a node."""

from __future__ import annotations

import asyncio
import itertools
import traceback

from tests.kubernetes.fake.kubelet.pods import PodRun
from tests.kubernetes.fake.resources import PODS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Change


class Kubelets:
    """Starts a run for each scheduled pod and tells it what becomes of its object."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.runs: dict[str, PodRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)

    def start(self) -> None:
        self.state.store.listeners.append(self._changed)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def run_of(self, namespace: str, name: str) -> PodRun | None:
        pod = self.state.store.find(PODS, namespace, name)
        return self.runs.get(pod["metadata"]["uid"]) if pod else None

    def _changed(self, change: Change) -> None:
        if change.resource is not PODS:
            return
        uid = change.object["metadata"]["uid"]
        run = self.runs.get(uid)
        if run is not None:
            run.changed(None if change.kind == "DELETED" else change.object)
        elif change.kind != "DELETED" and change.object["spec"].get("nodeName"):
            self._begin(change.object)

    def _begin(self, pod: Json) -> None:
        run = PodRun(self.state, pod, next(self._numbers))
        self.runs[run.uid] = run
        task = asyncio.get_running_loop().create_task(self._live(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, run: PodRun) -> None:
        # What happened to the object before this task got its turn.
        run.changed(self.state.store.find(PODS, run.namespace, run.name))
        try:
            await run.live()
        except Exception:  # noqa: BLE001 (kept for the test to see)
            self.state.troubles.append(traceback.format_exc())
        finally:
            self.runs.pop(run.uid, None)
