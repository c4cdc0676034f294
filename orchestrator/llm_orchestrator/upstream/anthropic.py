"""Anthropic's Messages API behind OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlencode

import aiohttp

from llm_orchestrator.upstream.anthropic_answer import StreamTranslation, translate_answer
from llm_orchestrator.upstream.anthropic_request import translate_request
from llm_orchestrator.upstream.events import count_usage, read_blocks, read_data
from llm_orchestrator.upstream.exchange import (
    MOST_PAGES,
    Exchange,
    decode,
    encode,
    join_url,
    read_names,
    refuse_embeddings,
)
from llm_orchestrator.upstream.protocol import Answer, Call, Chunk, Target, UpstreamBroken

DEFAULT_URL = "https://api.anthropic.com/v1"
API_VERSION = "2023-06-01"


class Anthropic:
    """A service that speaks Anthropic's Messages API."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._exchange = Exchange(client)

    async def complete(self, call: Call) -> Answer:
        """Ask for a message and translate it."""
        url = join_url(call.target, DEFAULT_URL, "messages")
        request = translate_request(call.body, call.model)
        data = await self._exchange.post(
            url, call.target, _headers(call.target), request, call.timeout
        )
        completion = translate_answer(decode(data, "answer", call.target))
        return Answer(encode(completion), count_usage(completion["usage"]))

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask for a message in parts and translate each."""
        url = join_url(call.target, DEFAULT_URL, "messages")
        request = {**translate_request(call.body, call.model), "stream": True}
        translation = StreamTranslation(call.target)
        headers = _headers(call.target)
        async with (
            self._exchange.stream(url, call.target, headers, request, call.timeout) as parts,
            aclosing(read_blocks(parts)) as blocks,
        ):
            async for block in blocks:
                for data in read_data(block):
                    for chunk in translation.translate(decode(data, "stream", call.target)):
                        yield chunk
                if translation.complete:
                    return
        raise UpstreamBroken("the provider's stream ended before it was complete")

    async def embed(self, call: Call) -> Answer:
        """Say that there are none."""
        raise refuse_embeddings("Anthropic's API")

    async def probe(self, target: Target, timeout: float) -> None:
        """List one model: free of charge, and it needs the key."""
        url = join_url(target, DEFAULT_URL, "models?limit=1")
        data = await self._exchange.get(url, target, _headers(target), timeout)
        decode(data, "list of models", target)

    async def list_models(self, target: Target, timeout: float) -> list[str]:
        """List the models, page by page."""
        names: list[str] = []
        query = {"limit": "1000"}
        for _ in range(MOST_PAGES):
            url = join_url(target, DEFAULT_URL, f"models?{urlencode(query)}")
            data = await self._exchange.get(url, target, _headers(target), timeout)
            page = decode(data, "list of models", target)
            names += read_names(page, "data", "id")
            if page.get("has_more") is not True or not isinstance(page.get("last_id"), str):
                break
            query["after_id"] = page["last_id"]
        return names


def _headers(target: Target) -> dict[str, str]:
    return {"x-api-key": target.api_key, "anthropic-version": API_VERSION}
