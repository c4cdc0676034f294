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


async def exec_in_pod(state: State, request: web.Request, target: Target) -> web.StreamResponse:
    """Runs a command over a websocket: the channels of v4 and v5.channel.k8s.io."""
    pod = state.store.get(PODS, target.namespace, target.name)
    container = _container(pod, request.query.get("container", ""))
    if pod["status"].get("phase") != "Running":
        raise bad_request(f"pod {target.name} is not running: {pod['status'].get('phase')}")
    protocols = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    socket = web.WebSocketResponse(protocols=protocols)
    await socket.prepare(request)
    words = request.query.getall("command")
    code = await _execute(state, (pod, container), words, socket)
    await socket.send_bytes(_ERROR + json.dumps(_exit_status(code)).encode())
    await socket.close()
    return socket


async def _execute(
    state: State, where: tuple[Json, Json], words: list[str], socket: web.WebSocketResponse
) -> int:
    pod, container = where
    script = script_for(state.scripts, pod, container)
    answer = script.exec_results.get(" ".join(words))
    if answer is not None or not script.process:
        code, text = answer or (0, "")
        await socket.send_bytes(_STDOUT + text.encode())
        return code
    command = localized(state, pod, container, script)
    process = await asyncio.create_subprocess_exec(
        *localized_words(state, pod, container, words),
        env=command.env,
        cwd=command.cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    feeding = asyncio.create_task(_feed(process, socket))
    assert process.stdout is not None
    while chunk := await process.stdout.read(65536):
        await socket.send_bytes(_STDOUT + chunk)
    code = await process.wait()
    feeding.cancel()
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
