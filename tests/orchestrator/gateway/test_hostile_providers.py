"""Providers that answer what no protocol has: what their callers, logs and neighbours see of it."""

from __future__ import annotations

import gzip
import json

import pytest

from llm_orchestrator.upstream import events as reading
from llm_orchestrator.upstream import exchange
from llm_orchestrator.upstream.openai import OpenAI
from llm_orchestrator.upstream.protocol import Call, Target, UpstreamBroken
from tests.support.gateway_service import ASK, Gateway, events
from tests.support.upstreams import KEY, Exchange, FakeUpstream, say, stream

HALF = "half a pair: \ud83d"


def chunk(delta: dict[str, object], finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "1", "choices": [choice], **more}).encode() + b"\n\n"


def test_a_message_that_was_cut_in_the_middle_of_a_character(
    gateway: Gateway, plain: FakeUpstream
) -> None:
    error = {"error": {"message": HALF, "code": HALF, "param": HALF}}
    plain.then(say(json.dumps(error).encode(), status=422))
    model = gateway.model(plain)
    answer = gateway.ask(model)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == f"{model}-0: half a pair: ?"
    assert gateway.logs(model)[0]["error_message"] == f"{model}-0: half a pair: ?"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["text/html", "application/json", "text/event-stream"])
def test_a_page_that_repeats_the_key_gives_it_to_nobody(
    gateway: Gateway, upstream: FakeUpstream, kind: str, streamed: bool
) -> None:
    upstream.always(say(f"data: <p>Authorization: Bearer {KEY}\n\n".encode(), kind))
    model = gateway.model(upstream)
    answer = gateway.ask(model, stream=streamed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken")
    (log,) = gateway.logs(model)
    assert "Bearer ***" in log["error_message"]
    assert KEY not in answer.text + log["error_message"]


def test_not_even_half_of_the_key_is_shown(gateway: Gateway, plain: FakeUpstream) -> None:
    plain.always(say(b"x" * (exchange.EXCERPT - 5) + KEY.encode(), "text/html"))
    assert KEY[:4] not in gateway.ask(gateway.model(plain)).text


def test_an_error_beside_choices_ends_the_stream_with_its_status(
    gateway: Gateway, plain: FakeUpstream
) -> None:
    """As OpenRouter tells of a provider that broke off."""
    error = {"code": 502, "message": "the provider disconnected"}
    plain.then(stream(chunk({"content": "a"}), chunk({}, "error", error=error)))
    model = gateway.model(plain)
    *_, last = events(gateway.ask(model, stream=True).text)
    assert last["error"]["message"] == f"{model}-0: the provider disconnected"
    assert gateway.logs(model)[0]["status_code"] == 502


def test_an_error_that_is_null_is_none(gateway: Gateway, plain: FakeUpstream) -> None:
    first = b'data: {"error": null, "choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    plain.then(stream(b": some data: soon\n\n", first, chunk({}, "stop", error=None)))
    model = gateway.model(plain)
    assert events(gateway.ask(model, stream=True).text)[-1] == "[DONE]"
    assert gateway.logs(model)[0]["status_code"] == 200


@pytest.mark.parametrize("count", ["1e999", "-5", "NaN", '"many"', "null", "true", "1e17"])
def test_tokens_that_are_no_number(gateway: Gateway, plain: FakeUpstream, count: str) -> None:
    usage = f'{{"choices": [], "usage": {{"prompt_tokens": {count}}}}}'.encode()
    plain.then(say(usage), stream(chunk({}, "stop"), b"data: " + usage + b"\n\n"))
    model = gateway.model(plain)
    assert gateway.ask(model).status_code == 200
    assert events(gateway.ask(model, stream=True).text)[-1] == "[DONE]"
    assert [log["status_code"] for log in gateway.logs(model, 2)] == [200, 200]


def test_what_is_packed_is_unpacked(gateway: Gateway, plain: FakeUpstream) -> None:
    async def packed(exchange: Exchange) -> None:
        body = exchange.protocol.whole("POST", exchange.seen.path, exchange.seen.body)
        data = gzip.compress(json.dumps(body).encode())
        await exchange.whole(200, data, content_encoding="gzip")

    async def damaged(exchange: Exchange) -> None:
        await exchange.whole(200, b"no gzip at all", content_encoding="gzip")

    async def unknown(exchange: Exchange) -> None:
        await exchange.whole(200, b"{}", content_encoding="br")

    plain.then(packed, damaged, unknown)
    model = gateway.model(plain)
    assert gateway.ask(model).json()["choices"][0]["finish_reason"] == "stop"
    for _ in range(2):
        answer = gateway.ask(model)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken")


def test_an_answer_without_end_is_left(
    monkeypatch: pytest.MonkeyPatch, plain: FakeUpstream
) -> None:
    """In this process, where the bounds can be small."""
    import asyncio

    monkeypatch.setattr(exchange, "MOST_BYTES", 10_000)
    monkeypatch.setattr(exchange, "MOST_ERROR_BYTES", 10_000)
    monkeypatch.setattr(reading, "MOST_EVENT_BYTES", 10_000)

    def endless(status: int, kind: str) -> None:
        async def answer(exchange: Exchange) -> None:
            exchange.head(status, kind, {"transfer-encoding": "chunked"})
            while not exchange.reader.at_eof():
                await exchange.part(b"data: " + b"x" * 1000)
            exchange.keep = False

        plain.then(answer)

    async def ask(*, streamed: bool) -> UpstreamBroken | object:
        async with exchange.make_client() as client:
            upstream = OpenAI(client)
            call = Call(Target(plain.url, KEY), "m", {"messages": ASK}, 30)
            async with asyncio.timeout(30):
                try:
                    return await (
                        anext(upstream.stream(call)) if streamed else upstream.complete(call)
                    )
                except exchange.UpstreamError as error:
                    return error

    for status, kind, streamed in (
        (200, "application/json", False),
        (200, "text/event-stream", True),
        (200, "text/html", True),
        (500, "text/html", False),
    ):
        endless(status, kind)
        found = asyncio.run(ask(streamed=streamed))
        assert isinstance(found, exchange.UpstreamError)
        assert found.status == (500 if status == 500 else 502)
        assert len(found.message) < 1000
