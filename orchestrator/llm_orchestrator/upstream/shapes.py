"""Translating what has another shape than its protocol says: an error, never a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llm_orchestrator.upstream.protocol import UpstreamBroken, UpstreamError, Verdict

# What reading a value of an unexpected type, or one that is not there, or too deep, ends in.
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)


@contextmanager
def reading_request() -> Iterator[None]:
    """Turn a request's odd shape into an UpstreamError that goes back to the caller."""
    try:
        yield
    except _MISSHAPEN as error:
        raise UpstreamError(
            f"the request can't be translated for this provider: {type(error).__name__}: {error}",
            status=400,
            verdict=Verdict.RETURN,
            code="invalid_value",
            type="invalid_request_error",
        ) from error


@contextmanager
def reading_answer() -> Iterator[None]:
    """Turn an answer's odd shape into UpstreamBroken."""
    try:
        yield
    except _MISSHAPEN as error:
        raise UpstreamBroken(
            f"the provider's answer is not in its protocol: {type(error).__name__}: {error}"
        ) from error
