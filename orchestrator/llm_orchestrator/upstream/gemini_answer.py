"""Answers and streams of Gemini's generateContent in OpenAI's shapes.

Source: the Gemini API's reference, "Generating content" and "Embeddings". A function call's thought
signature travels as `extra_content.google.thought_signature`, as it does in Google's own endpoint
for OpenAI's clients.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from llm_orchestrator.upstream.events import ChunkWriter, make_completion, make_usage, new_id
from llm_orchestrator.upstream.exchange import describe_error
from llm_orchestrator.upstream.gemini_request import MADE_ID
from llm_orchestrator.upstream.protocol import Chunk, Json, Target, UpstreamBroken
from llm_orchestrator.upstream.shapes import reading_answer

_FILTERED = frozenset(
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY "
    "IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION".split()
)


@reading_answer()
def translate_answer(answer: Json, model: str) -> Json:
    """Translate an answer. Raises UpstreamBroken when it is none."""
    choices = [_translate_candidate(candidate) for candidate in _candidates(answer)]
    usage = translate_usage(answer.get("usageMetadata") or {})
    identifier = str(answer.get("responseId") or new_id("chatcmpl-"))
    return make_completion(identifier, str(answer.get("modelVersion") or model), choices, usage)


def _candidates(answer: Json) -> list[Json]:
    """Return the candidates; a prompt that was blocked has one that says so."""
    candidates = answer.get("candidates")
    blocked = (answer.get("promptFeedback") or {}).get("blockReason")
    if not candidates and blocked:
        return [{"finishReason": "SAFETY", "finishMessage": f"the prompt was blocked: {blocked}"}]
    if not isinstance(candidates, list):
        raise UpstreamBroken("the provider's answer has no candidates")
    return candidates


def _translate_candidate(candidate: Json) -> Json:
    parts = (candidate.get("content") or {}).get("parts") or []
    texts = [part["text"] for part in parts if "text" in part and not part.get("thought")]
    thoughts = [part["text"] for part in parts if "text" in part and part.get("thought")]
    calls = [_translate_call(part) for part in parts if "functionCall" in part]
    finish = translate_finish(candidate.get("finishReason"), called=bool(calls))
    refusal = candidate.get("finishMessage") if finish == "content_filter" else None
    message: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": refusal,
    }
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return {
        "index": candidate.get("index", 0),
        "message": message,
        "logprobs": None,
        "finish_reason": finish,
    }


def _translate_call(part: Json) -> Json:
    call = part["functionCall"]
    arguments = json.dumps(call.get("args") or {}, separators=(",", ":"))
    translated: Json = {
        "id": call.get("id") or new_id(MADE_ID),
        "type": "function",
        "function": {"name": call.get("name"), "arguments": arguments},
    }
    if part.get("thoughtSignature"):
        signature = {"thought_signature": part["thoughtSignature"]}
        translated["extra_content"] = {"google": signature}
    return translated


def translate_finish(reason: Any, *, called: bool) -> str:
    """Translate a finish reason; Gemini says STOP where OpenAI says that tools are called."""
    if reason == "MAX_TOKENS":
        return "length"
    if reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if called else "stop"


def translate_usage(usage: Json) -> Json:
    """Translate usage: thoughts are paid for as output."""
    thoughts = usage.get("thoughtsTokenCount") or 0
    return make_usage(
        (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        (usage.get("candidatesTokenCount") or 0) + thoughts,
        cached=usage.get("cachedContentTokenCount") or 0,
        reasoning=thoughts,
    )


class StreamTranslation:
    """A stream on its way from partial answers to chunks."""

    def __init__(self, target: Target, model: str) -> None:
        self._target = target
        self._model = model
        self._writer: ChunkWriter | None = None
        self._opened: set[int] = set()
        self._called: dict[int, int] = {}
        self._finished: set[int] = set()
        self._usage: Json = {}

    @reading_answer()
    def translate(self, answer: Json) -> list[Chunk]:
        """Translate one partial answer to chunks."""
        if "error" in answer:
            error = answer["error"]
            details = error if isinstance(error, dict) else {"message": str(error)}
            code = details.get("code")
            raise describe_error(code if isinstance(code, int) else 500, details, self._target)
        if self._writer is None:
            identifier = str(answer.get("responseId") or new_id("chatcmpl-"))
            model = str(answer.get("modelVersion") or self._model)
            self._writer = ChunkWriter(identifier, model)
        self._usage = answer.get("usageMetadata") or self._usage
        if "candidates" not in answer and "promptFeedback" not in answer:
            return []
        chunks = []
        for candidate in _candidates(answer):
            chunks.extend(self._translate_candidate(candidate, self._writer))
        return chunks

    def _translate_candidate(self, candidate: Json, writer: ChunkWriter) -> list[Chunk]:
        index = candidate.get("index", 0)
        written = []
        if index not in self._opened:
            self._opened.add(index)
            written.append(writer.delta({"role": "assistant", "content": ""}, index=index))
        for part in (candidate.get("content") or {}).get("parts") or []:
            delta = self._translate_part(part, index)
            if delta:
                written.append(writer.delta(delta, index=index))
        if candidate.get("finishReason"):
            self._finished.add(index)
            called = self._called.get(index, 0) > 0
            finish = translate_finish(candidate["finishReason"], called=called)
            refused = finish == "content_filter" and candidate.get("finishMessage")
            delta = {"refusal": candidate["finishMessage"]} if refused else {}
            written.append(writer.delta(delta, finish, index))
        return [Chunk(data) for data in written]

    def _translate_part(self, part: Json, index: int) -> Json:
        if "functionCall" in part:
            number = self._called.get(index, 0)
            self._called[index] = number + 1
            return {"tool_calls": [{"index": number, **_translate_call(part)}]}
        if part.get("text"):
            return {"reasoning_content" if part.get("thought") else "content": part["text"]}
        return {}

    def finish(self) -> Chunk:
        """Make the last chunk. Raises UpstreamBroken when not every choice had its end."""
        if self._writer is None or not self._opened or self._opened != self._finished:
            raise UpstreamBroken("the provider's stream ended before it was complete")
        return self._writer.usage(translate_usage(self._usage))


@reading_answer()
def translate_embeddings(answer: Json, model: str, encoding: Any) -> Json:
    """Translate embeddings, as base64 of 32-bit floats if asked for like that."""
    embeddings = answer.get("embeddings")
    if not isinstance(embeddings, list):
        raise UpstreamBroken("the provider's answer has no embeddings")
    data = []
    for index, embedding in enumerate(embeddings):
        values = embedding.get("values") or []
        packed = encode_floats(values) if encoding == "base64" else values
        data.append({"object": "embedding", "index": index, "embedding": packed})
    prompt = (answer.get("usageMetadata") or {}).get("promptTokenCount") or 0
    usage = {"prompt_tokens": prompt, "total_tokens": prompt}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def encode_floats(values: list[float]) -> str:
    """Encode numbers as OpenAI does: 32-bit, little-endian, base64."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode("ascii")
