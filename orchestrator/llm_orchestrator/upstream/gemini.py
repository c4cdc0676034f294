"""Gemini's generateContent behind OpenAI's chat completions and embeddings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote, urlencode

import aiohttp

from llm_orchestrator.upstream.events import count_usage, read_blocks, read_data
from llm_orchestrator.upstream.exchange import (
    MOST_PAGES,
    Exchange,
    decode,
    encode,
    join_url,
    read_names,
)
from llm_orchestrator.upstream.gemini_answer import (
    StreamTranslation,
    translate_answer,
    translate_embeddings,
)
from llm_orchestrator.upstream.gemini_request import translate_request
from llm_orchestrator.upstream.protocol import Answer, Call, Chunk, Json, Target, Unsupported

DEFAULT_URL = "https://generativelanguage.googleapis.com/v1beta"


class Gemini:
    """A service that speaks the Gemini API."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._exchange = Exchange(client)

    async def complete(self, call: Call) -> Answer:
        """Ask for an answer and translate it."""
        request = translate_request(call.body, call.model)
        answer = translate_answer(await self._post(call, "generateContent", request), call.model)
        return Answer(encode(answer), count_usage(answer["usage"]))

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask for an answer in parts and translate each."""
        url = _locate(call, "streamGenerateContent?alt=sse")
        request = translate_request(call.body, call.model)
        translation = StreamTranslation(call.target, call.model)
        headers = _headers(call.target)
        async with (
            self._exchange.stream(url, call.target, headers, request, call.timeout) as parts,
            aclosing(read_blocks(parts)) as blocks,
        ):
            async for block in blocks:
                for data in read_data(block):
                    for chunk in translation.translate(decode(data, "stream", call.target)):
                        yield chunk
        yield translation.finish()

    async def embed(self, call: Call) -> Answer:
        """Ask for the embeddings of one text or several."""
        given = call.body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Unsupported("this provider embeds texts, not tokens", param="input")
        request: Json = {"model": f"models/{_bare(call.model)}"}
        if call.body.get("dimensions"):
            request["outputDimensionality"] = call.body["dimensions"]
        body = {"requests": [{**request, "content": {"parts": [{"text": text}]}} for text in texts]}
        answer = await self._post(call, "batchEmbedContents", body)
        embeddings = translate_embeddings(answer, call.model, call.body.get("encoding_format"))
        return Answer(encode(embeddings), count_usage(embeddings["usage"]))

    async def probe(self, target: Target, timeout: float) -> None:
        """List one model: free of charge, and it needs the key."""
        url = join_url(target, DEFAULT_URL, "models?pageSize=1")
        data = await self._exchange.get(url, target, _headers(target), timeout)
        decode(data, "list of models", target)

    async def list_models(self, target: Target, timeout: float) -> list[str]:
        """List the models, page by page, without the `models/` before each name."""
        names: list[str] = []
        query = {"pageSize": "1000"}
        for _ in range(MOST_PAGES):
            url = join_url(target, DEFAULT_URL, f"models?{urlencode(query)}")
            data = await self._exchange.get(url, target, _headers(target), timeout)
            page = decode(data, "list of models", target)
            names += [_bare(name) for name in read_names(page, "models", "name")]
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = str(page["nextPageToken"])
        return names

    async def _post(self, call: Call, method: str, body: Json) -> Json:
        url, target = _locate(call, method), call.target
        data = await self._exchange.post(url, target, _headers(target), body, call.timeout)
        return decode(data, "answer", target)


def _bare(model: str) -> str:
    return model.removeprefix("models/")


def _locate(call: Call, method: str) -> str:
    model = quote(_bare(call.model), safe="")
    return join_url(call.target, DEFAULT_URL, f"models/{model}:{method}")


def _headers(target: Target) -> dict[str, str]:
    # In a header, never in the URL: URLs end up in logs.
    return {"x-goog-api-key": target.api_key}
