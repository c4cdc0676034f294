"""The HTTP side: who asks, what trouble is to be made, and who answers."""

from __future__ import annotations

import json
import time
import traceback
from typing import Any

import yaml
from aiohttp import web

from tests.kubernetes.fake.access import Request
from tests.kubernetes.fake.discovery import discover
from tests.kubernetes.fake.faults import Fault
from tests.kubernetes.fake.history import Asked
from tests.kubernetes.fake.objects import Call, answer
from tests.kubernetes.fake.pod_parts import evict, exec_in_pod, stream_log
from tests.kubernetes.fake.refusals import (
    Refused,
    bad_request,
    forbidden,
    no_such_path,
    unsupported_media_type,
)
from tests.kubernetes.fake.reviews import request_token, review
from tests.kubernetes.fake.routing import Target, find_target, verb_of
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.watching import watch

_REVIEWS = "/apis/authorization.k8s.io/v1/"


class Server:
    """Answers for whatever state it is given; a reset gives it another."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.streams: list[web.Request] = []

    def application(self) -> web.Application:
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    def break_streams(self) -> None:
        """Cuts off every watch, log and exec, as a server that goes away does."""
        for request in list(self.streams):
            _abort(request)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        state = self.state
        if state.faults.outage:
            return _abort(request)
        asked = _describe(state, request)
        state.history.requests.append(asked)
        try:
            if request.can_read_body:
                asked.body = _parse(request.content_type, await request.read())
            response = await self._faulty(state, request, asked)
        except Refused as refusal:
            response = _as_response(refusal)
        except Exception:
            state.troubles.append(traceback.format_exc())
            raise
        asked.status = response.status
        return response

    async def _faulty(self, state: State, request: web.Request, asked: Asked) -> web.StreamResponse:
        fault = state.faults.meet(asked.verb, asked.path)
        if fault is None:
            return await self._answer(state, request, asked, None)
        await fault.prepare()
        if fault.drop:
            return _abort(request)
        if fault.status is not None:
            raise fault.refusal()
        if fault.lose_answer:
            await self._answer(state, request, asked, None)
            return _abort(request)
        return await self._answer(state, request, asked, fault)

    async def _answer(
        self, state: State, request: web.Request, asked: Asked, fault: Fault | None
    ) -> web.StreamResponse:
        asked.user = state.access.user_of(request.headers)
        found = discover(state.registry, asked.path)
        if found is not None:
            return web.json_response(found)
        if asked.path.startswith(_REVIEWS):
            return web.json_response(review(state, asked), status=201)
        target = find_target(state.registry, asked.path)
        if target is None:
            raise no_such_path()
        _allow(state, asked, target)
        if asked.verb == "watch":
            return await self._watch(state, request, (target, asked.query), fault)
        if target.sub in {"log", "exec"} and target.resource.kind == "Pod":
            return await self._stream(state, request, target, fault)
        call = Call(asked.verb, target, asked.query, asked.body, asked.content_type)
        special = {
            "eviction": lambda: evict(state.store, call),
            "token": lambda: request_token(state, target, asked),
        }
        if target.sub in special:
            return web.json_response(special[target.sub](), status=201)
        code, body = answer(state.store, call)
        return web.json_response(body, status=code)

    async def _watch(
        self,
        state: State,
        request: web.Request,
        asked: tuple[Target, dict[str, str]],
        fault: Fault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        left = fault.after_events if fault else None
        self.streams.append(request)
        try:
            async for line in watch(state.store, *asked):
                if left == 0:
                    return _abort(request)
                left = None if left is None else left - 1
                await response.write(line)
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            self.streams.remove(request)
        return response

    async def _stream(
        self, state: State, request: web.Request, target: Target, fault: Fault | None
    ) -> web.StreamResponse:
        self.streams.append(request)
        try:
            if target.sub == "log":
                return await stream_log(state, request, target)
            return await exec_in_pod(state, request, target, cut=fault and fault.after_bytes)
        finally:
            self.streams.remove(request)


def _describe(state: State, request: web.Request) -> Asked:
    query = dict(request.query)
    target = find_target(state.registry, request.path)
    verb = verb_of(request.method, target, query) if target else request.method.lower()
    return Asked(
        at=time.monotonic(),
        user="",
        verb=verb,
        method=request.method,
        path=request.path.rstrip("/") or "/",
        query=query,
        content_type=request.content_type,
        body=None,
        agent=request.headers.get("User-Agent", ""),
    )


def _parse(content_type: str, raw: bytes) -> Any:
    if not raw:
        return None
    if "protobuf" in content_type:
        # The typed clients in kubectl (auth can-i) speak it; here only JSON is understood.
        raise unsupported_media_type()
    try:
        return json.loads(raw)
    except ValueError:
        try:
            return yaml.safe_load(raw)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise bad_request(f"the object provided is unrecognized: {error}") from error


def _allow(state: State, asked: Asked, target: Target) -> None:
    request = Request(
        asked.user,
        asked.verb,
        target.resource.group,
        target.plural,
        target.namespace,
        target.name,
    )
    if not state.access.allows(state.store, request):
        place = (target.namespace, target.name, target.sub)
        raise forbidden(asked.user, asked.verb, target.resource, place)


def _as_response(refusal: Refused) -> web.Response:
    return web.json_response(refusal.body, status=refusal.code, headers=refusal.headers)


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
