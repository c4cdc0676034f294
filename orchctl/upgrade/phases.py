"""Where the time of a run went."""

from __future__ import annotations

import time


class Phases:
    """A run cut into phases that follow each other; one may come again.

    Args:
        first: The phase that begins now.
    """

    def __init__(self, first: str) -> None:
        self._seconds: dict[str, float] = {}
        self._current, self._since = first, time.monotonic()

    def turn(self, name: str) -> None:
        """End the phase that runs, and begin another."""
        now = time.monotonic()
        self._seconds[self._current] = self._seconds.get(self._current, 0.0) + now - self._since
        self._current, self._since = name, now

    def seconds(self) -> dict[str, float]:
        """Seconds by phase up to now, in the order in which they first ended."""
        self.turn(self._current)
        return dict(self._seconds)
