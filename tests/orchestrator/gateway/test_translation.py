"""Requests in the shapes of Anthropic and Gemini, and what comes back in OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest

from llm_orchestrator.upstream import anthropic_answer, gemini_answer
from llm_orchestrator.upstream.anthropic_request import translate_request as to_anthropic
from llm_orchestrator.upstream.events import read_data
from llm_orchestrator.upstream.exchange import describe_error, join_url, judge, read_retry_after
from llm_orchestrator.upstream.gemini_request import translate_request as to_gemini
from llm_orchestrator.upstream.protocol import (
    Target,
    Unsupported,
    UpstreamBroken,
    UpstreamError,
    Verdict,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "object", "properties": {}, "additionalProperties": False}},
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
HI = {"role": "user", "content": "hi"}
A_HI = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
G_HI = {"role": "user", "parts": [{"text": "hi"}]}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


ANTHROPIC_REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"max_tokens": 4096}),
    ({"max_tokens": 5}, {"max_tokens": 5}),
    ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
    ({"temperature": 1.7}, {"temperature": 1}),
    ({"stop": "x"}, {"stop_sequences": ["x"]}),
    ({"stop": ["x", "\n"]}, {"stop_sequences": ["x"]}),
    ({"user": "u"}, {"metadata": {"user_id": "u"}}),
    ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
    ({"messages": [{"role": "system", "content": "s"}, HI]}, {"system": [text("s")]}),
    ({"messages": [HI, {"role": "developer", "content": [text("s")]}]}, {"system": [text("s")]}),
    ({"messages": [HI, user(text("ho"))]}, {"messages": [user(text("hi"), text("ho"))]}),
    ({"messages": [HI, {"role": "assistant", "content": ""}]}, {"messages": [A_HI]}),
    (
        {"messages": [user(image("data:image/png;base64,QUJD"))]},
        {
            "messages": [
                user(
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"},
                    }
                )
            ]
        },
    ),
    (
        {"messages": [user(image("https://e.org/a"))]},
        {
            "messages": [
                user({"type": "image", "source": {"type": "url", "url": "https://e.org/a"}})
            ]
        },
    ),
    (
        {"tools": [TOOL]},
        {"tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}]},
    ),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
    ({"tools": [TOOL], "tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "tool", "name": "f"}},
    ),
    (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    (
        {
            "messages": [
                HI,
                {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "tool", "tool_call_id": "c2", "content": [text("two")]},
                HI,
            ]
        },
        {
            "messages": [
                A_HI,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_use", "id": name, "name": "f", "input": {"x": 1}}
                        for name in ("c1", "c2")
                    ],
                },
                user(
                    {"type": "tool_result", "tool_use_id": "c1", "content": [text("one")]},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [text("two")]},
                    text("hi"),
                ),
            ],
            # Without them the API refuses the conversation.
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "none"},
        },
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        {"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}},
    ),
]


@pytest.mark.parametrize(("body", "expected"), ANTHROPIC_REQUESTS)
def test_anthropic_requests(body: dict[str, Any], expected: dict[str, Any]) -> None:
    request = to_anthropic({"messages": [HI], **body}, "claude")
    assert request["model"] == "claude"
    assert {name: request[name] for name in expected} == expected


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    request = to_anthropic({"messages": [HI], "response_format": {"type": "json_object"}}, "c")
    assert "JSON" in request["system"][0]["text"]


GEMINI_REQUESTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"contents": [G_HI]}),
    (
        {"temperature": 1.7, "top_p": 0.5, "n": 2, "seed": 3, "max_tokens": 5, "stop": "x"},
        {
            "generationConfig": {
                "temperature": 1.7,
                "topP": 0.5,
                "candidateCount": 2,
                "seed": 3,
                "maxOutputTokens": 5,
                "stopSequences": ["x"],
            }
        },
    ),
    (
        {"messages": [{"role": "system", "content": "s"}, HI]},
        {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [G_HI]},
    ),
    (
        {"messages": [user(image("data:image/png;base64,QUJD"))]},
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}],
                }
            ]
        },
    ),
    (
        {"messages": [user(image("https://e.org/a.webp?x=1"))]},
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {
                            "fileData": {
                                "mimeType": "image/webp",
                                "fileUri": "https://e.org/a.webp?x=1",
                            }
                        }
                    ],
                }
            ]
        },
    ),
    (
        {"tools": [TOOL], "tool_choice": "required"},
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
    ),
    (
        {
            "messages": [
                HI,
                {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_made_2"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "tool", "tool_call_id": "call_made_2", "content": '{"two": 2}'},
            ]
        },
        {
            "contents": [
                G_HI,
                {
                    "role": "model",
                    "parts": [
                        {
                            "functionCall": {"id": "c1", "name": "f", "args": {"x": 1}},
                            "thoughtSignature": "skip_thought_signature_validator",
                        },
                        {"functionCall": {"name": "f", "args": {"x": 1}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {
                            "functionResponse": {
                                "id": "c1",
                                "name": "f",
                                "response": {"result": "one"},
                            }
                        },
                        {"functionResponse": {"name": "f", "response": {"two": 2}}},
                    ],
                },
            ]
        },
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
        {
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": SCHEMA,
            }
        },
    ),
    (
        {"response_format": {"type": "json_object"}},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ),
]


@pytest.mark.parametrize(("body", "expected"), GEMINI_REQUESTS)
def test_gemini_requests(body: dict[str, Any], expected: dict[str, Any]) -> None:
    request = to_gemini({"messages": [HI], **body}, "gemini-3.8-flash")
    assert {name: request[name] for name in expected} == expected


def test_a_signature_comes_back_as_it_was() -> None:
    signed = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}
    messages = [HI, {"role": "assistant", "tool_calls": [signed]}]
    (_, turn) = to_gemini({"messages": messages}, "gemini-3")["contents"]
    assert turn["parts"][0]["thoughtSignature"] == "c2ln"
    messages = [HI, {"role": "assistant", "tool_calls": [CALL]}]
    (_, turn) = to_gemini({"messages": messages}, "gemini-2.5-pro")["contents"]
    assert "thoughtSignature" not in turn["parts"][0]


@pytest.mark.parametrize("translate", [to_anthropic, to_gemini])
@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"messages": [{"role": "function", "name": "f", "content": "x"}]},
        {"messages": [user({"type": "video"})]},
        {"messages": [user({"type": "image_url", "image_url": 5})]},
        {"tools": [TOOL], "tool_choice": "sometimes"},
        {"functions": [{"name": "f", "parameters": {}}]},
    ],
)
def test_what_can_not_be_said_goes_to_another_provider(
    translate: Any, body: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported):
        translate({"messages": [HI], **body}, "m")


@pytest.mark.parametrize("translate", [to_anthropic, to_gemini])
@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_schema", "json_schema": "x"}},
        {"messages": [user({"type": "file", "file": "x"})]},
        {"messages": [{"role": "assistant", "tool_calls": ["x"]}]},
        {"tools": ["x"]},
    ],
)
def test_an_odd_request_is_an_error_not_a_crash(translate: Any, body: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError) as caught:
        translate({"messages": [HI], **body}, "m")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("of tomorrow", "stop"),
    ],
)
def test_anthropic_stop_reasons(reason: str, finish: str) -> None:
    answer = {"id": "1", "model": "c", "content": [text("a"), text("b")], "stop_reason": reason}
    (choice,) = anthropic_answer.translate_answer(answer)["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == (finish, "ab")


@pytest.mark.parametrize(
    ("reason", "called", "finish"),
    [
        ("STOP", False, "stop"),
        ("STOP", True, "tool_calls"),
        ("MAX_TOKENS", True, "length"),
        ("SAFETY", False, "content_filter"),
        ("RECITATION", False, "content_filter"),
        ("MALFORMED_FUNCTION_CALL", False, "stop"),
    ],
)
def test_gemini_finish_reasons(reason: str, called: bool, finish: str) -> None:
    assert gemini_answer.translate_finish(reason, called=called) == finish


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}
    (choice,) = gemini_answer.translate_answer(blocked, "g")["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert "blocked" in choice["message"]["refusal"]
    stream = gemini_answer.StreamTranslation(Target(None, "k"), "g")
    assert b"content_filter" in b"".join(chunk.data for chunk in stream.translate(blocked))
    stream.finish()


@pytest.mark.parametrize(
    "answer", [{}, {"content": "x"}, {"content": ["x"]}, {"candidates": ["x"]}, {"candidates": 5}]
)
def test_an_odd_answer_is_an_error_not_a_crash(answer: dict[str, Any]) -> None:
    with pytest.raises(UpstreamBroken):
        anthropic_answer.translate_answer(answer)
    with pytest.raises(UpstreamBroken):
        gemini_answer.translate_answer(answer, "g")


def test_a_tool_call_without_arguments_has_an_empty_object() -> None:
    stream = anthropic_answer.StreamTranslation(Target(None, "k"))
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    events = [
        {"type": "message_start", "message": {"id": "1", "model": "c", "usage": {}}},
        {"type": "content_block_start", "index": 1, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": ""},
        },
        {"type": "content_block_stop", "index": 1},
    ]
    data = b"".join(chunk.data for event in events for chunk in stream.translate(event))
    assert data.count(b'"arguments":"{}"') == 1


def test_an_overloaded_service_says_so_before_the_first_part() -> None:
    """Nothing is passed on at message_start, so another provider may still answer."""
    stream = anthropic_answer.StreamTranslation(Target(None, "k"))
    start = {"type": "message_start", "message": {"id": "1", "model": "c", "usage": {}}}
    assert stream.translate(start) == []
    with pytest.raises(UpstreamError) as caught:
        stream.translate({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    assert (caught.value.status, caught.value.verdict) == (529, Verdict.RETRY)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, "https://api.example.org/v1/models"),
        ("http://h:1", "http://h:1/v1/models"),
        ("http://h:1/", "http://h:1/v1/models"),
        ("http://h:1/v1/", "http://h:1/v1/models"),
        ("http://h:1/openai/v2", "http://h:1/openai/v2/models"),
    ],
)
def test_addresses(base: str | None, url: str) -> None:
    assert join_url(Target(base, "k"), "https://api.example.org/v1", "models") == url


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds


def test_gemini_says_when_among_the_details() -> None:
    details = {"message": "x", "details": [{"@type": "…RetryInfo", "retryDelay": "12.5s"}]}
    error = describe_error(429, details, Target(None, "k"))
    assert (error.retry_after, error.verdict) == (12.5, Verdict.RETRY)


def test_a_key_is_never_in_a_message() -> None:
    error = describe_error(401, {"message": "bad key sk-123"}, Target(None, "sk-123"))
    assert error.message == "bad key ***"
    assert "sk-123" not in repr(Target("http://h", "sk-123"))


def test_what_follows_a_status() -> None:
    verdicts = {
        Verdict.RETURN: (400, 413, 415, 422),
        Verdict.NEXT: (301, 401, 402, 403, 404, 410),
        Verdict.RETRY: (408, 409, 425, 429, 500, 502, 503, 504, 529),
    }
    for verdict, statuses in verdicts.items():
        assert {judge(status, "") for status in statuses} == {verdict}


def test_data_of_events() -> None:
    block = b": c\n\nevent: x\ndata: 1\ndata: 2\nid: 5\n\ndata:3\n\n"
    assert read_data(block) == [b"1\n2", b"3"]
