"""What happens when a provider fails before anything of its answer was passed on."""

from __future__ import annotations

import time

import pytest

from llm_orchestrator.background.health_board import FAILED_REQUESTS
from tests.support.gateway_service import Gateway, Leg, events
from tests.support.upstreams import (
    Answer,
    FakeUpstream,
    cut_short,
    disconnect,
    err_midway,
    hang,
    late,
    properly,
    refuse,
    say,
    stream,
)

FAULTS: dict[str, Answer] = {
    "500": refuse(500),
    "503": refuse(503),
    "529": refuse(529),
    "429": refuse(429),
    "401": refuse(401),
    "404": refuse(404),
    "redirect": say(b"", status=302),
    "no answer": disconnect,
    "half an answer": cut_short,
    "no JSON": say(b'{"id": '),
    "a page": say(b"<html>we are sorry</html>", "text/html"),
    "another JSON": say(b'{"hello": "world"}'),
    "a list": say(b"[1, 2]"),
    "nothing": say(b""),
}
# Only where something is streamed.
STREAM_FAULTS: dict[str, Answer] = {
    "an empty stream": stream(),
    "a stream cut off": stream(cut=True),
    "comments alone": stream(b": wait\n\n", b": wait\n\n"),
    "no JSON in a stream": stream(b'data: {"id": \n\n'),
    "an error at once": err_midway(0),
    "done at once": stream(b"data: [DONE]\n\n"),
}


def answered_by(text: str) -> str:
    models = {each["model"] for each in events(text) if each != "[DONE]"}
    assert len(models) == 1
    return models.pop()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_provider_answers(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream, fault: str
) -> None:
    spared = Leg(spare, link={"provider_model": "the-spare"})
    model = gateway.model(upstream, spared)
    upstream.then(FAULTS[fault])
    answer = gateway.ask(model)
    assert (answer.status_code, answer.json()["model"]) == (200, "the-spare")
    assert answer.headers["x-provider"] == f"{model}-1"
    upstream.then(FAULTS[fault])
    streamed = gateway.ask(model, stream=True)
    assert streamed.status_code == 200
    assert answered_by(streamed.text) == "the-spare"
    assert (len(upstream.chats), len(spare.chats)) == (2, 2)
    assert [log["status_code"] for log in gateway.logs(model, 2)] == [200, 200]


@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_the_next_provider_streams(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream, fault: str
) -> None:
    upstream.then(STREAM_FAULTS[fault])
    model = gateway.model(upstream, Leg(spare, link={"provider_model": "the-spare"}))
    answer = gateway.ask(model, stream=True)
    assert answered_by(answer.text) == "the-spare"
    assert events(answer.text)[-1] == "[DONE]"
    gateway.logs(model, 1)


@pytest.mark.parametrize("streamed", [False, True])
def test_one_that_hangs_is_left_and_its_call_ended(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream, streamed: bool
) -> None:
    upstream.then(hang)
    answer = gateway.ask(gateway.model(upstream, spare), timeout=0.5, stream=streamed)
    assert answer.status_code == 200
    upstream.wait_until_left()
    # Another attempt would have taken as long again.
    assert (len(upstream.chats), len(spare.chats)) == (1, 1)


def test_a_slow_first_byte_is_waited_for(gateway: Gateway, upstream: FakeUpstream) -> None:
    upstream.then(late(0.4), late(0.4))
    model = gateway.model(upstream)
    assert gateway.ask(model, timeout=30).status_code == 200
    assert events(gateway.ask(model, timeout=30, stream=True).text)[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (refuse(500), 502, None),
        (refuse(503), 503, None),
        (refuse(529), 503, None),
        (refuse(404), 404, None),
        (refuse(401), 502, None),
        (refuse(413), 413, None),
        (disconnect, 502, "upstream_broken"),
        (say(b"{"), 502, "upstream_broken"),
        (hang, 504, "upstream_timeout"),
    ],
)
def test_what_the_caller_is_told(
    gateway: Gateway, plain: FakeUpstream, fault: Answer, status: int, code: str | None
) -> None:
    plain.always(fault)
    model = gateway.model(plain)
    answer = gateway.ask(model, timeout=0.5)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error["message"].startswith(f"{model}-0: ")
    assert error["code"] == (code or "fake_code")
    (log,) = gateway.logs(model)
    assert log["status_code"] == status
    assert log["error_message"] == error["message"]
    assert log["provider_id"] is not None


def test_nobody_listens_there(gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream) -> None:
    model = gateway.model(Leg(plain, {"base_url": "http://127.0.0.1:1/v1"}))
    assert gateway.ask(model).json()["error"]["code"] == "upstream_unreachable"
    assert gateway.ask(model, fallback_providers=[_named(gateway, spare)]).status_code == 200


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_wrong_request_is_asked_once(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream, status: int
) -> None:
    upstream.then(refuse(status, "too many words"))
    answer = gateway.ask(gateway.model(upstream, spare, max_retry=3))
    assert answer.status_code == status
    assert "too many words" in answer.json()["error"]["message"]
    assert (len(upstream.chats), len(spare.chats)) == (1, 0)


