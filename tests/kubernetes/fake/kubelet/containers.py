"""One container's life: image, start, readiness, end, and starting again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.kubernetes.fake.kubelet.needs import missing_configuration
from tests.kubernetes.fake.kubelet.processes import (
    Process,
    answers,
    localized,
    localized_words,
)
from tests.kubernetes.fake.kubelet.scripts import Script, script_for
from tests.kubernetes.fake.kubelet.statuses import Facts
from tests.kubernetes.fake.logs import Output
from tests.kubernetes.fake.resources import Json

if TYPE_CHECKING:
    from tests.kubernetes.fake.kubelet.pods import PodRun

_KILLED = 137
# What a kubelet says it waits, whatever it really waits here.
_FIRST_BACKOFF, _LONGEST_BACKOFF = 10, 300
_ASK_AGAIN = 0.2
_PROBE_AGAIN = 0.05


class ContainerRun:
    """Starts one container of a pod as often as its restart policy says."""

    def __init__(self, pod: PodRun, spec: Json, *, init: bool = False) -> None:
        self.pod = pod
        self.spec = spec
        self.facts = Facts(spec)
        # Init containers are started again only when they fail, unless they are sidecars.
        policy = pod.object["spec"].get("restartPolicy", "Always")
        if init:
            policy = "Never" if policy == "Never" else "OnFailure"
        self._policy = spec.get("restartPolicy") or policy
        self._stop = asyncio.Event()
        self._forced: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._process: Process | None = None
        self.script = Script()

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    async def live(self) -> None:
        """Until it has ended for good, or was stopped."""
        await self._pull()
        await self._configure()
        while not self._stop.is_set():
            await self._run_once()
            ended = self.facts.ended or {}
            over = self._policy == "Never" or (
                self._policy == "OnFailure" and ended.get("exitCode") == 0
            )
            if over or self._stop.is_set():
                return
            await self._back_off()

    def crash(self, code: int) -> None:
        """The program ends now, by itself."""
        if not self._forced.done():
            self._forced.set_result(code)

    def stop(self) -> None:
        """What the kubelet does when the pod is to go: TERM, later KILL."""
        self._stop.set()

    async def _pull(self) -> None:
        self.script = script_for(self.pod.state.scripts, self.pod.object, self.spec)
        image = self.spec["image"]
        while (why := self.script.image_error) is not None:
            self.pod.tell("Pulling", f'Pulling image "{image}"', self.name)
            self.pod.tell("Failed", f'Failed to pull image "{image}": {why}', self.name)
            self.pod.tell("Failed", "Error: ErrImagePull", self.name)
            await self._wait_as("ErrImagePull", why)
            message = f'Back-off pulling image "{image}"'
            self.pod.tell("BackOff", message, self.name)
            self.pod.tell("Failed", "Error: ImagePullBackOff", self.name)
            await self._wait_as("ImagePullBackOff", f"{message}: ErrImagePull: {why}")
            self.script = script_for(self.pod.state.scripts, self.pod.object, self.spec)
        already = f'Container image "{image}" already present on machine'
        self.pod.tell("Pulled", already, self.name)

    async def _configure(self) -> None:
        while (why := self._misconfigured()) is not None:
            self.pod.tell("Failed", f"Error: {why}", self.name)
            await self._wait_as("CreateContainerConfigError", why)

    def _misconfigured(self) -> str | None:
        if self.script.config_error is not None:
            return self.script.config_error
        return missing_configuration(self.pod.state.store, self.pod.object, self.spec)

    async def _wait_as(self, reason: str, message: str) -> None:
        self.facts.wait(reason, message)
        self.pod.publish()
        await asyncio.sleep(_ASK_AGAIN)

    async def _run_once(self) -> None:
        self.script = script_for(self.pod.state.scripts, self.pod.object, self.spec)
        await asyncio.sleep(self.script.start_after)
        self.facts.begin()
        output = self.pod.state.logs.begin(self.pod.uid, self.name)
        self.pod.tell("Created", f"Created container: {self.name}", self.name)
        self.pod.tell("Started", f"Started container {self.name}", self.name)
        self.pod.began()
        self.pod.publish()
        ready = asyncio.create_task(self._become_ready())
        speaking = asyncio.create_task(self._speak(output))
        try:
            code = await self._run(output)
        finally:
            for task in (ready, speaking):
                task.cancel()
            output.end()
        killed = self.script.oom_killed and not self._stop.is_set()
        reason = "OOMKilled" if killed else "Completed" if code == 0 else "Error"
        self.facts.finish(_KILLED if killed else code, reason)
        self.pod.publish()

    async def _become_ready(self) -> None:
        if self.script.ready_after is None:
            return
        await asyncio.sleep(self.script.ready_after)
        probe = (self.spec.get("readinessProbe") or {}).get("exec")
        if self.script.process and probe:
            command = localized(self.pod.state, self.pod.object, self.spec, self.script)
            words = localized_words(self.pod.state, self.pod.object, self.spec, probe["command"])
            while not await answers(command, words):
                await asyncio.sleep(_PROBE_AGAIN)
        self.facts.ready = True
        self.pod.publish()

    async def _speak(self, output: Output) -> None:
        output.write(self.script.log)
        while self.script.log_every is not None:
            await asyncio.sleep(self.script.log_every)
            output.write(self.script.log.splitlines()[-1] if self.script.log else "…")

    async def _run(self, output: Output) -> int:
        if self.script.process:
            return await self._run_process(output)
        if self._forced.done():
            self._forced = asyncio.get_running_loop().create_future()
        own = asyncio.create_task(self._end_by_itself())
        asked = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({own, asked, self._forced}, return_when=asyncio.FIRST_COMPLETED)
            if self._forced.done():
                return self._forced.result()
            if not self._stop.is_set():
                return self.script.exit_code
        finally:
            own.cancel()
            asked.cancel()
        return await self._be_stopped()

    async def _end_by_itself(self) -> None:
        if self.script.run_for is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self.script.run_for)

    async def _be_stopped(self) -> int:
        await self.pod.reachable()
        if self.script.stuck:
            await self.pod.released()
            return _KILLED
        grace = self.pod.grace
        await asyncio.sleep(min(self.script.stop_after, grace))
        return _KILLED if self.script.stop_after > grace else 0

    async def _run_process(self, output: Output) -> int:
        command = localized(self.pod.state, self.pod.object, self.spec, self.script)
        process = Process(command, output.write)
        running = asyncio.create_task(process.run())
        asked = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self.pod.reachable()
                return await process.stop(running, self.pod.grace)
            return running.result()
        finally:
            asked.cancel()
            if not running.done():
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running

    async def _back_off(self) -> None:
        """Once at once, then longer and longer."""
        facts = self.facts
        if facts.restarts:
            said = min(_FIRST_BACKOFF * 2 ** (facts.restarts - 1), _LONGEST_BACKOFF)
            pod = f"{self.pod.name}_{self.pod.namespace}({self.pod.uid})"
            self.pod.tell(
                "BackOff",
                f"Back-off restarting failed container {self.name} in pod {pod}",
                self.name,
            )
            facts.wait(
                "CrashLoopBackOff",
                f"back-off {said}s restarting failed container={self.name} pod={pod}",
            )
            self.pod.publish()
            wait = self.script.backoff * 2 ** min(facts.restarts - 1, 5)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stop.wait()
        else:
            facts.last = facts.state
        facts.restarts += 1
