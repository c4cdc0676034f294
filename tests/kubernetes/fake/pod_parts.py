"""What belongs to pods alone: their logs, exec, and eviction."""

from __future__ import annotations

import asyncio
import json

from aiohttp import WSMsgType, web

from tests.kubernetes.fake.kubelet.processes import localized, localized_words
from tests.kubernetes.fake.kubelet.scripts import script_for
from tests.kubernetes.fake.logs import Output, Wanted
from tests.kubernetes.fake.objects import Call, delete_options
from tests.kubernetes.fake.refusals import bad_request, budget_exceeded, budget_unknown
from tests.kubernetes.fake.resources import BUDGETS, PODS, Json
from tests.kubernetes.fake.routing import Target
from tests.kubernetes.fake.selectors import object_matches
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Store
from tests.kubernetes.fake.writing import delete

_TRUE = {"true", "1"}
_STDOUT, _ERROR = b"\x01", b"\x03"
_CLOSE_SIGNAL = 255
_NOT_FOUND = -1000  # an exit code that no program has


async def stream_log(state: State, request: web.Request, target: Target) -> web.StreamResponse:
    """The log of one container, as text; refuses with 400 what has none."""
    query = request.query
    pod = state.store.get(PODS, target.namespace, target.name)
    container = _container(pod, query.get("container", ""))
    output = _output(state, pod, container, previous=query.get("previous") in _TRUE)
    tail, since = query.get("tailLines"), query.get("sinceSeconds")
    wanted = Wanted(
        follow=query.get("follow") in _TRUE,
        tail=None if tail is None else int(tail),
        since_seconds=None if since is None else float(since),
        timestamps=query.get("timestamps") in _TRUE,
    )
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    try:
        async for line in output.read(wanted):
            await response.write(line)
        await response.write_eof()
    except ConnectionError:
        pass
    return response


def _container(pod: Json, asked: str) -> Json:
    held = pod["spec"]["containers"]
    every = [*(pod["spec"].get("initContainers") or []), *held]
    name = pod["metadata"]["name"]
    if not asked:
        if len(held) > 1:
            names = " ".join(each["name"] for each in held)
            raise bad_request(
                f"a container name must be specified for pod {name}, choose one of: [{names}]"
            )
        return dict(held[0])
    for each in every:
        if each["name"] == asked:
            return dict(each)
    raise bad_request(f"container {asked} is not valid for pod {name}")


def _output(state: State, pod: Json, container: Json, *, previous: bool) -> Output:
    meta, name = pod["metadata"], container["name"]
    outputs = state.logs.of(meta["uid"], name)
    if previous:
        if len(outputs) < 2:
            raise bad_request(
                f'previous terminated container "{name}" in pod "{meta["name"]}" not found'
            )
        return outputs[-2]
    if not outputs:
        why = _waiting(pod, name)
        raise bad_request(f'container "{name}" in pod "{meta["name"]}" is waiting to start: {why}')
    return outputs[-1]


def _waiting(pod: Json, name: str) -> str:
    for status in pod["status"].get("containerStatuses") or []:
        if status["name"] == name:
            reason = (status["state"].get("waiting") or {}).get("reason", "ContainerCreating")
            if reason in {"ErrImagePull", "ImagePullBackOff"}:
                return "trying and failing to pull image"
            return str(reason)
    return "ContainerCreating"


async def exec_in_pod(
    state: State, request: web.Request, target: Target, *, cut: int | None
) -> web.StreamResponse:
    """Runs a command over a websocket: the channels of v4 and v5.channel.k8s.io.

    After `cut` bytes of its output the connection is closed.
    """
    pod = state.store.get(PODS, target.namespace, target.name)
    container = _container(pod, request.query.get("container", ""))
    if pod["status"].get("phase") != "Running":
        raise bad_request(f"pod {target.name} is not running: {pod['status'].get('phase')}")
    protocols = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    socket = web.WebSocketResponse(protocols=protocols)
    await socket.prepare(request)
    words = request.query.getall("command")
    try:
        code = await _execute(state, (pod, container), words, socket, cut)
        await socket.send_bytes(_ERROR + json.dumps(_exit_status(code)).encode())
        await socket.close()
    except ConnectionError:  # cut, or whoever asked is gone
        if request.transport is not None:
            request.transport.abort()
    return socket


async def _execute(
    state: State,
    where: tuple[Json, Json],
    words: list[str],
    socket: web.WebSocketResponse,
    cut: int | None,
) -> int:
    pod, container = where
    script = script_for(state.scripts, pod, container)
    answer = script.exec_results.get(" ".join(words))
    if answer is not None or not (script.process or script.exec_process):
        code, text = answer or (0, "")
        await socket.send_bytes(_STDOUT + text.encode())
        return code
    command = localized(state, pod, container, script)
    try:
        process = await asyncio.create_subprocess_exec(
            *localized_words(state, pod, container, words),
            env=command.env,
            cwd=command.cwd,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError:
        return _NOT_FOUND
    feeding = asyncio.create_task(_feed(process, socket))
    assert process.stdout is not None
    sent = 0
    try:
        while chunk := (await process.stdout.read(65536))[: None if cut is None else cut - sent]:
            await socket.send_bytes(_STDOUT + chunk)
            sent += len(chunk)
        if sent == cut:
            raise ConnectionResetError
        code = await process.wait()
    finally:
        feeding.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    return code if code >= 0 else 128 - code


async def _feed(process: asyncio.subprocess.Process, socket: web.WebSocketResponse) -> None:
    """Channel 0 is standard input; v5 says by channel 255 that it has ended."""
    assert process.stdin is not None
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        if message.data[0] == _CLOSE_SIGNAL:
            process.stdin.close()
        elif message.data[0] == 0:
            process.stdin.write(message.data[1:])


def _exit_status(code: int) -> Json:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    if code == _NOT_FOUND:  # no exit code, since nothing was started
        told = "OCI runtime exec failed: exec failed: executable file not found in $PATH: unknown"
        return {
            "metadata": {},
            "status": "Failure",
            "message": f"Internal error occurred: {told}",
            "reason": "InternalError",
            "details": {"causes": [{"message": told}]},
            "code": 500,
        }
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def evict(store: Store, call: Call) -> Json:
    """Deletes the pod unless a disruption budget forbids it: 429."""
    target = call.target
    pod = store.get(PODS, target.namespace, target.name)
    for budget in store.all(BUDGETS, target.namespace):
        if object_matches(budget["spec"].get("selector"), pod["metadata"].get("labels") or {}):
            status = budget["status"]
            if status.get("observedGeneration") != budget["metadata"]["generation"]:
                raise budget_unknown(budget["metadata"]["name"])
            if status["disruptionsAllowed"] < 1:
                name = budget["metadata"]["name"]
                raise budget_exceeded(name, status["desiredHealthy"], status["currentHealthy"])
    options = (call.body or {}).get("deleteOptions") or {}
    asked = Call("delete", target, call.query, options, call.content_type)
    delete(store, PODS, target.namespace, target.name, delete_options(asked))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
