"""A load generator that costs little, for it runs beside what it measures.

Two ways to ask. Closed: so many callers, each asks again as soon as it is answered. Paced: so many
requests a second whatever the answers do; each one's time runs from when it was due, so that a
service that stalls is not spared the requests which it keeps waiting.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What is asked of whom: one chat, as a whole or as a stream."""

    port: int
    stream: bool
    key: str = "none"
    model: str = "small"

    @property
    def request(self) -> bytes:
        body = json.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": "Say a word twenty times."}],
                "stream": self.stream,
            }
        ).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"authorization: Bearer {self.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass
class Answers:
    """Seconds to the first byte of each answer and to its last; what was no 200 by its status."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    failed: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.whole) / self.seconds

    def percentile(self, percent: int, *, first: bool = False) -> float:
        """Seconds that so many percent of the answers took at most."""
        taken = self.first if first else self.whole
        return statistics.quantiles(taken, n=100, method="inclusive")[percent - 1]

    def add(self, status: int, first: float, whole: float) -> None:
        if status == 200:
            self.first.append(first)
            self.whole.append(whole)
        else:
            self.failed[status] = self.failed.get(status, 0) + 1


class _Connection(asyncio.Protocol):
    """One kept connection: a request at a time."""

    def __init__(self) -> None:
        self.closed = False
        self._answer: asyncio.Future[tuple[int, float, float]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asyncio's own class where the loop is uvloop's.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, float, float]]:
        """Send; answers with the status and the moments of the first byte and the last."""
        self._answer = asyncio.get_running_loop().create_future()
        self._status, self._first, self._left, self._tail = 0, 0.0, -1, b""
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self._status:
            self._tail += data
            head, end, data = self._tail.partition(b"\r\n\r\n")
            if not end:
                return
            self._first = self._first or now
            self._status = int(head[9:12])
            _, found, length = head.lower().partition(b"content-length:")
            if found:
                self._left = int(length.split(b"\r\n", 1)[0])
            self._tail = b""
        if self._left >= 0:
            self._left -= len(data)
            done = self._left <= 0
        else:
            self._tail = (self._tail + data)[-5:]
            done = self._tail == b"0\r\n\r\n"
        if done and self._answer is not None and not self._answer.done():
            self._answer.set_result((self._status, self._first, now))

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((0, 0.0, 0.0))


async def _connect(port: int) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
    return connection


async def _closed(asked: Asked, callers: int, requests: int) -> Answers:
    answers, left, request = Answers(), requests, asked.request

    async def call(number: int) -> None:
        nonlocal left
        # Not all in the same instant: that would measure a queue of so many at the very start.
        await asyncio.sleep(number / callers * 0.5)
        connection = await _connect(asked.port)
        while left > 0:
            left -= 1
            if connection.closed:
                connection = await _connect(asked.port)
            began = time.perf_counter()
            status, first, last = await connection.ask(request)
            answers.add(status, first - began, last - began)

    began = time.perf_counter()
    await asyncio.gather(*(call(number) for number in range(callers)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _paced(asked: Asked, rate: float, seconds: float) -> Answers:
    answers, request = Answers(), asked.request
    free: list[_Connection] = []

    async def call(due: float) -> None:
        connection = free.pop() if free else None
        if connection is None or connection.closed:
            connection = await _connect(asked.port)
        status, first, last = await connection.ask(request)
        answers.add(status, first - due, last - due)
        free.append(connection)

    calls, began = set(), time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(call(due))
        calls.add(task)
        task.add_done_callback(calls.discard)
    await asyncio.gather(*calls)
    answers.seconds = time.perf_counter() - began
    return answers


def closed(asked: Asked, callers: int, requests: int) -> Answers:
    """Let so many callers ask so many requests together, each one after the other."""
    return _run(_closed(asked, callers, requests))


def paced(asked: Asked, rate: float, seconds: float) -> Answers:
    """Ask so many requests a second for so many seconds."""
    return _run(_paced(asked, rate, seconds))


def _run(scenario: Awaitable[T]) -> T:
    import uvloop

    async def body() -> T:
        return await scenario

    return uvloop.run(body())
