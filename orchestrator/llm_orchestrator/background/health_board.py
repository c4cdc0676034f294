"""How each provider does, in memory: what routing asks and what probes and requests tell."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# One failed probe may be chance; the second and third follow within seconds.
FAILED_PROBES = 3
# Requests fail for reasons of their own and are retried, so without a probe it takes more of them:
# one request that a provider can't stand must not shut out all others.
FAILED_REQUESTS = 10
# Seconds to the second look after a first failure; each further failure doubles it.
_FIRST_RETRY = 2.0
# The longest wait between two looks at a failing provider, in intervals.
_LONGEST_RETRY = 5
# The success rate is that of about so many outcomes.
_REMEMBERED = 100
_LONGEST_ERROR = 500


def _utc() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class Health:
    """What is known of one provider; the fields are those of `provider_health`.

    `is_healthy` is None until something was heard of it since the start; `success_rate` is in
    percent.
    """

    is_healthy: bool | None = None
    error_count: int = 0
    last_error: str | None = None
    last_status_code: int | None = None
    last_validated_at: dt.datetime | None = None
    last_success_at: dt.datetime | None = None
    next_retry_at: dt.datetime | None = None
    consecutive_successes: int = 0
    consecutive_failures: int = 0
    response_time_ms: float = 0.0
    error_message: str | None = None
    last_check: dt.datetime | None = None
    success_rate: float = 100.0
    outcomes: int = 0
    # Probes can't tell; what is not known otherwise must not be shown as well.
    undecided: bool = False
    # Moments of the board's clock.
    due: float = field(default=float("-inf"))
    retry: float = field(default=float("-inf"))
    waits: int = 0

    def count(self, succeeded: bool) -> None:
        """Let one outcome weigh in: the mean of the first hundred, then a sliding one."""
        self.outcomes = min(self.outcomes + 1, _REMEMBERED)
        self.success_rate += ((100.0 if succeeded else 0.0) - self.success_rate) / self.outcomes


class HealthBoard:
    """Health by provider id. Belongs to the event loop: no locks."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with nothing known.

        Args:
            interval: Seconds between two probes of a provider; 0 where nobody probes.
            clock: Seconds.
        """
        self._interval = interval
        self._clock = clock
        self._known: dict[int, Health] = {}
        self._changed: set[int] = set()

    def healthy(self, provider_id: int) -> bool | None:
        """Whether to send requests there; None: nothing is known, so try.

        Where nobody probes, requests must find out: a provider counts as unknown again when its
        time to retry has come.
        """
        known = self._known.get(provider_id)
        if known is None:
            return None
        if known.is_healthy is False and not self._interval and self._clock() >= known.retry:
            return None
        return known.is_healthy

    def health(self, provider_id: int) -> Health:
        """Give what is known of a provider."""
        return self._known.setdefault(provider_id, Health())

    def succeeded(self, provider_id: int, milliseconds: float) -> None:
        """Hear that a request or a probe was answered; one is enough to be healthy."""
        health = self.health(provider_id)
        now = _utc()
        health.count(True)
        health.is_healthy = True
        health.consecutive_successes += 1
        health.consecutive_failures = 0
        health.retry, health.waits = float("-inf"), 0
        health.response_time_ms = milliseconds
        health.error_message = None
        health.next_retry_at = None
        health.last_success_at = health.last_check = now
        self._changed.add(provider_id)

    def failed(
        self, provider_id: int, message: str, status: int | None = None, *, probe: bool = False
    ) -> None:
        """Hear of a failure that is the provider's own: not of a request's fault, nor of a limit.

        Args:
            provider_id: Which one.
            message: What went wrong, without any key.
            status: What it answered, if it did.
            probe: It was no request that failed.
        """
        health = self.health(provider_id)
        now = _utc()
        health.count(False)
        health.error_count += 1
        health.consecutive_failures += 1
        health.consecutive_successes = 0
        health.last_error = health.error_message = message[:_LONGEST_ERROR]
        health.last_status_code = status
        health.last_check = now
        enough = FAILED_PROBES if probe else FAILED_REQUESTS
        if health.consecutive_failures >= enough:
            health.is_healthy = False
        self._back_off(health, now)
        self._changed.add(provider_id)

    def probed(self, provider_id: int, status: int | None = None) -> None:
        """Hear that a probe ended, however: the next is due in an interval, sooner if it failed."""
        health = self.health(provider_id)
        health.last_validated_at = _utc()
        if status is not None:
            health.last_status_code = status
        now = self._clock()
        health.due = health.retry if health.retry > now else now + self._interval
        self._changed.add(provider_id)

    def undecided(self, provider_id: int) -> None:
        """Hear that a probe can't tell: requests must find out.

        The failures are not forgotten: one more and it is unhealthy again, for longer.
        """
        health = self.health(provider_id)
        health.undecided = True
        if health.is_healthy is False:
            health.is_healthy = None
        self._changed.add(provider_id)

    def is_due(self, provider_id: int) -> bool:
        """Whether it is time to probe."""
        return bool(self._interval) and self._clock() >= self.health(provider_id).due

    def changed(self) -> frozenset[int]:
        """Give the ids that something was heard of since this was last asked."""
        changed = frozenset(self._changed)
        self._changed.clear()
        return changed

    def mark_changed(self, provider_ids: Iterable[int]) -> None:
        """Give them back with `changed` once more: they could not be written."""
        self._changed.update(provider_ids)

    def remember(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up the counts that `provider_health` holds; what they say of today is not known."""
        for row in rows:
            health = self.health(row["provider_id"])
            health.error_count = row["error_count"] or 0
            rate = row["success_rate"]
            health.success_rate = 100.0 if rate is None else rate
            # As if it were the mean of a few: the first outcomes of today shall show.
            health.outcomes = _REMEMBERED // 5
            health.last_error = row["last_error"]
            health.last_status_code = row["last_status_code"]
            health.last_success_at = row["last_success_at"]

    def forget(self, keep: Iterable[int]) -> None:
        """Drop the providers that are not among these ids."""
        kept = set(keep)
        self._known = {key: health for key, health in self._known.items() if key in kept}
        self._changed &= kept

    def _back_off(self, health: Health, now: dt.datetime) -> None:
        """Set when to look again. Many failures at once are one: only time makes waits longer."""
        moment = self._clock()
        if moment < health.retry:
            return
        health.waits += 1
        interval = self._interval or 60.0
        first = min(_FIRST_RETRY, interval)
        wait = min(first * 2 ** min(health.waits - 1, 20), interval * _LONGEST_RETRY)
        health.retry = moment + wait
        health.next_retry_at = now + dt.timedelta(seconds=wait)
        # The probe that was to come may be far off, or due already.
        health.due = min(health.due, health.retry) if health.due > moment else health.retry
