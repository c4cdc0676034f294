"""Bodies that are none: answered with 400 and a word on what is wrong, and no provider is asked."""

from __future__ import annotations

import json

import pytest

from tests.support.gateway_service import ASK, Gateway
from tests.support.upstreams import FakeUpstream

JSON = "application/json"
NO_OBJECT = "the body is no JSON object; is its Content-Type application/json?"
ASKED = b'{"model": "none", "messages": [{"role": "user", "content": "?"}], "input": "?"}'


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_what_is_no_body(gateway: Gateway, path: str) -> None:
    for kind, body, message in (
        (JSON, b"", "the body is no JSON"),
        (JSON, b"{no", "the body is no JSON"),
        (JSON, b"[1]", NO_OBJECT),
        (JSON, b"null", NO_OBJECT),
        (JSON, b'"\xff"', "There was an error parsing the body"),
        (JSON, b"[" * 100_000, "There was an error parsing the body"),
        (JSON, b'{"seed": ' + b"9" * 5000 + b"}", "There was an error parsing the body"),
        ("text/plain", ASKED, NO_OBJECT),
        ("application/x/json", ASKED, NO_OBJECT),
        (JSON, b"{}", "model: Field required"),
    ):
        answer = gateway.caller.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code == 400, (kind, body[:20])
        assert answer.json()["error"]["message"].startswith(message), (kind, body[:20])


@pytest.mark.parametrize("kind", [JSON, "Application/JSON; charset=utf-8", "application/a+json"])
def test_what_is_said_to_be_json(gateway: Gateway, kind: str) -> None:
    answer = gateway.caller.post(
        "/v1/chat/completions", content=ASKED, headers={"content-type": kind}
    )
    assert answer.json()["error"]["code"] == "model_not_found"


def test_every_field_that_is_wrong_is_named(gateway: Gateway) -> None:
    body = {"model": "m", "messages": [{"role": 1, "content": "?"}], "n": 1.5, "timeout": "3"}
    error = gateway.caller.post("/v1/chat/completions", json=body).json()["error"]
    assert [each["field"] for each in error["errors"]] == ["timeout", "messages.0.role", "n"]
    assert error["param"] == "timeout"


def test_what_is_nested_too_deep_to_be_passed_on(gateway: Gateway, upstream: FakeUpstream) -> None:
    """Between what can be read and what can be written again there is a gap."""
    model = gateway.model(upstream)
    for depth in (*range(100, 1000, 50), *range(900, 1000, 3)):
        deep = '{"a":' * depth + "1" + "}" * depth
        function = {"name": "f", "strict": True, "parameters": "deep"}
        tools = [{"type": "function", "function": function}]
        body = json.dumps({"model": model, "messages": ASK, "tools": tools})
        answer = gateway.caller.post(
            "/v1/chat/completions",
            content=body.replace('"deep"', deep),
            headers={"content-type": JSON},
        )
        assert answer.status_code in {200, 400}, (depth, answer.text)


@pytest.mark.parametrize("field", ["messages", "tools", "input"])
def test_a_body_of_nothing_but_errors_costs_no_more_than_one(gateway: Gateway, field: str) -> None:
    body = {"model": "m", "messages": [], "input": [], field: [True] * 200_000}
    path = "/v1/embeddings" if field == "input" else "/v1/chat/completions"
    answer = gateway.caller.post(path, json=body)
    assert answer.status_code == 400
    assert len(answer.text) < 5000
