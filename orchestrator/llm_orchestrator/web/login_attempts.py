"""How often a wrong admin key may be tried from one place."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

ALLOWED = 5
WINDOW_SECONDS = 300.0
# More places than this are not told apart: memory stays bounded however many ask.
PLACES = 10_000


@dataclass
class LoginAttempts:
    """Counts wrong keys by the address they come from, over the last WINDOW_SECONDS."""

    clock: Callable[[], float] = time.monotonic
    failures: dict[str, list[float]] = field(default_factory=dict)

    def wait(self, address: str) -> int:
        """Return the seconds until another attempt is taken; 0 is now."""
        recent = self._recent(_place(address))
        if len(recent) < ALLOWED:
            return 0
        return max(1, math.ceil(recent[-ALLOWED] + WINDOW_SECONDS - self.clock()))

    def note_failure(self, address: str) -> int:
        """Count a wrong key; returns how many more may be tried."""
        place = _place(address)
        recent = self._recent(place)
        if place not in self.failures and len(self.failures) >= PLACES:
            self._forget()
        self.failures[place] = [*recent, self.clock()]
        return max(0, ALLOWED - len(recent) - 1)

    def note_success(self, address: str) -> None:
        """Forget the wrong keys of an address: its owner knows the right one."""
        self.failures.pop(_place(address), None)

    def _recent(self, place: str) -> list[float]:
        since = self.clock() - WINDOW_SECONDS
        return [moment for moment in self.failures.get(place, []) if moment > since]

    def _forget(self) -> None:
        """Drop what has passed; where all is recent, the half that was quiet longest."""
        kept = {place: recent for place in self.failures if (recent := self._recent(place))}
        if len(kept) >= PLACES:
            newest = sorted(kept, key=lambda place: kept[place][-1])[PLACES // 2 :]
            kept = {place: kept[place] for place in newest}
        self.failures = kept


def _place(address: str) -> str:
    """Return what is counted for an address: of IPv6 the /64, for a household has all of one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False))
