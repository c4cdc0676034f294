"""Whether somebody asked for an end, Ctrl-C or SIGTERM, seen even where it gets lost.

Python raises KeyboardInterrupt in whatever the main thread is doing. In a callback of sqlite3 that
becomes "not authorized", a revision's `except BaseException` swallows it, asyncio turns it into a
cancellation of some task, and a statement that runs in another thread never hears of it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context that notes the signals; the handlers that were there before act as ever.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Attributes:
        seen: Whether one came.
    """

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
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

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        self._before[number](number, frame)