def test_the_same_provider_is_asked_again_first(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream
) -> None:
    upstream.then(refuse(500), disconnect, properly)
    model = gateway.model(upstream, spare, max_retry=2)
    assert gateway.ask(model).json()["model"] == f"up-{upstream.kind}"
    assert (len(upstream.chats), len(spare.chats)) == (3, 0)
    assert len(gateway.logs(model)) == 1


@pytest.mark.parametrize(("count", "asked"), [(0, 1), (1, 2)])
def test_the_caller_says_how_often(
    gateway: Gateway, plain: FakeUpstream, count: int, asked: int
) -> None:
    plain.always(refuse(500))
    assert gateway.ask(gateway.model(plain, max_retry=3), retry_count=count).status_code == 502
    assert len(plain.chats) == asked


@pytest.mark.parametrize("wrong", [-1, 6, "1", 1.5])
def test_retries_have_bounds(gateway: Gateway, plain: FakeUpstream, wrong: object) -> None:
    assert gateway.ask(gateway.model(plain), retry_count=wrong).status_code == 400


def test_retry_after_is_kept_to(gateway: Gateway, plain: FakeUpstream) -> None:
    plain.then(refuse(429, retry_after="1"))
    began = time.monotonic()
    assert gateway.ask(gateway.model(plain, max_retry=1)).status_code == 200
    # No earlier than asked for; how much later is the machine's matter.
    assert time.monotonic() - began >= 1
    assert len(plain.chats) == 2


def test_a_long_retry_after_is_not_waited_for(
    gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream
) -> None:
    plain.always(refuse(429, retry_after="3600"))
    assert gateway.ask(gateway.model(plain, spare, max_retry=1)).status_code == 200
    alone = gateway.ask(gateway.model(plain, max_retry=1))
    assert (alone.status_code, alone.headers["retry-after"]) == (429, "3600")
    assert len(plain.chats) == 2


def test_a_used_up_quota_is_not_asked_again(gateway: Gateway, plain: FakeUpstream) -> None:
    error = b'{"error": {"message": "pay", "code": "insufficient_quota"}}'
    plain.then(say(error, status=429))
    assert gateway.ask(gateway.model(plain, max_retry=3)).status_code == 429
    assert len(plain.chats) == 1


def test_who_fails_again_and_again_is_left_alone(
    gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream
) -> None:
    plain.always(refuse(500))
    model = gateway.model(plain, spare)
    asked = FAILED_REQUESTS + 2
    for _ in range(asked):
        assert gateway.ask(model).status_code == 200
    assert (len(plain.chats), len(spare.chats)) == (FAILED_REQUESTS, asked)


def test_all_are_unhealthy(gateway: Gateway, plain: FakeUpstream) -> None:
    plain.always(refuse(500))
    model = gateway.model(plain)
    for _ in range(FAILED_REQUESTS):
        assert gateway.ask(model, retry_count=0).status_code == 502
    refused = gateway.ask(model)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_provider")


def test_a_providers_rate_limit_sends_to_the_next(
    gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream
) -> None:
    model = gateway.model(Leg(plain, {"rate_limit": 1}), spare)
    assert [gateway.ask(model).status_code for _ in range(3)] == [200, 200, 200]
    assert (len(plain.chats), len(spare.chats)) == (1, 2)
    alone = gateway.model(Leg(plain, {"rate_limit": 1}))
    assert [gateway.ask(alone).status_code for _ in range(2)] == [200, 429]


def test_fallbacks_come_last_and_in_order(
    gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream
) -> None:
    plain.always(refuse(500))
    failing, working = _named(gateway, plain), _named(gateway, spare)
    model = gateway.model(plain)
    answer = gateway.ask(model, fallback_providers=[failing, working])
    assert answer.headers["x-provider"] == working
    # Not associated with the model, so asked for it by the caller's own name.
    assert spare.chats[0].body["model"] == model
    assert len(plain.chats) == 2


def test_one_provider_is_named(gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream) -> None:
    model = gateway.model(plain, spare)
    assert gateway.ask(model, provider=f"{model}-1").headers["x-provider"] == f"{model}-1"
    spare.then(refuse(500))
    assert gateway.ask(model, provider=f"{model}-1").status_code == 502
    assert not plain.chats
    assert gateway.ask(model, provider="no-such").status_code == 404
    assert gateway.ask(model, provider=_named(gateway, plain)).status_code == 404


def test_who_can_not_do_it_is_not_asked(
    gateway: Gateway, plain: FakeUpstream, spare: FakeUpstream
) -> None:
    unable = {"tool_call": False, "structured_output": False, "image": False}
    model = gateway.model(Leg(plain, link=unable), spare)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    needs = [
        {"tools": [tool]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": [image]}]},
    ]
    alone = gateway.model(Leg(plain, link=unable))
    for need in needs:
        assert gateway.ask(model, **need).headers["x-provider"] == f"{model}-1"
        refused = gateway.ask(alone, **need)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            400,
            "unsupported_by_model",
        )
    assert not plain.chats
    assert gateway.ask(model).headers["x-provider"] == f"{model}-0"


def _named(gateway: Gateway, upstream: FakeUpstream) -> str:
    """A provider that no model is associated with."""
    name = f"loose-{next(gateway.numbers)}"
    gateway.provider(name, Leg(upstream))
    return name
