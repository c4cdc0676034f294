"""Upstream services on loopback: real sockets that speak each protocol, and break when told to.

`with FakeUpstream("openai") as upstream:` runs one in a thread of its own. It answers as its
protocol says, unless `upstream.then(...)` gave it something else to do with the next requests.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.support.processes import wait_until
from tests.support.upstream_protocols import PROTOCOLS, Protocol

KEY = "key-of-the-upstream"


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: Protocol
    upstream: FakeUpstream
    keep: bool = True

    async def whole(
        self, status: int, body: bytes, kind: str = "application/json", **headers: str
    ) -> None:
        self.head(status, kind, {"content-length": str(len(body)), **headers})
        self.writer.write(body)
        await self.writer.drain()

    async def json(self, status: int, body: Any, **headers: str) -> None:
        await self.whole(status, json.dumps(body).encode(), **headers)

    def head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    def begin_stream(self) -> None:
        self.head(200, "text/event-stream; charset=utf-8", {"transfer-encoding": "chunked"})

    async def part(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end_stream(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def until_left(self) -> None:
        """Wait for the other side to close the connection."""
        self.keep = False
        age = self.upstream.age
        try:
            while await self.reader.read(1024):
                pass
        except ConnectionError:
            pass
        # Who was left in an earlier test is of no interest to this one.
        if age == self.upstream.age:
            self.upstream.left += 1


Answer = Callable[[Exchange], Awaitable[None]]


class FakeUpstream:
    """A service in a thread of its own; what it saw may be read at any time."""

    def __init__(self, kind: str, key: str = KEY) -> None:
        self.kind = kind
        self.key = key
        self.protocol = PROTOCOLS[kind]
        self.seen: list[Seen] = []
        # Callers who closed the connection while they were to wait.
        self.left = 0
        # How often it was made to forget.
        self.age = 0
        self._script: deque[Answer] = deque()
        self._always: Answer | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """As a provider's base_url."""
        return f"http://127.0.0.1:{self.port}{self.protocol.prefix}"

    def then(self, *answers: Answer) -> FakeUpstream:
        """Do this with the next requests, one each."""
        self._script.extend(answers)
        return self

    def always(self, answer: Answer | None) -> FakeUpstream:
        """Do this with every request; None: what the protocol says."""
        self._always = answer
        return self

    def forget(self) -> None:
        """Be as new, for the next test."""
        self._script.clear()
        self._always = None
        self.seen.clear()
        self.age += 1
        self.left = 0

    @property
    def chats(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "POST"]

    def wait_until_left(self, times: int = 1) -> None:
        wait_until(lambda: self.left >= times, "the upstream's caller leaves")

    def __enter__(self) -> FakeUpstream:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._started.set()
        self._loop.run_forever()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            keep = True
            while keep:
                seen = await _read_request(reader)
                if seen is None:
                    break
                self.seen.append(seen)
                exchange = Exchange(seen, reader, writer, self.protocol, self)
                await self._choose(exchange)(exchange)
                keep = exchange.keep
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _choose(self, exchange: Exchange) -> Answer:
        if not self.protocol.presents(exchange.seen.headers, self.key):
            return refuse(self.protocol.wrong_key, "this key is wrong")
        if self._script:
            return self._script.popleft()
        return self._always or properly


async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, path, headers, json.loads(data) if data else None)


async def properly(exchange: Exchange) -> None:
    """Answer as the protocol says; what makes no sense to it with its 400."""
    seen = exchange.seen
    fault = exchange.protocol.check(seen.path, seen.body)
    if not fault:
        try:
            await _answer(exchange)
        except (KeyError, TypeError, AttributeError) as error:
            fault = f"invalid body: {error!r}"
    if fault:
        await exchange.json(400, exchange.protocol.error(400, fault))


async def _answer(exchange: Exchange) -> None:
    seen = exchange.seen
    if exchange.protocol.streams(seen.path, seen.body):
        events = exchange.protocol.events(seen.path, seen.body)
        exchange.begin_stream()
        for event in events:
            await exchange.part(event)
        await exchange.end_stream()
    else:
        await exchange.json(200, exchange.protocol.whole(seen.method, seen.path, seen.body))


def refuse(status: int, message: str = "no", **headers: str) -> Answer:
    """Answer with an error of the protocol."""

    async def answer(exchange: Exchange) -> None:
        await exchange.json(status, exchange.protocol.error(status, message), **headers)

    return answer


def say(body: bytes, kind: str = "application/json", status: int = 200) -> Answer:
    """Answer with just this."""

    async def answer(exchange: Exchange) -> None:
        await exchange.whole(status, body, kind)

    return answer


def stream(*parts: bytes, cut: bool = False) -> Answer:
    """Answer with a stream of just these parts; `cut`: without its end."""

    async def answer(exchange: Exchange) -> None:
        exchange.begin_stream()
        for part in parts:
            await exchange.part(part)
        if cut:
            exchange.keep = False
        else:
            await exchange.end_stream()

    return answer


def late(seconds: float) -> Answer:
    """Answer properly after a while."""

    async def answer(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await properly(exchange)

    return answer


async def hang(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.until_left()


async def disconnect(exchange: Exchange) -> None:
    """Close without an answer."""
    exchange.keep = False


async def cut_short(exchange: Exchange) -> None:
    """Announce more than is sent."""
    exchange.head(200, "application/json", {"content-length": "1000"})
    exchange.writer.write(b'{"id": "cut')
    exchange.keep = False


def break_off(after: int, *, orderly: bool = False, silent: bool = False) -> Answer:
    """Stop a proper stream after so many events.

    `orderly`: as if that were all; `silent`: nothing more, until the caller leaves.
    """

    async def answer(exchange: Exchange) -> None:
        exchange.begin_stream()
        for event in exchange.protocol.events(exchange.seen.path, exchange.seen.body)[:after]:
            await exchange.part(event)
        if orderly:
            await exchange.end_stream()
        elif silent:
            await exchange.until_left()
        else:
            exchange.keep = False

    return answer


def err_midway(after: int, status: int = 529, message: str = "too much to do") -> Answer:
    """Send an error event of the protocol into a stream after so many events."""

    async def answer(exchange: Exchange) -> None:
        exchange.begin_stream()
        for event in exchange.protocol.events(exchange.seen.path, exchange.seen.body)[:after]:
            await exchange.part(event)
        await exchange.part(exchange.protocol.error_event(status, message))
        await exchange.end_stream()

    return answer


def in_turn(*steps: Callable[[Exchange], Coroutine[Any, Any, None]]) -> Answer:
    """Do several things with one request."""

    async def answer(exchange: Exchange) -> None:
        for step in steps:
            await step(exchange)

    return answer
