"""Containers that are really run: local processes, with claims' directories for their mounts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kubernetes.fake.kubelet.scripts import Script
from tests.kubernetes.fake.resources import CONFIG_MAPS, SECRETS, Json
from tests.kubernetes.fake.state import State

_KILLED = 137


@dataclass(frozen=True)
class Command:
    """What to run, with every path as it is on this machine."""

    words: list[str]
    env: dict[str, str]
    cwd: Path


def localized(state: State, pod: Json, container: Json, script: Script) -> Command:
    """The container's command with mounts replaced by directories of this machine."""
    mounts = _mounts(state, pod, container)
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    env = {name: _local(value, mounts) for name, value in _environment(state, pod, container)}
    path = os.environ.get("PATH", os.defpath)
    if script.programs is not None:
        path = f"{script.programs}{os.pathsep}{path}"
    home = _scratch(state, pod, "home")
    base = {"PATH": path, "HOME": str(home), "HOSTNAME": pod["metadata"]["name"]}
    cwd = script.cwd or Path(_local(container.get("workingDir", str(home)), mounts))
    return Command([_local(word, mounts) for word in words], {**base, **env, **script.env}, cwd)


def localized_words(state: State, pod: Json, container: Json, words: list[str]) -> list[str]:
    """Another command in the same container, as for exec."""
    mounts = _mounts(state, pod, container)
    return [_local(word, mounts) for word in words]


def _local(text: str, mounts: dict[str, Path]) -> str:
    for mounted in sorted(mounts, key=len, reverse=True):
        # /data, not /database: neither the end of a longer path nor the start of a longer name.
        place = re.compile(rf"(?<![\w.\-]){re.escape(mounted)}(?![\w.\-])")
        text = place.sub(lambda _, to=mounts[mounted]: str(to), text)
    return text


def _mounts(state: State, pod: Json, container: Json) -> dict[str, Path]:
    volumes = {each["name"]: each for each in pod["spec"].get("volumes") or []}
    found: dict[str, Path] = {}
    for mount in container.get("volumeMounts") or []:
        volume = volumes[mount["name"]]
        if "projected" in volume:
            continue
        place = _directory(state, pod, volume)
        found[mount["mountPath"].rstrip("/")] = place / mount.get("subPath", "")
    return found


def _directory(state: State, pod: Json, volume: Json) -> Path:
    namespace = pod["metadata"]["namespace"]
    if claim := volume.get("persistentVolumeClaim"):
        return state.claim_directory(namespace, claim["claimName"])
    place = _scratch(state, pod, volume["name"])
    if "configMap" in volume:
        held = state.store.find(CONFIG_MAPS, namespace, volume["configMap"]["name"]) or {}
        for name, text in (held.get("data") or {}).items():
            (place / name).write_text(text)
            (place / name).chmod(volume["configMap"].get("defaultMode", 0o644))
    elif "secret" in volume:
        held = state.store.find(SECRETS, namespace, volume["secret"]["secretName"]) or {}
        for name, coded in (held.get("data") or {}).items():
            (place / name).write_bytes(base64.b64decode(coded))
    return place


def _scratch(state: State, pod: Json, name: str) -> Path:
    place = state.root / ".pods" / pod["metadata"]["uid"] / name
    place.mkdir(parents=True, exist_ok=True)
    return place


def _environment(state: State, pod: Json, container: Json) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for source in container.get("envFrom") or []:
        found += [
            (source.get("prefix", "") + name, value)
            for name, value in _all_values(state, pod, source).items()
        ]
    for variable in container.get("env") or []:
        value = variable.get("value", "")
        if "valueFrom" in variable:
            value = _one_value(state, pod, variable["valueFrom"])
        found.append((variable["name"], value))
    return found


def _all_values(state: State, pod: Json, source: Json) -> dict[str, str]:
    namespace = pod["metadata"]["namespace"]
    if reference := source.get("configMapRef"):
        held = state.store.find(CONFIG_MAPS, namespace, reference["name"]) or {}
        return dict(held.get("data") or {})
    held = state.store.find(SECRETS, namespace, source["secretRef"]["name"]) or {}
    coded = held.get("data") or {}
    return {name: base64.b64decode(value).decode() for name, value in coded.items()}


def _one_value(state: State, pod: Json, source: Json) -> str:
    if reference := source.get("configMapKeyRef"):
        values = _all_values(state, pod, {"configMapRef": reference})
        return values.get(reference["key"], "")
    if reference := source.get("secretKeyRef"):
        values = _all_values(state, pod, {"secretRef": reference})
        return values.get(reference["key"], "")
    held: object = pod
    for step in source["fieldRef"]["fieldPath"].split("."):
        held = held.get(step, "") if isinstance(held, dict) else ""
    return str(held)


async def answers(command: Command, words: list[str]) -> bool:
    """Whether another command beside a running one ends well, as a probe's."""
    process = await asyncio.create_subprocess_exec(
        *words,
        env=command.env,
        cwd=command.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait() == 0


class Process:
    """One local process with its own group; its output goes to `write`, line by line."""

    def __init__(self, command: Command, write: Callable[[str], None]) -> None:
        self._command = command
        self._write = write
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> int:
        """Runs to its end; the exit code as a container has it: 128 and the signal's number."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command.words,
                env=self._command.env,
                cwd=self._command.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                limit=2**24,
            )
        except OSError as error:
            self._write(f"exec: {error}")
            return 127
        try:
            return await self._finish(self._process)
        finally:
            # Whatever it started must not outlive the container either.
            self.signal(signal.SIGKILL)

    async def _finish(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdout is not None
        async for line in process.stdout:
            self._write(line.decode(errors="replace"))
        code = await process.wait()
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def stop(self, running: asyncio.Task[int], grace: float) -> int:
        """TERM, and KILL once the grace period is over."""
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait({running}, timeout=grace)
        if not done:
            self.signal(signal.SIGKILL)
            await running
            return _KILLED
        return running.result()
