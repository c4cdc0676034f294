"""What is kept of one request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One finished request, on its way to `request_logs` and `provider_stats`.

    Attributes:
        endpoint: The path that was called, such as `/v1/chat/completions`.
        status_code: What the caller got; for a stream, how it ended (499: the caller left).
        latency_ms: From the request's arrival to the last byte of its answer.
        provider_id: Who answered, or failed last; None where nobody was asked.
        model: The name that the caller asked for.
        method: The HTTP method.
        error_message: What went wrong, None where nothing did.
        prompt_tokens: As the provider counted them, 0 where it did not say.
        completion_tokens: As the provider counted them, 0 where it did not say.
        cost: In the currency of the provider's prices; None where no price is known.
        user_id: A hash of the caller's key, never the key.
        ip_address: The caller's address.
        created_at: When the entry was made; UTC.
    """

    endpoint: str
    status_code: int
    latency_ms: int
    provider_id: int | None = None
    model: str | None = None
    method: str = "POST"
    error_message: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    user_id: str | None = None
    ip_address: str | None = None
    created_at: dt.datetime = field(default_factory=_now)

    @property
    def succeeded(self) -> bool:
        """Whether the caller got what it asked for."""
        return self.status_code < 400
