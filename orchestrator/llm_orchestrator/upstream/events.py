"""Server-sent events: reading them from a service, and OpenAI's shapes of them for the caller."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from llm_orchestrator.upstream.protocol import Chunk, Json, UpstreamBroken, Usage

# Bytes of the longest event that is waited for: a picture in base64 has its place in one.
MOST_EVENT_BYTES = 32 * 2**20


async def read_blocks(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Cut what comes into blocks of whole events, each ending in an empty line, as it comes.

    Line ends become single newlines. What is left at the end without an empty line is a block too.
    Raises UpstreamBroken for an event that does not end.
    """
    rest = b""
    async for part in parts:
        rest = rest + part if rest else part
        if b"\r" in rest:
            # A lone \r at the end may be half of a line end.
            held = b"\r" if rest.endswith(b"\r") else b""
            rest = rest[: len(rest) - len(held)].replace(b"\r\n", b"\n") + held
        cut = rest.rfind(b"\n\n")
        if cut >= 0:
            yield rest[: cut + 2]
            rest = rest[cut + 2 :]
        elif len(rest) > MOST_EVENT_BYTES:
            raise UpstreamBroken(
                f"an event of the provider's stream is over {MOST_EVENT_BYTES} bytes"
            )
    if rest.strip():
        yield rest.rstrip() + b"\n\n"


def read_data(block: bytes) -> list[bytes]:
    """Return the data of each event in a block; comments and events without data have none."""
    found = []
    for event in block.split(b"\n\n"):
        lines = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if lines:
            found.append(b"\n".join(lines))
    return found


def write_event(body: Json) -> bytes:
    """Write one event as OpenAI does: data alone."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n\n"


class ChunkWriter:
    """Writes a translated stream's events: one id, time and model for all of them."""

    def __init__(self, identifier: str, model: str) -> None:
        self._head: Json = {
            "id": identifier,
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }

    def delta(self, delta: Json, finish_reason: str | None = None, index: int = 0) -> bytes:
        """Write what is new in one choice."""
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        return write_event({**self._head, "choices": [choice], "usage": None})

    def usage(self, usage: Json) -> Chunk:
        """Write the last event before `[DONE]`: no choices, what the whole answer used."""
        data = write_event({**self._head, "choices": [], "usage": usage})
        return Chunk(data, count_usage(usage))


def count_usage(usage: Any) -> Usage | None:
    """Read OpenAI's usage object; None when it is none."""
    if not isinstance(usage, dict):
        return None
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: Any) -> int:
    # JSON as Python reads it has infinity and NaN.
    known = isinstance(value, int | float) and 0 <= value < float("inf")
    return int(value) if known else 0


def make_usage(
    prompt: int, completion: int, *, cached: int = 0, reasoning: int | None = None
) -> Json:
    """Make OpenAI's usage object."""
    usage: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def make_completion(identifier: str, model: str, choices: list[Json], usage: Json) -> Json:
    """Make OpenAI's chat completion object."""
    return {
        "id": identifier,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": usage,
    }


def new_id(prefix: str) -> str:
    """Make an identifier that nobody else has."""
    return f"{prefix}{uuid.uuid4().hex}"
