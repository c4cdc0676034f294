"""Waiting for somebody else's lock in small steps, so that Ctrl-C is heard in between.

SQLite's own busy handler sleeps in C, where Python delivers no signal until it is over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from orchctl.errors import LockHeld

Answer = TypeVar("Answer")
# Seconds that a single try may wait inside SQLite.
STEP = 0.1


def patiently(ask: Callable[[], Answer], timeout: float) -> Answer:
    """Call `ask` again while the database is locked, until `timeout` seconds are over.

    Args:
        ask: Raises LockHeld after waiting for `STEP` seconds at most.
        timeout: Seconds in all.

    Raises:
        LockHeld: Still locked.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return ask()
        except LockHeld as error:
            if error.code != "database-locked" or time.monotonic() >= deadline:
                error.message += f", waited {timeout:g}s"
                raise
        # Jitter: several that wait must not come back in step.
        time.sleep(0.01 + os.urandom(1)[0] / 10_000)
