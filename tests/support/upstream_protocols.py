"""What a service of each protocol answers: OpenAI's, Anthropic's and Gemini's.

Each is as strict about a request as the real one is in what an adapter could get wrong, and
answers with what it understood of it, so that a test sees both directions.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import struct
from typing import Any
from typing import Protocol as TypingProtocol

Json = dict[str, Any]

PROMPT, COMPLETION = 11, 7


class Protocol(TypingProtocol):
    """One protocol."""

    prefix: str
    # The status for a key that is not known.
    wrong_key: int

    def presents(self, headers: dict[str, str], key: str) -> bool: ...

    def check(self, path: str, body: Any) -> str | None:
        """What is wrong with a request."""

    def streams(self, path: str, body: Any) -> bool: ...

    def whole(self, method: str, path: str, body: Any) -> Json: ...

    def events(self, path: str, body: Any) -> list[bytes]: ...

    def error(self, status: int, message: str) -> Json: ...

    def error_event(self, status: int, message: str) -> bytes: ...


def data(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def pieces(text: str) -> list[str]:
    """Cut a text as a stream would."""
    return re.findall(r"\S+\s*", text)


class OpenAIProtocol:
    prefix = "/v1"
    wrong_key = 401

    def presents(self, headers: dict[str, str], key: str) -> bool:
        return headers.get("authorization") == f"Bearer {key}"

    def check(self, path: str, body: Any) -> str | None:
        own = {"provider", "fallback_providers", "timeout", "retry_count"}
        if body and own & set(body):
            return f"unknown fields: {own & set(body)}"
        if body and body.get("stream") and not body["stream_options"]["include_usage"]:
            return "no usage asked for"
        return None

    def streams(self, path: str, body: Any) -> bool:
        return bool(body and body.get("stream"))

    def whole(self, method: str, path: str, body: Any) -> Json:
        if path.endswith("/models"):
            return {"object": "list", "data": [{"id": "gpt", "object": "model"}]}
        if path.endswith("/embeddings"):
            return self._embeddings(body)
        message: Json = {"role": "assistant", "content": None, "refusal": None}
        call = self._call(body)
        if call:
            message["tool_calls"] = [call]
        else:
            message["content"] = self._text(body)
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if call else "stop",
            "logprobs": None,
        }
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": self._usage(),
            "system_fingerprint": "fp_1",
            "field_of_tomorrow": body.get("field_of_tomorrow"),
        }

    def _usage(self) -> Json:
        total = PROMPT + COMPLETION
        return {
            "prompt_tokens": PROMPT,
            "completion_tokens": COMPLETION,
            "total_tokens": total,
        }

    def _embeddings(self, body: Json) -> Json:
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        entries: list[Json] = []
        for index, _ in enumerate(texts):
            vector = [0.5, -0.25, float(index)]
            packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
            wanted = body.get("encoding_format") == "base64"
            entries.append(
                {"object": "embedding", "index": index, "embedding": packed if wanted else vector}
            )
        usage = {"prompt_tokens": PROMPT, "total_tokens": PROMPT}
        return {"object": "list", "data": entries, "model": body["model"], "usage": usage}

    def _text(self, body: Json) -> str:
        if (body.get("response_format") or {}).get("type") in {"json_schema", "json_object"}:
            return '{"city": "Paris"}'
        last = body["messages"][-1].get("content")
        if isinstance(last, list):
            images = sum(part["type"] == "image_url" for part in last)
            return f"{body['model']} saw {images} images"
        return f"{body['model']} heard: {last}"

    def _call(self, body: Json) -> Json | None:
        if not body.get("tools") or body["messages"][-1]["role"] == "tool":
            return None
        name = body["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": '{"city":"Paris"}'}
        return {"id": "call_1", "type": "function", "function": function}

    def events(self, path: str, body: Any) -> list[bytes]:
        call = self._call(body)
        deltas: list[Json] = [{"role": "assistant", "content": "" if not call else None}]
        if call:
            arguments = call["function"].pop("arguments")
            opened = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [opened]})
            deltas += [
                {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
                for part in (arguments[:5], arguments[5:])
            ]
        else:
            deltas += [{"content": piece} for piece in pieces(self._text(body))]
        finish = "tool_calls" if call else "stop"
        chunks = [self._chunk(body, delta, None) for delta in deltas]
        chunks.append(self._chunk(body, {}, finish))
        last = {**self._chunk(body, {}, None), "choices": [], "usage": self._usage()}
        return [*map(data, [*chunks, last]), b"data: [DONE]\n\n"]

    def _chunk(self, body: Json, delta: Json, finish: str | None) -> Json:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            "usage": None,
        }

    def error(self, status: int, message: str) -> Json:
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": "fake_code"}}

    def error_event(self, status: int, message: str) -> bytes:
        return data({"error": {"message": message, "type": "server_error", "code": status}})


ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class AnthropicProtocol:
    prefix = "/v1"
    wrong_key = 401

    def presents(self, headers: dict[str, str], key: str) -> bool:
        return headers.get("x-api-key") == key and headers["anthropic-version"] == "2023-06-01"

    def check(self, path: str, body: Any) -> str | None:
        if body is None:
            return None
        if not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        roles = [message["role"] for message in body["messages"]]
        if roles[:1] != ["user"] or any(a == b for a, b in itertools.pairwise(roles)):
            return f"messages: roles must alternate, beginning with user: {roles}"
        return self._check_blocks(body)

    def _check_blocks(self, body: Json) -> str | None:
        open_calls: list[str] = []
        for message in body["messages"]:
            kinds = [block["type"] for block in message["content"]]
            results = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
            if sorted(results) != sorted(open_calls):
                return f"tool_use ids without tool_result: {open_calls} {results}"
            if "tool_result" in kinds[len(results) :]:
                return "tool_result blocks must come first"
            if any(b["type"] == "text" and not b["text"] for b in message["content"]):
                return "text content blocks must be non-empty"
            open_calls = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
            if open_calls and not body.get("tools"):
                return "Requests which include `tool_use` must define tools"
        return None

    def streams(self, path: str, body: Any) -> bool:
        return bool(body and body.get("stream"))

    def whole(self, method: str, path: str, body: Any) -> Json:
        if "/models" in path:
            return {"data": [{"id": "claude", "type": "model"}], "has_more": False}
        blocks, reason = self._answer(body)
        return {**self._message(body, blocks), "stop_reason": reason, "usage": self._usage()}

    def _message(self, body: Json, blocks: list[Json]) -> Json:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _usage(self) -> Json:
        return {
            "input_tokens": PROMPT - 3,
            "cache_creation_input_tokens": 1,
            "cache_read_input_tokens": 2,
            "output_tokens": COMPLETION,
        }

    def _answer(self, body: Json) -> tuple[list[Json], str]:
        last = body["messages"][-1]["content"]
        asked = [block for block in last if block["type"] == "tool_result"]
        if body.get("tools") and not asked and body.get("tool_choice", {}).get("type") != "none":
            text = {"type": "text", "text": "let me look "}
            given = {"city": "Paris"}
            name = body["tools"][0]["name"]
            call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}
            return [text, call], "tool_use"
        return [{"type": "text", "text": self._text(body, last)}], "end_turn"

    def _text(self, body: Json, last: list[Json]) -> str:
        if (body.get("output_config") or {}).get("format"):
            return '{"city": "Paris"}'
        images = [block for block in last if block["type"] == "image"]
        if images:
            return f"{body['model']} saw {len(images)} images"
        results = [block for block in last if block["type"] == "tool_result"]
        block = results[0]["content"][0] if results else last[-1]
        return f"{body['model']} heard: {block['text']}"

    def events(self, path: str, body: Any) -> list[bytes]:
        blocks, reason = self._answer(body)
        start = {"input_tokens": PROMPT - 3, "output_tokens": 1}
        start |= {"cache_creation_input_tokens": 1, "cache_read_input_tokens": 2}
        written = [
            {"type": "message_start", "message": {**self._message(body, []), "usage": start}}
        ]
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                first = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"])]
            else:
                first = {**block, "input": {}}
                whole = json.dumps(block["input"])
                parts = ["", whole[:6], whole[6:]]
                deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            head = {"index": index}
            written.append({"type": "content_block_start", **head, "content_block": first})
            written.append({"type": "ping"})
            written += [{"type": "content_block_delta", **head, "delta": each} for each in deltas]
            written.append({"type": "content_block_stop", **head})
        usage = {"output_tokens": COMPLETION}
        delta = {"stop_reason": reason, "stop_sequence": None}
        written.append({"type": "message_delta", "delta": delta, "usage": usage})
        written.append({"type": "message_stop"})
        return [self._event(each) for each in written]

    def _event(self, body: Json) -> bytes:
        return b"event: " + str(body["type"]).encode() + b"\n" + data(body)

    def error(self, status: int, message: str) -> Json:
        kind = ANTHROPIC_ERRORS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}

    def error_event(self, status: int, message: str) -> bytes:
        return self._event(self.error(status, message))


GEMINI_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class GeminiProtocol:
    prefix = "/v1beta"
    wrong_key = 400

    def presents(self, headers: dict[str, str], key: str) -> bool:
        return headers.get("x-goog-api-key") == key

    def check(self, path: str, body: Any) -> str | None:
        if "key=" in path:
            return "a key in the URL"
        if body is None or "embed" in path.lower():
            return None
        known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
        if set(body) - known:
            return f"Unknown name: {set(body) - known}"
        return self._check_contents(body) or self._check_signatures(path, body)

    def _check_contents(self, body: Json) -> str | None:
        calls: list[Json] = []
        for content in body["contents"]:
            results = [p["functionResponse"] for p in content["parts"] if "functionResponse" in p]
            answered = [(result.get("id"), result["name"]) for result in results]
            if answered != [(call.get("id"), call["name"]) for call in calls]:
                return "function responses must match the calls"
            if any(not isinstance(result["response"], dict) for result in results):
                return "a function response is an object"
            calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
        roles = {content["role"] for content in body["contents"]}
        return None if roles <= {"user", "model"} else f"Please use a valid role: {roles}"

    def _check_signatures(self, path: str, body: Json) -> str | None:
        if "gemini-3" not in path:
            return None
        for content in body["contents"]:
            calls = [part for part in content["parts"] if "functionCall" in part]
            if calls and not calls[0].get("thoughtSignature"):
                return "Function call is missing a thought_signature"
        return None

    def streams(self, path: str, body: Any) -> bool:
        return ":streamGenerateContent" in path

    def whole(self, method: str, path: str, body: Any) -> Json:
        if method == "GET":
            return {"models": [{"name": "models/gemini"}]}
        if ":batchEmbedContents" in path:
            vectors = [
                {"values": [0.5, -0.25, float(index)]} for index, _ in enumerate(body["requests"])
            ]
            return {"embeddings": vectors, "usageMetadata": {"promptTokenCount": PROMPT}}
        return self._answer(path, body, self._parts(path, body), "STOP")

    def _answer(self, path: str, body: Json, parts: list[Json], finish: str | None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {
            "promptTokenCount": PROMPT,
            "candidatesTokenCount": COMPLETION - 2,
            "thoughtsTokenCount": 2,
            "totalTokenCount": PROMPT + COMPLETION,
        }
        model = path.partition("/models/")[2].partition(":")[0]
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": model,
            "responseId": "resp_1",
        }

    def _parts(self, path: str, body: Json) -> list[Json]:
        model = path.partition("/models/")[2].partition(":")[0]
        last = body["contents"][-1]["parts"]
        results = [part["functionResponse"] for part in last if "functionResponse" in part]
        if body.get("tools") and not results:
            declared = body["tools"][0]["functionDeclarations"]
            # The first has an id, the second none, as older services do it.
            calls = [{"id": "fc_1", "name": declared[0]["name"], "args": {"city": "Paris"}}]
            calls += [{"name": tool["name"], "args": {}} for tool in declared[1:]]
            first: Json = {"functionCall": calls[0], "thoughtSignature": "c2ln"}
            return [first, *({"functionCall": call} for call in calls[1:])]
        if (body.get("generationConfig") or {}).get("responseMimeType"):
            return [{"text": '{"city": "Paris"}'}]
        images = [part for part in last if "inlineData" in part or "fileData" in part]
        if images:
            return [{"text": f"{model} saw {len(images)} images"}]
        if results:
            return [{"text": f"{model} heard: {json.dumps(results[0]['response'])}"}]
        thought = {"text": "hm", "thought": True}
        return [thought, {"text": f"{model} heard: {last[-1]['text']}"}]

    def events(self, path: str, body: Any) -> list[bytes]:
        parts: list[Json] = []
        for part in self._parts(path, body):
            if "text" in part and not part.get("thought"):
                parts += [{"text": piece} for piece in pieces(part["text"])]
            else:
                parts.append(part)
        answers = [self._answer(path, body, [part], None) for part in parts]
        answers[-1]["candidates"][0]["finishReason"] = "STOP"
        # Gemini ends its lines in CR LF.
        return [data(answer).replace(b"\n", b"\r\n") for answer in answers]

    def error(self, status: int, message: str) -> Json:
        error: Json = {"code": status, "message": message, "status": GEMINI_ERRORS.get(status, "X")}
        if message == "this key is wrong":
            detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo"}
            error["details"] = [{**detail, "reason": "API_KEY_INVALID"}]
        return {"error": error}

    def error_event(self, status: int, message: str) -> bytes:
        return data(self.error(status, message)).replace(b"\n", b"\r\n")


PROTOCOLS: dict[str, Protocol] = {
    "openai": OpenAIProtocol(),
    "anthropic": AnthropicProtocol(),
    "gemini": GeminiProtocol(),
}
