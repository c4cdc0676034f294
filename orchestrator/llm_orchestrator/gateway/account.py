"""What is kept of a request: one log entry, its metrics, and how each provider did."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from llm_orchestrator.background.log_entry import LogEntry
from llm_orchestrator.gateway.routing import Candidate
from llm_orchestrator.state import State
from llm_orchestrator.upstream.protocol import UpstreamError, Usage, Verdict

# The caller left before the end; nginx's number for it.
LEFT = 499


@dataclass
class Account:
    """One request from its arrival to its end, which is told once."""

    state: State
    endpoint: str
    model: str
    user_id: str
    ip_address: str | None
    started: float = field(default_factory=time.monotonic)
    candidate: Candidate | None = None
    usage: Usage = field(default_factory=Usage)
    model_known: bool = False
    _closed: bool = False

    def close(self, status: int, error: str | None = None) -> None:
        """Log the request with the status that it ended with; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        seconds = time.monotonic() - self.started
        provider = self.candidate.provider if self.candidate else None
        self.state.log_writer.put(
            LogEntry(
                endpoint=self.endpoint,
                status_code=status,
                latency_ms=round(seconds * 1000),
                provider_id=provider.id if provider else None,
                model=self.model,
                error_message=error,
                prompt_tokens=self.usage.prompt_tokens,
                completion_tokens=self.usage.completion_tokens,
                user_id=self.user_id,
                ip_address=self.ip_address,
            )
        )
        self.state.metrics.observe_request(
            endpoint=self.endpoint,
            model=self.model if self.model_known else None,
            provider=provider.name if provider else None,
            status=status,
            seconds=seconds,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
        )

    async def admit(self, candidate: Candidate) -> UpstreamError | None:
        """Hold a provider's own rate limit: who is over it is not asked."""
        provider = candidate.provider
        refusal = await self.state.limiter.check_provider(provider.id, provider.rate_limit)
        if refusal is None:
            return None
        return UpstreamError(
            "the rate limit set for this provider is reached",
            status=429,
            verdict=Verdict.NEXT,
            code="provider_rate_limited",
            retry_after=refusal.seconds,
        )

    def succeeded(self, candidate: Candidate, seconds: float) -> None:
        """Note that a provider answered, or began to."""
        self.candidate = candidate
        self.state.metrics.observe_attempt(candidate.provider.name, "ok")
        self.state.health.succeeded(candidate.provider.id, seconds * 1000)

    def failed(self, candidate: Candidate, error: UpstreamError) -> None:
        """Note that a provider failed; only what is its own fault counts against its health."""
        self.candidate = candidate
        self.state.metrics.observe_attempt(candidate.provider.name, error.code)
        if error.blames_provider:
            self.state.health.failed(candidate.provider.id, error.message, error.status)
