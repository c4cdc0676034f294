"""Ten thousand callers who want streams from a provider that says nothing."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateway_load import CHAT, add_providers, logged
from tests.support.orchestrator import (
    API_KEY,
    Service,
    command,
    environment,
    reserved_port,
    running,
)
from tests.support.processes import wait_until
from tests.support.upstreams import FakeUpstream, hang

MOST = 300
_BODY = json.dumps(CHAT | {"stream": True}).encode()
_REQUEST = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    f"authorization: Bearer {API_KEY}\r\ncontent-length: {len(_BODY)}\r\n\r\n"
).encode() + _BODY


@pytest.fixture
def callers() -> Iterator[int]:
    """As many as this process may have sockets for; as a rule ten thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(10_000, hard - 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Callers that hold what they got: an answer, or a connection on which nothing comes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[asyncio.StreamWriter] = []
        self._waiting: set[asyncio.Task[None]] = set()
        self.answers: Counter[bytes] = Counter()

    async def come(self, number: int) -> None:
        """Ask so many times, and go on when all that are not kept waiting have their answer."""
        turns = asyncio.Semaphore(200)
        await asyncio.gather(*(self._ask(turns) for _ in range(number)))
        while self.answers.total() < number - MOST:
            await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)

    async def leave(self) -> None:
        for writer in self._open:
            writer.close()
        await asyncio.gather(*self._waiting)
        await asyncio.gather(
            *(writer.wait_closed() for writer in self._open), return_exceptions=True
        )

    async def _ask(self, turns: asyncio.Semaphore) -> None:
        async with turns:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._open.append(writer)
            writer.write(_REQUEST)
        task = asyncio.create_task(self._wait(reader))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _wait(self, reader: asyncio.StreamReader) -> None:
        try:
            answer = await reader.read()
        except ConnectionError:
            answer = b"lost"
        if answer:
            self.answers[answer.split(b"\r\n", 1)[0] + answer[-200:]] += 1


def test_idle_streams_above_the_most_are_refused_clearly(database: Path, callers: int) -> None:
    with FakeUpstream("openai") as silent:
        silent.always(hang)
        add_providers(database, [silent.url], timeout=600)
        with running(database, MAX_CONCURRENT_REQUESTS=str(MOST), LOG_LEVEL="ERROR") as service:
            asyncio.run(flood(service, callers))
            wait_until(lambda: logged(database, 499) == MOST, "a log of each that left")
            silent.always(None)
            with service.caller() as client:
                assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


async def flood(service: Service, callers: int) -> None:
    crowd = Crowd(int(service.url.rpartition(":")[2]))
    await crowd.come(callers)
    try:
        assert service.process.poll() is None
        # Those who run it still get through.
        health = await asyncio.to_thread(httpx.get, f"{service.url}/health")
        assert health.status_code == 200
        told = (await asyncio.to_thread(httpx.get, f"{service.url}/metrics")).text
        assert f"llm_requests_in_flight {float(MOST)}" in told
        ((answer, number),) = crowd.answers.items()
        assert number == callers - MOST
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"overloaded"' in answer
    finally:
        await crowd.leave()


def test_few_files_mean_fewer_requests_at_once(database: Path) -> None:
    words = command("serve")
    with reserved_port() as port:
        process = subprocess.Popen(
            ["sh", "-c", 'ulimit -n 400 && exec "$@"', "sh", *words],
            cwd=database.parent,
            env=environment(database, PORT=str(port)),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            told = next(line for line in process.stderr if "fewer requests at once" in line)
            assert "most=100" in told
        finally:
            process.terminate()
            process.communicate()
