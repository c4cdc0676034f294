"""A request's way to a provider and the answer's way back, as a whole or in parts."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.account import LEFT, Account
from llm_orchestrator.gateway.attempts import AllFailed, Attempts, Effort, Won
from llm_orchestrator.gateway.caller import CallerLeft, CallerWatch, Pulse
from llm_orchestrator.gateway.faults import describe, status_of, to_api_error, to_event
from llm_orchestrator.gateway.request import MOST_RETRIES, RoutedRequest, strip_own_fields
from llm_orchestrator.gateway.routing import Candidate, Needs, plan
from llm_orchestrator.state import State
from llm_orchestrator.upstream.events import write_event
from llm_orchestrator.upstream.protocol import (
    Answer,
    Call,
    Chunk,
    Json,
    Unsupported,
    Upstream,
    UpstreamBroken,
    UpstreamError,
)

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Job:
    """A request as the gateway works on it: checked, as it came, and what it needs."""

    state: State
    request: RoutedRequest
    body: Json
    needs: Needs
    account: Account


@dataclass(frozen=True)
class Opened:
    """A stream whose first part has come."""

    first: Chunk
    rest: AsyncGenerator[Chunk, None]


class Relay(Response, ABC):
    """An answer that is fetched from a provider while it is given.

    It is a response, not a function that makes one, since only a response sees the caller leave.
    """

    def __init__(self, job: Job) -> None:
        # Starlette's own makes a body and its headers, which are not known yet.
        self.background = None
        self.job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises ApiError while nothing has been sent."""
        account = self.job.account
        try:
            async with CallerWatch(receive):
                await self._answer(send)
        except CallerLeft:
            account.close(LEFT, "the caller left before the end of the answer")
        except AllFailed as failed:
            error = to_api_error(failed)
            account.close(error.status, describe(failed.error, failed.candidate.provider.name))
            raise error from failed
        except ApiError as error:
            account.close(error.status, error.message)
            raise
        except asyncio.CancelledError:
            account.close(503, "the service was stopped before the end of the answer")
            raise
        finally:
            # Whatever else went wrong is the service's own fault; it is logged where it is caught.
            account.close(500, "something went wrong in the service")

    @abstractmethod
    async def _answer(self, send: Send) -> None:
        """Fetch the answer and send it."""

    async def _win(self, ask: Callable[[Upstream, Call], Awaitable[T]]) -> Won[T]:
        """Ask the request's candidates until one answers."""
        job, state = self.job, self.job.state
        routes = await state.routes.current(state.changes)
        job.account.model_known = job.request.model in routes.models
        candidates = plan(routes, job.request, job.needs, state.health.healthy, state.chance)
        model = routes.models[job.request.model]
        body = strip_own_fields(job.body)

        def effort(candidate: Candidate) -> Effort:
            provider, request = candidate.provider, job.request
            retries = _first(request.retry_count, model.max_retry, provider.max_retries)
            seconds = request.timeout or model.timeout or provider.timeout
            return Effort(max(0, min(int(retries), MOST_RETRIES)), seconds)

        async def ask_one(candidate: Candidate, seconds: float) -> T:
            upstream = state.upstreams.get(candidate.provider.type)
            if upstream is None:
                raise Unsupported(f"providers of type {candidate.provider.type!r} are not known")
            return await ask(
                upstream, Call(candidate.provider.target, candidate.model, body, seconds)
            )

        attempts = Attempts(state.backoff, job.account)
        return await attempts.ask_each(candidates, effort, ask_one)


class WholeRelay(Relay):
    """An answer in one piece."""

    def __init__(self, job: Job, ask: Callable[[Upstream, Call], Awaitable[Answer]]) -> None:
        super().__init__(job)
        self._ask = ask

    async def _answer(self, send: Send) -> None:
        won = await self._win(self._ask)
        body, account = won.value.body, self.job.account
        account.usage = won.value.usage or account.usage
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            _name_provider(won.candidate),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        account.close(200)


class StreamRelay(Relay):
    """An answer in parts, passed on as they come."""

    async def _answer(self, send: Send) -> None:
        won = await self._win(_open)
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache"),
            # nginx would gather the parts otherwise.
            (b"x-accel-buffering", b"no"),
            _name_provider(won.candidate),
        ]
        async with aclosing(won.value.rest):
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            pulse = Pulse(send)
            try:
                last, status, fault = await self._pass_on(won, send, pulse)
            finally:
                pulse.stop()
            await send({"type": "http.response.body", "body": last})
            self.job.account.close(status, fault)

    async def _pass_on(
        self, won: Won[Opened], send: Send, pulse: Pulse
    ) -> tuple[bytes, int, str | None]:
        """Send the parts; return the last bytes to send, the true status and what went wrong."""
        chunk: Chunk | None = won.value.first
        try:
            while chunk is not None:
                if chunk.usage:
                    self.job.account.usage = chunk.usage
                if chunk.last:
                    return chunk.data + DONE, 200, None
                await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
                pulse.touch()
                chunk = await anext(won.value.rest, None)
        except UpstreamError as error:
            provider = won.candidate.provider.name
            self.job.account.failed(won.candidate, error)
            # Without [DONE]: nobody shall take what came so far for the whole.
            event = write_event(to_event(error, provider))
            return event, status_of(error), describe(error, provider)
        return DONE, 200, None


async def _open(upstream: Upstream, call: Call) -> Opened:
    """Open a stream and wait for its first part: until then another provider may answer."""
    stream = upstream.stream(call)
    try:
        return Opened(await anext(stream), stream)
    except StopAsyncIteration:
        raise UpstreamBroken("the provider's stream is empty") from None


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _name_provider(candidate: Candidate) -> tuple[bytes, bytes]:
    return b"x-provider", quote(candidate.provider.name, safe=" ").encode("ascii")
