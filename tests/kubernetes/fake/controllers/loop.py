"""What makes controllers act: changes of what they watch, and time."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests.kubernetes.fake.refusals import Refused
from tests.kubernetes.fake.resources import Resource
from tests.kubernetes.fake.state import State
from tests.kubernetes.fake.store import Change

# Controllers see things late; a client that trusts a status at once shall be found out.
LAG = 0.012

# Does what is to be done; returns the seconds after which to look again, or None.
Reconcile = Callable[[State], float | None]


@dataclass(frozen=True)
class Controller:
    """One controller: what it does, and the kinds whose changes make it look."""

    reconcile: Reconcile
    watches: frozenset[Resource]

    async def live(self, state: State) -> None:
        woken = asyncio.Event()

        def changed(change: Change) -> None:
            if change.resource in self.watches:
                woken.set()

        state.store.listeners.append(changed)
        woken.set()
        again: float | None = None
        while True:
            try:
                # Not wait_for: before Python 3.12 it can lose a cancellation.
                async with asyncio.timeout(again):
                    await woken.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(LAG)
            woken.clear()
            again = self._act(state)

    def _act(self, state: State) -> float | None:
        try:
            return self.reconcile(state)
        except Refused as refusal:
            if "being terminated" not in refusal.body["message"]:
                state.troubles.append(traceback.format_exc())
            return 0.1  # as any controller: what it can't make now it tries again
        except Exception:  # noqa: BLE001 (kept for the test to see; a controller goes on)
            state.troubles.append(traceback.format_exc())
            return 0.1


def soonest(first: float | None, second: float | None) -> float | None:
    """The earlier of two times to look again."""
    times = [each for each in (first, second) if each is not None]
    return max(min(times), 0.005) if times else None
