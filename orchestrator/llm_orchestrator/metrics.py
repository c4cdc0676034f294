"""What `/metrics` tells: a registry of this application's own, so that several run in a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from llm_orchestrator import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from an answer out of a local model to one that a patient client waits for.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# A provider names its errors itself: so many are told apart, each of so many characters.
_MOST_OUTCOMES = 50
_LONGEST_OUTCOME = 64


class LogCounts(Protocol):
    """What the log writer tells of itself."""

    @property
    def written(self) -> int:
        """Rows in the database."""

    @property
    def dropped_full(self) -> int:
        """Not queued."""

    @property
    def dropped_failed(self) -> int:
        """Not taken by the database."""


class LogQueue(Protocol):
    """The log writer, as far as it is watched."""

    @property
    def waiting(self) -> int:
        """Entries that are queued."""

    @property
    def tally(self) -> LogCounts:
        """What became of the others."""


class Metrics:
    """Counters of requests, tokens and attempts; the state of logs and providers.

    Labels are names out of the configuration, never what a caller made up: pass None for a model
    that is not configured, or every misspelling becomes a series.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge("llm_orchestrator_build", "Always 1", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self._requests = Counter(
            "llm_requests",
            "Finished requests",
            ["endpoint", "model", "provider", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "llm_request_seconds",
            "From a request's arrival to its answer's last byte",
            ["endpoint", "model", "provider"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "llm_tokens",
            "Tokens as the providers count them",
            ["model", "provider", "kind"],
            registry=self.registry,
        )
        self._attempts = Counter(
            "llm_upstream_attempts",
            "Calls to providers, retries included",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self._outcomes: set[str] = set()
        self._limited = Counter(
            "llm_rate_limited", "Requests refused by the rate limit", registry=self.registry
        )
        self._overload = Counter(
            "llm_overload_refused",
            "Requests refused because too many were under way",
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "llm_requests_in_flight", "Requests under way", registry=self.registry
        )
        self._healthy = Gauge(
            "llm_provider_healthy", "1 or 0", ["provider"], registry=self.registry
        )

    def watch_logs(self, queue: LogQueue) -> None:
        """Tell of the log writer whenever somebody asks."""
        self.registry.register(_LogCollector(queue))

    def observe_request(
        self,
        *,
        endpoint: str,
        model: str | None,
        provider: str | None,
        status: int,
        seconds: float,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        """Count a finished request.

        Args:
            endpoint: The route that took it.
            model: A configured model's name.
            provider: The name of who answered.
            status: The HTTP status that it ended with.
            seconds: From its arrival to its answer's last byte.
            prompt_tokens: As the provider counted.
            completion_tokens: As the provider counted.
        """
        names = (endpoint, model or "", provider or "")
        self._requests.labels(*names, str(status)).inc()
        self._seconds.labels(*names).observe(seconds)
        if prompt_tokens > 0:
            self._tokens.labels(*names[1:], "prompt").inc(prompt_tokens)
        if completion_tokens > 0:
            self._tokens.labels(*names[1:], "completion").inc(completion_tokens)

    def observe_attempt(self, provider: str, outcome: str) -> None:
        """Count one call to a provider; the outcome is `ok` or a kind of failure."""
        if outcome not in self._outcomes:
            if len(self._outcomes) >= _MOST_OUTCOMES or len(outcome) > _LONGEST_OUTCOME:
                outcome = "other"
            self._outcomes.add(outcome)
        self._attempts.labels(provider, outcome).inc()

    def observe_limited(self) -> None:
        """Count a request that the rate limit refused."""
        self._limited.inc()

    def observe_overload(self) -> None:
        """Count a request that was refused because too many were under way."""
        self._overload.inc()

    def tell_health(self, provider: str, healthy: bool) -> None:
        """Set a provider's state."""
        self._healthy.labels(provider).set(1 if healthy else 0)

    def forget_provider(self, provider: str) -> None:
        """Take away the state of a provider that is no longer watched."""
        self._healthy.remove_by_labels({"provider": provider})

    def render(self) -> bytes:
        """Prometheus's text format; its type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _LogCollector:
    def __init__(self, queue: LogQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "llm_logs_waiting", "Request logs in the queue", value=self._queue.waiting
        )
        tally = self._queue.tally
        yield CounterMetricFamily(
            "llm_logs_written", "Request logs in the database", value=tally.written
        )
        dropped = CounterMetricFamily(
            "llm_logs_dropped", "Request logs lost: no room, or not stored", labels=["why"]
        )
        dropped.add_metric(["queue full"], tally.dropped_full)
        dropped.add_metric(["database"], tally.dropped_failed)
        yield dropped
