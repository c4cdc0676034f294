"""How long to wait before a service is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waits with full jitter.

    Attributes:
        first: Seconds of which the first wait is at most; each wait's bound is twice the last's.
        longest: Seconds that no wait is longer than, unless the service itself asks for more.
        patience: A service that asks for a longer wait is left alone when there is another.
        chance: Where the jitter comes from.
    """

    first: float = 0.25
    longest: float = 8.0
    patience: float = 3.0
    chance: random.Random = field(default_factory=random.Random)

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds to wait after an attempt, the first being 0."""
        jitter = self.chance.uniform(0, min(self.longest, self.first * 2**attempt))
        # Not all who were sent away come back at the same moment.
        return jitter if retry_after is None else retry_after + min(jitter, self.first)
