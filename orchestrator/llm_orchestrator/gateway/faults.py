"""What callers are told when no provider answered."""

from __future__ import annotations

import math

from llm_orchestrator.errors import ApiError, error_body, type_of
from llm_orchestrator.gateway.attempts import AllFailed
from llm_orchestrator.upstream.protocol import UpstreamError

# The request is at fault, or the caller can do something about it: the provider's own status.
_PASSED_ON = frozenset({400, 404, 413, 415, 422, 429, 503, 504})
_INSTEAD = {408: 504, 529: 503}


def status_of(error: UpstreamError) -> int:
    """Return the status a caller gets: a provider's refused key, say, is not the caller's key."""
    if error.status in _PASSED_ON:
        return error.status
    return _INSTEAD.get(error.status, 502)


def to_api_error(failed: AllFailed) -> ApiError:
    """Turn the last failure into the answer."""
    error, provider = failed.error, failed.candidate.provider.name
    status = status_of(error)
    wait = error.retry_after
    return ApiError(
        status,
        describe(error, provider),
        type=type_of(status),
        code=error.code,
        param=error.param,
        headers={} if wait is None else {"Retry-After": str(math.ceil(wait))},
    )


def to_event(error: UpstreamError, provider: str) -> dict[str, object]:
    """Turn a failure in the middle of a stream into the body of its last event."""
    return error_body(describe(error, provider), type_of(status_of(error)), code=error.code)


def describe(error: UpstreamError, provider: str) -> str:
    """Say what went wrong and at whom, for the caller and for the log."""
    if error.status in {401, 402, 403}:
        # What a provider says of a key is for its owner, who finds it in the provider's health.
        return f"{provider}: the provider refused the key it was configured with"
    return f"{provider}: {error.message}"
