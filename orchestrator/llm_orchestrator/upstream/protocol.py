"""What the gateway asks of an upstream service, and what it gets back or is told instead.

Everything here is in OpenAI's shapes: an adapter translates what its service speaks into them.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service is and the key it wants."""

    base_url: str | None
    api_key: str

    def __repr__(self) -> str:
        """Without the key: a target may end up in a log."""
        return f"Target(base_url={self.base_url!r})"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a service.

    `body` is the caller's request in OpenAI's shape without the gateway's own fields; `model` is
    the service's name of the model; `timeout` is in seconds, for connecting and for every wait.
    """

    target: Target
    model: str
    body: Json
    timeout: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: OpenAI's JSON as it goes to the caller, and what it used if it says so."""

    body: bytes
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of a stream: whole server-sent events as they go to the caller, never `[DONE]`.

    `last` is set where the adapter knows already that the stream is complete with this part.
    """

    data: bytes
    usage: Usage | None = None
    last: bool = False


class Verdict(enum.Enum):
    """What can sensibly follow a failed call."""

    # The same again may succeed.
    RETRY = "retry"
    # The same again fails again, but another provider may answer.
    NEXT = "next"
    # The request itself is at fault: the caller has to know.
    RETURN = "return"


def _sayable(text: str) -> str:
    """Return a service's text as it can be sent on and stored: without halves of surrogate pairs.

    JSON can hold them, and a service that shortens its messages may cut a pair in two.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


class UpstreamError(Exception):
    """A service did not answer as asked.

    Arguments: `status` as the service said it (502 and 504 where it said nothing), the message
    without any key in it, OpenAI's `code`, `param` and `type`, `retry_after` in seconds, and
    whether the fault is the provider's (`blames_provider`), not the request's or a passing limit.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        verdict: Verdict,
        code: str,
        type: str = "upstream_error",  # noqa: A002 - OpenAI's word for it
        param: str | None = None,
        retry_after: float | None = None,
        blames_provider: bool = False,
    ) -> None:
        self.message = _sayable(message)
        super().__init__(self.message)
        self.status = status
        self.verdict = verdict
        self.code = _sayable(code)
        self.type = type
        self.param = None if param is None else _sayable(param)
        self.retry_after = retry_after
        self.blames_provider = blames_provider


class UpstreamTimeout(UpstreamError):
    """No answer, or no next part of it, in time. Another attempt would cost as much again."""

    def __init__(self, message: str = "the provider did not answer in time") -> None:
        super().__init__(
            message,
            status=504,
            verdict=Verdict.NEXT,
            code="upstream_timeout",
            blames_provider=True,
        )


class UpstreamUnreachable(UpstreamError):
    """No connection."""

    def __init__(self, message: str, *, verdict: Verdict = Verdict.RETRY) -> None:
        super().__init__(
            message,
            status=502,
            verdict=verdict,
            code="upstream_unreachable",
            blames_provider=True,
        )


class UpstreamBroken(UpstreamError):
    """An answer that breaks off, or is none in the service's own protocol."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            status=502,
            verdict=Verdict.RETRY,
            code="upstream_broken",
            blames_provider=True,
        )


class Unsupported(UpstreamError):
    """The service's protocol has no way to say what the request asks for."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(
            message,
            status=400,
            verdict=Verdict.NEXT,
            code="unsupported_by_provider",
            type="invalid_request_error",
            param=param,
        )


class Upstream(Protocol):
    """A protocol that a service speaks. Every method raises UpstreamError alone."""

    async def complete(self, call: Call) -> Answer:
        """Ask for a chat completion and wait for all of it."""

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask for a chat completion in parts. Ends when it is complete, raises when it breaks.

        Closing the generator closes the connection.
        """

    async def embed(self, call: Call) -> Answer:
        """Ask for embeddings."""

    async def probe(self, target: Target, timeout: float) -> None:
        """Make the service's cheapest call that needs the key; seconds to wait at most."""

    async def list_models(self, target: Target, timeout: float) -> list[str]:
        """Ask which models the service has; seconds to wait at most for each page."""
