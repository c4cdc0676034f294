"""Transactions that are not broken off in their middle."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await a transaction; cancelled meanwhile, wait until it has ended, then be cancelled.

    SQLite's side of it runs in a thread that nothing stops. Left alone while it waits for the lock
    of the database, it gets that later and keeps it, and who writes next waits in vain: at the end
    of the service those are the request logs.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains that nobody did
        raise
