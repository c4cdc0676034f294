"""Answers and streams of Anthropic's Messages API in OpenAI's shapes.

Source: Anthropic's API reference, "Messages" and "Streaming messages".
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from llm_orchestrator.upstream.events import ChunkWriter, make_completion, make_usage
from llm_orchestrator.upstream.exchange import describe_error
from llm_orchestrator.upstream.protocol import Chunk, Json, Target, UpstreamBroken
from llm_orchestrator.upstream.shapes import reading_answer

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
# What an error event would have been as a status.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@reading_answer()
def translate_answer(answer: Json) -> Json:
    """Translate a message. Raises UpstreamBroken when it is none."""
    blocks = answer.get("content")
    if not isinstance(blocks, list):
        raise UpstreamBroken("the provider's answer has no content")
    texts = [block.get("text", "") for block in blocks if block.get("type") == "text"]
    thoughts = [block.get("thinking", "") for block in blocks if block.get("type") == "thinking"]
    calls = [_translate_call(block) for block in blocks if block.get("type") == "tool_use"]
    message: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": None,
    }
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": translate_finish(answer.get("stop_reason")),
    }
    usage = translate_usage(answer.get("usage") or {})
    identifier, model = str(answer.get("id")), str(answer.get("model"))
    return make_completion(identifier, model, [choice], usage)


def _translate_call(block: Json) -> Json:
    arguments = json.dumps(block.get("input") or {}, separators=(",", ":"))
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }


def translate_finish(reason: Any) -> str:
    """Translate a stop reason; one that is not known is a stop."""
    return _FINISH.get(reason, "stop")


def translate_usage(usage: Json) -> Json:
    """Translate usage: what came out of the cache or went into it is part of the prompt."""
    cached = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + cached + written
    return make_usage(prompt, usage.get("output_tokens") or 0, cached=cached)


class StreamTranslation:
    """A stream on its way from events to chunks.

    The first chunk waits for the first content: until then an overloaded service may still say so,
    and another one answer instead.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._writer = ChunkWriter("", "")
        self._opened = False
        self._usage: Json = {}
        self._finish: str | None = None
        # The block's index in the message to the tool call's index, and whether it has arguments.
        self._calls: dict[int, int] = {}
        self._empty: set[int] = set()
        self.complete = False

    @reading_answer()
    def translate(self, event: Json) -> list[Chunk]:
        """Translate one event to the chunks it makes, often none."""
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message") or {}
            self._writer = ChunkWriter(str(message.get("id")), str(message.get("model")))
            self._add_usage(message.get("usage"))
        elif kind == "content_block_start":
            return self._start_block(event)
        elif kind == "content_block_delta":
            return self._translate_delta(event)
        elif kind == "content_block_stop" and event.get("index") in self._empty:
            return [self._arguments(event["index"], "{}")]
        elif kind == "message_delta":
            self._finish = (event.get("delta") or {}).get("stop_reason") or self._finish
            self._add_usage(event.get("usage"))
        elif kind == "message_stop":
            return self._stop()
        elif kind == "error":
            self._fail(event.get("error"))
        return []

    def _open(self) -> list[Chunk]:
        if self._opened:
            return []
        self._opened = True
        return [Chunk(self._writer.delta({"role": "assistant", "content": ""}))]

    def _start_block(self, event: Json) -> list[Chunk]:
        block = event.get("content_block") or {}
        chunks = self._open()
        if block.get("type") == "tool_use":
            index, number = event.get("index", 0), len(self._calls)
            self._calls[index] = number
            self._empty.add(index)
            function = {"name": block.get("name"), "arguments": ""}
            call = {
                "index": number,
                "id": block.get("id"),
                "type": "function",
                "function": function,
            }
            chunks.append(Chunk(self._writer.delta({"tool_calls": [call]})))
        elif block.get("text"):
            chunks.append(Chunk(self._writer.delta({"content": block["text"]})))
        return chunks

    def _translate_delta(self, event: Json) -> list[Chunk]:
        delta = event.get("delta") or {}
        kind = delta.get("type")
        if kind == "text_delta" and delta.get("text"):
            return [*self._open(), Chunk(self._writer.delta({"content": delta["text"]}))]
        if kind == "thinking_delta" and delta.get("thinking"):
            thought = {"reasoning_content": delta["thinking"]}
            return [*self._open(), Chunk(self._writer.delta(thought))]
        index = event.get("index", 0)
        if kind == "input_json_delta" and delta.get("partial_json") and index in self._calls:
            return [self._arguments(index, delta["partial_json"])]
        return []

    def _arguments(self, index: int, text: str) -> Chunk:
        self._empty.discard(index)
        call = {"index": self._calls[index], "function": {"arguments": text}}
        return Chunk(self._writer.delta({"tool_calls": [call]}))

    def _add_usage(self, usage: Any) -> None:
        # Counts are cumulative; a later event may leave out what an earlier one said.
        known = usage.items() if isinstance(usage, dict) else ()
        self._usage.update({name: count for name, count in known if count is not None})

    def _stop(self) -> list[Chunk]:
        self.complete = True
        finish = Chunk(self._writer.delta({}, translate_finish(self._finish)))
        return [*self._open(), finish, self._writer.usage(translate_usage(self._usage))]

    def _fail(self, error: Any) -> NoReturn:
        details = error if isinstance(error, dict) else {"message": str(error)}
        status = _STATUS.get(str(details.get("type")), 500)
        raise describe_error(status, details, self._target)
