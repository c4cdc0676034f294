"""Whether somebody asked for an end, Ctrl-C or SIGTERM, seen even where it gets lost.

Python raises KeyboardInterrupt in whatever the main thread is doing. In a callback of sqlite3 that
becomes "not authorized", a revision's `except BaseException` swallows it, asyncio turns it into a
cancellation of some task, a statement that runs in another thread never hears of it, and a main
thread that is just going to sleep in its event loop sleeps on. What never gets lost is the byte
that Python writes for every signal (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context that notes the signals; the handlers that were there before act as ever.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._seen = False
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._wakeup_before = -1
        self._pipe: tuple[int, int] | None = None
        self._held_back = False

    @property
    def seen(self) -> bool:
        """Whether a signal came; may be asked from any thread."""
        if not self._seen and self._pipe is not None:
            try:
                self._seen = any(number in _SIGNALS for number in os.read(self._pipe[0], 64))
            except BlockingIOError:
                return False
        return self._seen

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            reader, writer = self._pipe
            self._pipe = None
            os.close(reader)
            os.close(writer)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A context in which the signals are only noted: no handler breaks off what runs in it."""
        self._held_back = True
        try:
            yield
        finally:
            self._held_back = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._seen = True
        if self._held_back or _closes_a_connection(frame):
            return
        self._before[number](number, frame)


def _closes_a_connection(frame: FrameType | None) -> bool:
    """Whether SQLAlchemy's pool is at work, which would log what breaks it off as a fault.

    It soon is done, and what is noted is asked for before the next step.
    """
    while frame is not None:
        if frame.f_code.co_name == "_close_connection":
            return frame.f_globals.get("__name__") == "sqlalchemy.pool.base"
        frame = frame.f_back
    return False
