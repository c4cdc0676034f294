"""Asking the candidates: again where that may help, then the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llm_orchestrator.backoff import Backoff
from llm_orchestrator.gateway.routing import Candidate
from llm_orchestrator.upstream.protocol import UpstreamError, UpstreamTimeout, Verdict

T = TypeVar("T")

# How one candidate is asked: with the seconds that are left for it.
Ask = Callable[[Candidate, float], Awaitable[T]]


class Observer(Protocol):
    """Who wants to know of every single attempt."""

    async def admit(self, candidate: Candidate) -> UpstreamError | None:
        """Tell why a candidate can't be asked now, if it can't."""

    def succeeded(self, candidate: Candidate, seconds: float) -> None:
        """Note an answer."""

    def failed(self, candidate: Candidate, error: UpstreamError) -> None:
        """Note an attempt that failed."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on one candidate: retries, and seconds for all of it."""

    retries: int
    seconds: float


class AllFailed(Exception):
    """No candidate answered: the last error, or the first that no other could mend."""

    def __init__(self, candidate: Candidate, error: UpstreamError) -> None:
        super().__init__(error.message)
        self.candidate = candidate
        self.error = error


@dataclass(frozen=True, slots=True)
class Won(Generic[T]):
    """An answer and whose it is."""

    candidate: Candidate
    value: T


@dataclass(frozen=True, slots=True)
class Attempts:
    """The rules by which candidates are asked."""

    backoff: Backoff
    observer: Observer

    async def ask_each(
        self,
        candidates: Sequence[Candidate],
        effort: Callable[[Candidate], Effort],
        ask: Ask[T],
    ) -> Won[T]:
        """Ask one candidate after the other until one answers.

        Raises AllFailed when none does, or at an error that is the request's own.
        """
        for position, candidate in enumerate(candidates, start=1):
            last = position == len(candidates)
            try:
                value = await self._ask_in_time(candidate, effort(candidate), ask, last=last)
            except UpstreamError as error:
                if last or error.verdict is Verdict.RETURN:
                    raise AllFailed(candidate, error) from error
            else:
                return Won(candidate, value)
        raise ValueError("nobody to ask")

    async def _ask_in_time(
        self, candidate: Candidate, effort: Effort, ask: Ask[T], *, last: bool
    ) -> T:
        deadline = time.monotonic() + effort.seconds
        attempt = 0
        while True:
            try:
                return await self._ask_once(candidate, deadline, ask)
            except UpstreamError as error:
                if error.verdict is not Verdict.RETRY or attempt >= effort.retries:
                    raise
                wait = self.backoff.wait(attempt, error.retry_after)
                too_long = not last and wait > self.backoff.patience
                if too_long or time.monotonic() + wait >= deadline:
                    raise
            await asyncio.sleep(wait)
            attempt += 1

    async def _ask_once(self, candidate: Candidate, deadline: float, ask: Ask[T]) -> T:
        refusal = await self.observer.admit(candidate)
        if refusal:
            raise refusal
        started = time.monotonic()
        left = max(0.001, deadline - started)
        try:
            async with asyncio.timeout(left):
                value = await ask(candidate, left)
        except TimeoutError as late:
            error = UpstreamTimeout(f"the provider did not answer within {left:.3g} s")
            self.observer.failed(candidate, error)
            raise error from late
        except UpstreamError as error:
            self.observer.failed(candidate, error)
            raise
        self.observer.succeeded(candidate, time.monotonic() - started)
        return value
