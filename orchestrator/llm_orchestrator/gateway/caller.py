"""The caller's side of a connection: whether somebody still waits, and signs of life to them."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive, Send

# Proxies and clients give up on connections that are silent, many after 30 or 60 seconds.
SILENCE = 15.0
SIGN_OF_LIFE = b": keep-alive\n\n"


class CallerLeft(Exception):
    """The caller closed the connection before the end of the answer."""


class CallerWatch:
    """Cancels what is done in the block when the caller leaves, and raises CallerLeft instead.

    The request's body must have been read before.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False

    async def __aenter__(self) -> None:
        """Begin to watch."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._task = task
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End watching; raises CallerLeft if that is why the block ended."""
        self._watcher.cancel()
        if self._left and self._task.uncancel() == 0:
            raise CallerLeft from error


class Pulse:
    """Sends comments into an event stream that is silent for too long."""

    def __init__(self, send: Send, seconds: float = SILENCE) -> None:
        self._send = send
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(seconds, self._tick)

    def touch(self) -> None:
        """Note that something was sent."""
        self._last = self._loop.time()

    def stop(self) -> None:
        """Send no more."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _tick(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            # A caller who does not read keeps the last one waiting.
            if self._task is None or self._task.done():
                self._task = self._loop.create_task(self._speak())
        self._timer = self._loop.call_later(left, self._tick)

    async def _speak(self) -> None:
        await self._send({"type": "http.response.body", "body": SIGN_OF_LIFE, "more_body": True})
        self.touch()
