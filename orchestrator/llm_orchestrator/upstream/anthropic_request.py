"""A chat completion request in the shape of Anthropic's Messages API.

Source: Anthropic's API reference, "Messages", and its guides "Tool use", "Vision" and "Structured
outputs".
"""

from __future__ import annotations

import json
from typing import Any

from llm_orchestrator.upstream.content import (
    read_data_url,
    read_parts,
    read_text,
    refuse_functions,
)
from llm_orchestrator.upstream.protocol import Json, Unsupported
from llm_orchestrator.upstream.shapes import reading_request

# The API wants a bound on every request; OpenAI's callers needn't give one. Every model takes this.
DEFAULT_MAX_TOKENS = 4096
# What callers may say in Anthropic's own words: there is no other word for it.
_NATIVE = ("thinking", "top_k", "output_config", "cache_control")
_TOOL_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
JSON_INSTRUCTION = "Answer with a single JSON object and nothing else: no prose, no code fence."


@reading_request()
def translate_request(body: Json, model: str) -> Json:
    """Translate a request. Raises Unsupported for what the API has no words for."""
    if (body.get("n") or 1) != 1:
        raise Unsupported("this provider gives one choice only", param="n")
    refuse_functions(body)
    system, messages = translate_messages(body.get("messages") or [])
    request: Json = {
        "model": model,
        "max_tokens": body.get("max_completion_tokens")
        or body.get("max_tokens")
        or DEFAULT_MAX_TOKENS,
        "messages": messages,
    }
    request.update({name: body[name] for name in _NATIVE if body.get(name) is not None})
    _add_sampling(body, request)
    _add_tools(body, request)
    _add_format(body.get("response_format"), request, system)
    if system:
        request["system"] = [{"type": "text", "text": text} for text in system]
    return request


def _add_sampling(body: Json, request: Json) -> None:
    temperature = body.get("temperature")
    if temperature is not None:
        # OpenAI's scale ends at 2, this one at 1.
        request["temperature"] = min(temperature, 1)
    if body.get("top_p") is not None:
        request["top_p"] = body["top_p"]
    stop = body.get("stop")
    # Sequences of white space alone are refused.
    sequences = [text for text in ([stop] if isinstance(stop, str) else stop or []) if text.strip()]
    if sequences:
        request["stop_sequences"] = sequences
    user = body.get("safety_identifier") or body.get("user")
    if user:
        request["metadata"] = {"user_id": user}


def translate_messages(messages: list[Json]) -> tuple[list[str], list[Json]]:
    """Translate a conversation: the system's texts, and turns in which the roles alternate."""
    system: list[str] = []
    turns: list[Json] = []
    for message in messages:
        role = message.get("role")
        if role in {"system", "developer"}:
            system.extend(filter(None, [read_text(message.get("content"))]))
            continue
        speaker = "assistant" if role == "assistant" else "user"
        blocks = _translate_message(message, role)
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": speaker, "content": blocks})
    return system, turns


def _translate_message(message: Json, role: Any) -> list[Json]:
    content = message.get("content")
    if role == "user":
        return _translate_content(content)
    if role == "assistant":
        calls = message.get("tool_calls") or []
        return [*_translate_content(content), *map(_translate_call, calls)]
    if role == "tool":
        result: Json = {
            "type": "tool_result",
            "tool_use_id": message.get("tool_call_id"),
            "content": _translate_content(content),
        }
        return [result]
    raise Unsupported(f"this provider knows no messages of role {role!r}", param="messages")


def _translate_content(content: Any) -> list[Json]:
    return [block for part in read_parts(content) for block in _translate_part(part)]


def _translate_part(part: Json) -> list[Json]:
    kind = part.get("type")
    if kind in {"text", "refusal"}:
        text = part.get(kind)
        # Empty texts are refused.
        return [{"type": "text", "text": text}] if text else []
    if kind == "image_url":
        return [{"type": "image", "source": _translate_source(part.get("image_url"), "image")}]
    if kind == "file":
        file = part.get("file") or {}
        return [{"type": "document", "source": _translate_source(file.get("file_data"), "file")}]
    raise Unsupported(f"this provider takes no parts of type {kind!r}", param="messages")


def _translate_source(value: Any, what: str) -> Json:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str):
        raise Unsupported(f"this provider takes an {what} by its data or URL", param="messages")
    inline = read_data_url(url)
    if inline:
        return {"type": "base64", "media_type": inline.media_type, "data": inline.data}
    return {"type": "url", "url": url}


def _translate_call(call: Json) -> Json:
    function = call.get("function")
    if not isinstance(function, dict):
        raise Unsupported("this provider knows function calls alone", param="messages")
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        # What a model once wrote, broken as it is, must not end the conversation.
        arguments = {"arguments": function.get("arguments")}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": arguments,
    }


def _add_tools(body: Json, request: Json) -> None:
    tools = [_translate_tool(tool) for tool in body.get("tools") or []]
    if not tools:
        # A conversation with calls in it is refused without the tools that were called.
        names = _called(request["messages"])
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
        if not tools:
            return
        request["tool_choice"] = {"type": "none"}
    else:
        choice = _translate_choice(body.get("tool_choice"))
        if body.get("parallel_tool_calls") is False and choice.get("type") != "none":
            choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
        if choice:
            request["tool_choice"] = choice
    request["tools"] = tools


def _called(messages: list[Json]) -> list[str]:
    blocks = (block for message in messages for block in message["content"])
    return list(dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use"))


def _translate_tool(tool: Json) -> Json:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise Unsupported(f"this provider has no tools of type {tool.get('type')!r}", param="tools")
    translated: Json = {
        "name": function.get("name"),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        translated["description"] = function["description"]
    if function.get("strict") is True:
        translated["strict"] = True
        translated["input_schema"] = close_schema(translated["input_schema"])
    return translated


def _translate_choice(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, str) and choice in _TOOL_CHOICES:
        return {"type": _TOOL_CHOICES[choice]}
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict):
        return {"type": "tool", "name": function.get("name")}
    raise Unsupported("this provider can't choose tools like that", param="tool_choice")


def _add_format(wanted: Any, request: Json, system: list[str]) -> None:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        system.append(JSON_INSTRUCTION)
    if kind == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            system.append(JSON_INSTRUCTION)
            return
        output = {"type": "json_schema", "schema": close_schema(schema)}
        request["output_config"] = {**request.get("output_config", {}), "format": output}


def close_schema(schema: Any) -> Any:
    """Say of every object that it has no other members: the API takes no open ones."""
    if isinstance(schema, list):
        return [close_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close_schema(value) for name, value in schema.items()}
    if schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed
