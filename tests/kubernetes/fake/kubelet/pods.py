"""One pod on its node, from being scheduled until nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib

from tests.kubernetes.fake import events
from tests.kubernetes.fake.history import Ran
from tests.kubernetes.fake.kubelet.containers import ContainerRun
from tests.kubernetes.fake.kubelet.needs import missing_volume
from tests.kubernetes.fake.kubelet.scripts import script_for
from tests.kubernetes.fake.kubelet.statuses import Facts, phase_of, pod_status
from tests.kubernetes.fake.resources import PODS, Json
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.writing import mutate

_LOOK_AGAIN = 0.02
_MOUNT_AGAIN = 0.1


class PodRun:
    """Runs what one pod object says and writes down in its status how it goes."""

    def __init__(self, state: State, pod: Json, number: int) -> None:
        self.state = state
        self.object = pod
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.uid: str = pod["metadata"]["uid"]
        self.node: str = pod["spec"]["nodeName"]
        self._address = f"10.244.{number // 250}.{number % 250 + 2}"
        spec = pod["spec"]
        self.init = [
            ContainerRun(self, each, init=True) for each in spec.get("initContainers") or []
        ]
        self.containers = [ContainerRun(self, each) for each in spec["containers"]]
        self._networked = False
        self._initialized = not self.init
        self._final = False
        self._going = asyncio.Event()
        self._ran: Ran | None = None
        self._gone = False

    @property
    def grace(self) -> float:
        return float(self.object["metadata"].get("deletionGracePeriodSeconds", 30))

    async def live(self) -> None:
        work = asyncio.create_task(self._work())
        going = asyncio.create_task(self._going.wait())
        try:
            await asyncio.wait({work, going}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            await going
            await self._stop(work)
        finally:
            for task in (work, going):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            self.ended()

    def changed(self, pod: Json | None) -> None:
        """The object is another now, or gone."""
        if pod is None or pod["metadata"]["uid"] != self.uid:
            self._gone = True
            # Deleted by force: nobody waits for it, but it must end all the same.
            meta = {**self.object["metadata"], "deletionGracePeriodSeconds": 0.5}
            self.object = {**self.object, "metadata": meta}
        else:
            self.object = pod
        if self._gone or self.object["metadata"].get("deletionTimestamp"):
            self._going.set()

    async def _work(self) -> None:
        self.publish()
        await self._mount()
        self._networked = True
        for container in self.init:
            await container.live()
            ended = container.facts.ended
            if ended and ended["exitCode"] != 0:
                self._finish()
                return
        self._initialized = True
        self.publish()
        await asyncio.gather(*(each.live() for each in self.containers))
        if not self._going.is_set():
            self._finish()

    def _finish(self) -> None:
        self._final = True
        self.ended()
        self.publish()

    async def _mount(self) -> None:
        while (why := self._unmountable()) is not None:
            self.tell("FailedMount", why)
            await asyncio.sleep(_MOUNT_AGAIN)

    def _unmountable(self) -> str | None:
        for each in self.containers:
            script = script_for(self.state.scripts, self.object, each.spec)
            if script.mount_error is not None:
                return script.mount_error
        return missing_volume(self.state.store, self.object)

    async def _stop(self, work: asyncio.Task[None]) -> None:
        await self.reachable()
        running = [each for each in self.init + self.containers if each.facts.running]
        for container in running:
            self.tell("Killing", f"Stopping container {container.name}", container.name)
        for container in self.init + self.containers:
            container.stop()
        if running:
            await work
        else:
            work.cancel()
        self.ended()
        self._final = True
        self.publish()
        await asyncio.sleep(_LOOK_AGAIN)
        await self.reachable()
        self._let_go()

    def _let_go(self) -> None:
        """The last word of the kubelet: grace zero, so the object may go."""

        def no_grace(pod: Json) -> None:
            if pod["metadata"]["uid"] == self.uid:
                pod["metadata"]["deletionGracePeriodSeconds"] = 0

        if not self._gone:
            mutate(self.state.store, PODS, self.namespace, self.name, no_grace)

    def publish(self) -> None:
        """Writes the status, unless the node has no word with the server."""
        if self._gone or self.node in self.state.unreachable:
            return
        mutate(self.state.store, PODS, self.namespace, self.name, self._write_status)

    def _write_status(self, pod: Json) -> None:
        if pod["metadata"]["uid"] != self.uid:
            return
        init: list[Facts] = [each.facts for each in self.init]
        facts = [each.facts for each in self.containers]
        failed_init = self._final and not self._initialized
        told = self.state.readiness.get(self.name, True)
        for each in facts:
            each.ready = each.ready and each.running
        phase = "Failed" if failed_init else phase_of(facts, final=self._final)
        if self._final and self._going.is_set() and phase not in {"Succeeded", "Failed"}:
            phase = "Failed"
        shape = {
            "phase": phase,
            "networked": self._networked,
            "initialized": self._initialized,
            "ready": told,
            "node_ip": "10.244.255.1",
            "pod_ip": self._address,
        }
        pod["status"] = pod_status(pod, (init, facts), shape)

    def tell(self, reason: str, message: str, container: str = "") -> None:
        if self.node not in self.state.unreachable:
            store = self.state.store
            held = store.find(PODS, self.namespace, self.name)
            if held is not None:
                about = {"by": "kubelet", "node": self.node, "container": container}
                events.record(store, held, reason, message, **about)

    def began(self) -> None:
        """From now on its programs may write."""
        if self._ran is None:
            self._ran = self.state.history.began(self.object)

    def ended(self) -> None:
        if self._ran is not None and self._ran.end is None:
            self._ran.finish()

    async def reachable(self) -> None:
        while self.node in self.state.unreachable:
            await asyncio.sleep(_LOOK_AGAIN)

    async def released(self) -> None:
        while self.name not in self.state.released:
            await asyncio.sleep(_LOOK_AGAIN)
