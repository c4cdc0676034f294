"""Streams once they have begun, callers who leave, and a database that is not there."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from typing import Any

import httpx
import pytest

from llm_orchestrator.gateway.caller import SIGN_OF_LIFE, Pulse
from tests.support.gateway_service import ASK, Gateway, events
from tests.support.orchestrator import CALLER
from tests.support.upstreams import (
    Answer,
    FakeUpstream,
    break_off,
    err_midway,
    hang,
    in_turn,
    stream,
)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (break_off(4), 502),
        (break_off(4, orderly=True), 502),
        (break_off(4, silent=True), 504),
    ],
    ids=["cut off", "ended too early", "silent"],
)
def test_a_stream_that_breaks_ends_with_an_error(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream, fault: Answer, status: int
) -> None:
    upstream.then(fault)
    model = gateway.model(upstream, spare, max_retry=3)
    answer = gateway.ask(model, stream=True, timeout=0.7)
    assert answer.status_code == 200
    *parts, last = events(answer.text)
    assert parts
    assert "[DONE]" not in parts
    assert last["error"]["message"].startswith(f"{model}-0: ")
    (log,) = gateway.logs(model)
    assert log["status_code"] == status
    assert log["error_message"] == last["error"]["message"]
    # Nothing is asked again once the caller has a part of the answer.
    assert (len(upstream.chats), len(spare.chats)) == (1, 0)


def test_an_error_after_the_first_parts(gateway: Gateway, upstream: FakeUpstream) -> None:
    async def pause(_: object) -> None:
        await asyncio.sleep(0)

    upstream.then(in_turn(pause, err_midway(4)))
    model = gateway.model(upstream)
    answer = gateway.ask(model, stream=True)
    assert "too much to do" in answer.text
    assert "[DONE]" not in answer.text
    (log,) = gateway.logs(model)
    assert log["status_code"] >= 500


def test_parts_come_as_they_are_made(gateway: Gateway, upstream: FakeUpstream) -> None:
    """The first parts are here while the upstream is still silent about the rest."""
    upstream.then(break_off(4, silent=True))
    body = {"model": gateway.model(upstream), "messages": ASK, "stream": True}
    with gateway.caller.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        # Kept, for a generator that is dropped closes the connection.
        parts = answer.iter_bytes()
        assert next(parts).startswith(b"data: {")
        assert upstream.left == 0


def test_only_whole_events_are_passed_on(gateway: Gateway, plain: FakeUpstream) -> None:
    """Wherever the network cuts, and whichever line ends the server likes."""
    whole = b"".join(
        plain.protocol.events("/v1/chat/completions", {"model": "m", "messages": ASK})
    ).replace(b"\n", b"\r\n")
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    plain.then(stream(b": processing\r\n\r\n", *pieces))
    model = gateway.model(plain)
    found = events(gateway.ask(model, stream=True).text)
    assert found[-1] == "[DONE]"
    texts = [each["choices"][0]["delta"].get("content") for each in found[:-2]]
    assert "".join(filter(None, texts)) == "m heard: hello there"
    assert gateway.logs(model)[0]["completion_tokens"] == 7


def test_a_stream_may_end_without_done(gateway: Gateway, plain: FakeUpstream) -> None:
    parts = plain.protocol.events("/v1/chat/completions", {"model": "m", "messages": ASK})[:-1]
    plain.then(stream(*parts))
    assert events(gateway.ask(gateway.model(plain), stream=True).text)[-1] == "[DONE]"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_who_leaves_before_the_answer_ends_the_call(
    gateway: Gateway, upstream: FakeUpstream, streamed: bool
) -> None:
    upstream.then(hang)
    model = gateway.model(upstream, max_retry=3)
    body = {"model": model, "messages": ASK, "stream": streamed}
    with (
        httpx.Client(base_url=gateway.service.url, headers=CALLER, timeout=0.5) as impatient,
        pytest.raises(httpx.ReadTimeout),
    ):
        impatient.post("/v1/chat/completions", json=body)
    upstream.wait_until_left()
    (log,) = gateway.logs(model)
    assert log["status_code"] == 499
    assert len(upstream.chats) == 1


def test_a_caller_who_leaves_a_stream_ends_the_call(
    gateway: Gateway, upstream: FakeUpstream
) -> None:
    upstream.then(break_off(4, silent=True))
    model = gateway.model(upstream)
    body = {"model": model, "messages": ASK, "stream": True}
    with (
        httpx.Client(base_url=gateway.service.url, headers=CALLER) as caller,
        caller.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        parts = answer.iter_bytes()
        next(parts)
        assert upstream.left == 0
    upstream.wait_until_left()
    (log,) = gateway.logs(model)
    assert log["status_code"] == 499


def test_a_reset_connection_ends_the_call(gateway: Gateway, plain: FakeUpstream) -> None:
    plain.then(break_off(4, silent=True))
    model = gateway.model(plain)
    url = httpx.URL(gateway.service.url)
    request = httpx.Request(
        "POST",
        f"{url}/v1/chat/completions",
        headers=CALLER,
        json={"model": model, "messages": ASK, "stream": True},
    )
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.host}\r\n"
    head += "".join(
        f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "host"
    )
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(head.encode() + b"\r\n" + request.read())
        assert b"200 OK" in connection.recv(1000)
        # Closed at once, with a reset instead of an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    plain.wait_until_left()
    assert gateway.logs(model)[0]["status_code"] == 499


def test_a_locked_database_fails_no_chat(gateway: Gateway, plain: FakeUpstream) -> None:
    model = gateway.model(plain)
    assert gateway.ask(model).status_code == 200
    connection = sqlite3.connect(gateway.service.database, isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        for streamed in (False, True) * 3:
            assert gateway.ask(model, stream=streamed).status_code == 200
    finally:
        connection.rollback()
        connection.close()
    # What could not be written meanwhile is written then.
    gateway.logs(model, 7)


def test_silence_is_filled_with_comments() -> None:
    async def listen() -> list[Any]:
        heard = asyncio.Queue[Any]()

        async def send(message: Any) -> None:
            await heard.put(message)

        pulse = Pulse(send, seconds=0.01)
        first = [await heard.get(), await heard.get()]
        pulse.stop()
        await asyncio.sleep(0.05)
        return [*first, heard.qsize()]

    one, two, more = asyncio.run(listen())
    assert one == two == {"type": "http.response.body", "body": SIGN_OF_LIFE, "more_body": True}
    assert more <= 1
