"""A chat completion request in the shape of Gemini's generateContent.

Source: the Gemini API's reference, "Generating content", and its guides "Function calling",
"Structured outputs" and "Thought signatures".
"""

from __future__ import annotations

import json
import re
from typing import Any

from llm_orchestrator.upstream.content import (
    guess_image_type,
    read_data_url,
    read_parts,
    read_text,
    refuse_functions,
)
from llm_orchestrator.upstream.protocol import Json, Unsupported
from llm_orchestrator.upstream.shapes import reading_request

# Calls that Gemini gave no id get one with this prefix; it must not see that again.
MADE_ID = "call_made_"
# From version 3 on a call in the conversation must carry the signature it came with. The API's own
# word for a call whose signature is lost, or that another model made:
LOST_SIGNATURE = "skip_thought_signature_validator"
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}


@reading_request()
def translate_request(body: Json, model: str) -> Json:
    """Translate a request. Raises Unsupported for what the API has no words for."""
    refuse_functions(body)
    system, contents = translate_messages(body.get("messages") or [], model)
    request: Json = {"contents": contents}
    if system:
        request["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    tools = [_translate_tool(tool) for tool in body.get("tools") or []]
    if tools:
        request["tools"] = [{"functionDeclarations": tools}]
        choice = _translate_choice(body.get("tool_choice"))
        if choice:
            request["toolConfig"] = {"functionCallingConfig": choice}
    config = _translate_config(body)
    if config:
        request["generationConfig"] = config
    if body.get("safety_settings"):
        request["safetySettings"] = body["safety_settings"]
    return request


def _translate_config(body: Json) -> Json:
    config = {theirs: body[ours] for ours, theirs in _CONFIG.items() if body.get(ours) is not None}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit:
        config["maxOutputTokens"] = limit
    stop = body.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if isinstance(wanted, dict) and kind in {"json_object", "json_schema"}:
        config["responseMimeType"] = "application/json"
        schema = (wanted.get("json_schema") or {}).get("schema")
        if kind == "json_schema" and schema:
            config["responseJsonSchema"] = schema
    return config


def translate_messages(messages: list[Json], model: str) -> tuple[list[str], list[Json]]:
    """Translate a conversation: the system's texts, and turns in which the roles alternate."""
    system: list[str] = []
    turns: list[Json] = []
    # A result names the function it comes from; OpenAI's names the call.
    names: dict[str, str] = {}
    for message in messages:
        role = message.get("role")
        if role in {"system", "developer"}:
            system.extend(filter(None, [read_text(message.get("content"))]))
            continue
        speaker = "model" if role == "assistant" else "user"
        parts = _translate_message(message, role, names, model)
        if turns and turns[-1]["role"] == speaker:
            turns[-1]["parts"].extend(parts)
        elif parts:
            turns.append({"role": speaker, "parts": parts})
    return system, turns


def _translate_message(message: Json, role: Any, names: dict[str, str], model: str) -> list[Json]:
    content = message.get("content")
    if role == "user":
        return _translate_content(content)
    if role == "assistant":
        calls = message.get("tool_calls") or []
        names.update({call.get("id"): (call.get("function") or {}).get("name") for call in calls})
        translated = [_translate_call(call) for call in calls]
        if translated and "thoughtSignature" not in translated[0] and _wants_signature(model):
            # Of calls made at once only the first has one.
            translated[0]["thoughtSignature"] = LOST_SIGNATURE
        return [*_translate_content(content), *translated]
    if role == "tool":
        return [_translate_result(message, names)]
    raise Unsupported(f"this provider knows no messages of role {role!r}", param="messages")


def _wants_signature(model: str) -> bool:
    version = re.search(r"gemini-(\d+)", model)
    return version is not None and int(version[1]) >= 3


def _translate_content(content: Any) -> list[Json]:
    return [part for given in read_parts(content) for part in _translate_part(given)]


def _translate_part(part: Json) -> list[Json]:
    kind = part.get("type")
    if kind in {"text", "refusal"}:
        return [{"text": part[kind]}] if part.get(kind) else []
    if kind == "image_url":
        return [_translate_file(part.get("image_url"))]
    if kind == "file":
        return [_translate_file((part.get("file") or {}).get("file_data"))]
    if kind == "input_audio":
        audio = part.get("input_audio") or {}
        media_type = f"audio/{audio.get('format')}"
        return [{"inlineData": {"mimeType": media_type, "data": audio.get("data")}}]
    raise Unsupported(f"this provider takes no parts of type {kind!r}", param="messages")


def _translate_file(value: Any) -> Json:
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str):
        raise Unsupported("this provider takes a file by its data or URL", param="messages")
    inline = read_data_url(url)
    if inline:
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
    return {"fileData": {"mimeType": guess_image_type(url), "fileUri": url}}


def _translate_call(call: Json) -> Json:
    function = call.get("function")
    if not isinstance(function, dict):
        raise Unsupported("this provider knows function calls alone", param="messages")
    translated: Json = {
        "functionCall": {
            **_keep_id(call.get("id")),
            "name": function.get("name"),
            "args": _read_object(function.get("arguments") or "{}", "arguments"),
        }
    }
    extra = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    if extra:
        translated["thoughtSignature"] = extra
    return translated


def _translate_result(message: Json, names: dict[str, str]) -> Json:
    identifier = message.get("tool_call_id")
    name = names.get(str(identifier)) or message.get("name") or "unknown"
    response = _read_object(read_text(message.get("content")), "result")
    return {"functionResponse": {**_keep_id(identifier), "name": name, "response": response}}


def _keep_id(identifier: Any) -> Json:
    return {} if not identifier or str(identifier).startswith(MADE_ID) else {"id": identifier}


def _read_object(text: str, name: str) -> Json:
    """Read a JSON object; anything else becomes the one member of an object."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {name: value}


def _translate_tool(tool: Json) -> Json:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise Unsupported(f"this provider has no tools of type {tool.get('type')!r}", param="tools")
    translated: Json = {"name": function.get("name")}
    if function.get("description"):
        translated["description"] = function["description"]
    if function.get("parameters"):
        translated["parametersJsonSchema"] = function["parameters"]
    return translated


def _translate_choice(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, str) and choice in _MODES:
        return {"mode": _MODES[choice]}
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict):
        return {"mode": "ANY", "allowedFunctionNames": [function.get("name")]}
    raise Unsupported("this provider can't choose tools like that", param="tool_choice")
