"""Callers that ask a running service for chats until it goes away, and count what they got."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tests.support.orchestrator import CALLER

CHAT: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


def add_providers(database: Path, urls: Sequence[str], **model: object) -> None:
    """Let these OpenAI-compatible services serve the model `chat`, the first before the others."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO models (id, name, max_retry, timeout) VALUES (1, 'chat', ?, ?)",
            (model.get("max_retry", 0), model.get("timeout", 30)),
        )
        for number, url in enumerate(urls, start=1):
            connection.execute(
                "INSERT INTO providers (id, name, type, api_key, base_url, priority) "
                "VALUES (?, ?, 'openai', 'key-of-the-upstream', ?, ?)",
                (number, f"provider-{number}", url, number),
            )
            connection.execute(
                "INSERT INTO model_providers (model_id, provider_id, provider_model) "
                "VALUES (1, ?, 'small')",
                (number,),
            )


def query(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def logged(database: Path, status: int = 200) -> int:
    """How many requests with this outcome are in the database."""
    ((count,),) = query(database, f"SELECT count(*) FROM request_logs WHERE status_code = {status}")
    return int(count)


@dataclass
class Callers:
    """So many callers in a thread of their own, each asking again as soon as it is answered.

    Every second one wants a stream. They end by themselves when nobody answers any more.
    """

    url: str
    number: int = 10
    finished: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    _stop: bool = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Callers:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop = True
        self.join()

    def join(self) -> None:
        """Wait until each has its last answer, or none."""
        assert self._thread is not None
        self._thread.join(120)
        assert not self._thread.is_alive()

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask(number % 2 == 1) for number in range(self.number)))

    async def _ask(self, stream: bool) -> None:
        async with httpx.AsyncClient(base_url=self.url, headers=CALLER, timeout=60) as client:
            while not self._stop:
                try:
                    answer = await client.post(
                        "/v1/chat/completions", json=CHAT | {"stream": stream}
                    )
                except httpx.TransportError:
                    return
                self.statuses[answer.status_code] += 1
                whole = not stream or answer.text.endswith("data: [DONE]\n\n")
                self.finished += answer.status_code == 200 and whole
