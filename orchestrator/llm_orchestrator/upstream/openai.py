"""OpenAI's protocol, and every server that speaks it: passed on, not translated.

Source: OpenAI's API reference, "Chat Completions" and "Embeddings". Fields that are not known here
go through both ways. Only two things are changed in a request: the model's name, and that a
stream reports its usage.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import aiohttp

from llm_orchestrator.upstream.events import count_usage, read_blocks, read_data
from llm_orchestrator.upstream.exchange import (
    Exchange,
    decode,
    describe_error,
    join_url,
    read_names,
)
from llm_orchestrator.upstream.protocol import (
    Answer,
    Call,
    Chunk,
    Json,
    Target,
    UpstreamBroken,
    Usage,
)

DEFAULT_URL = "https://api.openai.com/v1"
# Quotes inside a JSON string are escaped, so these match members of an object alone.
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
_DONE = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)


class OpenAI:
    """A service that speaks OpenAI's protocol."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._exchange = Exchange(client)

    async def complete(self, call: Call) -> Answer:
        """Ask for a chat completion; the answer goes on as it came."""
        return await self._post(call, "chat/completions", "choices")

    async def embed(self, call: Call) -> Answer:
        """Ask for embeddings; the answer goes on as it came."""
        return await self._post(call, "embeddings", "data")

    async def _post(self, call: Call, path: str, member: str) -> Answer:
        url = join_url(call.target, DEFAULT_URL, path)
        body = {**call.body, "model": call.model}
        data = await self._exchange.post(
            url, call.target, _headers(call.target), body, call.timeout
        )
        answer = decode(data, "answer", call.target)
        if not isinstance(answer.get(member), list):
            raise _describe_odd_answer(answer, call.target, member)
        return Answer(data, count_usage(answer.get("usage")))

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask for a chat completion in parts; the parts go on as they came, but for `[DONE]`."""
        url = join_url(call.target, DEFAULT_URL, "chat/completions")
        options = call.body.get("stream_options")
        options = options if isinstance(options, dict) else {}
        body = {
            **call.body,
            "model": call.model,
            "stream": True,
            "stream_options": {**options, "include_usage": True},
        }
        headers = _headers(call.target)
        async with (
            self._exchange.stream(url, call.target, headers, body, call.timeout) as parts,
            aclosing(_relay(parts, call.target)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk

    async def probe(self, target: Target, timeout: float) -> None:
        """List the models: free of charge, and it needs the key."""
        url = join_url(target, DEFAULT_URL, "models")
        data = await self._exchange.get(url, target, _headers(target), timeout)
        decode(data, "list of models", target)

    async def list_models(self, target: Target, timeout: float) -> list[str]:
        """List the models; the protocol has no pages."""
        url = join_url(target, DEFAULT_URL, "models")
        data = await self._exchange.get(url, target, _headers(target), timeout)
        return read_names(decode(data, "list of models", target), "data", "id")


def _headers(target: Target) -> dict[str, str]:
    return {"authorization": f"Bearer {target.api_key}"}


def _describe_odd_answer(answer: Json, target: Target, member: str) -> Exception:
    """Some servers say 200 and put an error into the body."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return UpstreamBroken(f"the provider's answer has no list of {member}")
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return describe_error(status, error, target)


async def _relay(parts: AsyncIterator[bytes], target: Target) -> AsyncGenerator[Chunk, None]:
    started = finished = False
    async with aclosing(read_blocks(parts)) as blocks:
        async for whole in blocks:
            # Looking for a word first costs a tenth of looking for it in its place.
            done = _DONE.search(whole) if b"[DONE]" in whole else None
            block = whole[: done.start()] if done else whole
            # Inside a text the quotes would be escaped.
            if b'"error"' in block:
                _raise_error(block, target)
            # Comments before the first event are no beginning: another provider could still answer.
            if not started and (data := read_data(block)):
                _check_first(data[0], target)
                started = True
            if started and block:
                finished = finished or _FINISHED.search(block) is not None
                usage = _find_usage(block, target) if _USAGE.search(block) else None
                yield Chunk(block, usage, last=done is not None)
            if done:
                return
    if not finished:
        raise UpstreamBroken("the provider's stream ended before it was complete")


def _check_first(data: bytes, target: Target) -> None:
    """See that the service speaks the protocol at all, while another could still answer."""
    first = decode(data, "stream", target)
    if not isinstance(first.get("choices"), list):
        raise UpstreamBroken("the provider's stream has no choices")


def _raise_error(block: bytes, target: Target) -> None:
    """Raise what an event says went wrong. OpenRouter's have choices beside the error.

    Some services have `error` in every event, null while all is well.
    """
    for data in read_data(block):
        error = decode(data, "stream", target).get("error") if b'"error"' in data else None
        if error:
            details = error if isinstance(error, dict) else {"message": str(error)}
            raise _describe_odd_answer({"error": details}, target, "choices")


def _find_usage(block: bytes, target: Target) -> Usage | None:
    usage = None
    for data in read_data(block):
        if _USAGE.search(data):
            usage = count_usage(decode(data, "stream", target).get("usage")) or usage
    return usage
