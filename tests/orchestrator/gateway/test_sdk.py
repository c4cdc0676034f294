"""OpenAI's own client against the service, in front of each protocol."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest

from tests.support.gateway_service import ASK, Gateway, Leg
from tests.support.orchestrator import API_KEY
from tests.support.upstreams import KEY, FakeUpstream, err_midway, refuse

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "now", "parameters": CITY},
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "where", "schema": CITY, "strict": True}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def test_a_chat(gateway: Gateway, upstream: FakeUpstream) -> None:
    model = gateway.model(upstream)
    completion = gateway.sdk().chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "be brief"}, *ASK],
        max_tokens=50,
        temperature=0.5,
        stop=["END"],
    )
    assert completion.object == "chat.completion"
    assert completion.model == f"up-{upstream.kind}"
    (choice,) = completion.choices
    assert choice.message.content == f"up-{upstream.kind} heard: hello there"
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 7, 18)
    (log,) = gateway.logs(model)
    assert (log["status_code"], log["error_message"]) == (200, None)
    assert (log["prompt_tokens"], log["completion_tokens"], log["total_tokens"]) == (11, 7, 18)
    assert API_KEY not in str(tuple(log))


def test_a_stream(gateway: Gateway, upstream: FakeUpstream) -> None:
    model = gateway.model(upstream)
    chunks = list(gateway.sdk().chat.completions.create(model=model, messages=ASK, stream=True))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == f"up-{upstream.kind} heard: hello there"
    assert sum(map(bool, texts)) > 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    # Nobody asked for usage: it is there all the same.
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, 7)
    assert not any(chunk.usage for chunk in chunks[:-1])
    (log,) = gateway.logs(model)
    assert (log["status_code"], log["prompt_tokens"], log["completion_tokens"]) == (200, 11, 7)


def test_the_asynchronous_client(gateway: Gateway, upstream: FakeUpstream) -> None:
    model = gateway.model(upstream)

    async def talk() -> tuple[str | None, str]:
        url = f"{gateway.service.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=API_KEY, max_retries=0) as client:
            whole = await client.chat.completions.create(model=model, messages=ASK)
            stream = await client.chat.completions.create(model=model, messages=ASK, stream=True)
            parts = [c.choices[0].delta.content or "" async for c in stream if c.choices]
        return whole.choices[0].message.content, "".join(parts)

    expected = f"up-{upstream.kind} heard: hello there"
    assert asyncio.run(talk()) == (expected, expected)


def test_tools_there_and_back(gateway: Gateway, upstream: FakeUpstream) -> None:
    model, client = gateway.model(upstream), gateway.sdk()
    first = client.chat.completions.create(model=model, messages=ASK, tools=[TOOL])
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "weather")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages = [*ASK, choice.message.model_dump(exclude_none=True), result]
    second = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    assert "sunny" in second.choices[0].message.content
    assert second.choices[0].finish_reason == "stop"


def test_tools_in_a_stream(gateway: Gateway, upstream: FakeUpstream) -> None:
    with gateway.sdk().chat.completions.stream(
        model=gateway.model(upstream), messages=ASK, tools=[TOOL]
    ) as stream:
        completion = stream.get_final_completion()
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.id
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert completion.usage.completion_tokens == 7


def test_images(gateway: Gateway, upstream: FakeUpstream) -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
    ]
    completion = gateway.sdk().chat.completions.create(
        model=gateway.model(upstream), messages=[{"role": "user", "content": parts}]
    )
    assert completion.choices[0].message.content == f"up-{upstream.kind} saw 2 images"


def test_structured_output(gateway: Gateway, upstream: FakeUpstream) -> None:
    completion = gateway.sdk().chat.completions.create(
        model=gateway.model(upstream), messages=ASK, response_format=FORMAT
    )
    assert json.loads(completion.choices[0].message.content) == {"city": "Paris"}


@pytest.mark.parametrize("encoding", ["float", "base64", None])
@pytest.mark.parametrize("kind", ["openai", "gemini"])
def test_embeddings(
    gateway: Gateway, upstreams: dict[str, FakeUpstream], kind: str, encoding: str | None
) -> None:
    upstreams[kind].forget()
    model = gateway.model(upstreams[kind])
    options = {"encoding_format": encoding} if encoding else {}
    answer = gateway.sdk().embeddings.create(model=model, input=["one", "two"], **options)
    assert [entry.index for entry in answer.data] == [0, 1]
    if encoding != "base64":
        # The client asks for base64 by itself, and decodes it.
        assert list(answer.data[1].embedding) == [0.5, -0.25, 1.0]
    else:
        assert isinstance(answer.data[1].embedding, str)
    assert answer.usage.prompt_tokens == 11
    (log,) = gateway.logs(model)
    assert (log["endpoint"], log["prompt_tokens"]) == ("/v1/embeddings", 11)


def test_embeddings_go_past_who_has_none(
    gateway: Gateway, upstreams: dict[str, FakeUpstream], spare: FakeUpstream
) -> None:
    upstreams["anthropic"].forget()
    client = gateway.sdk()
    answer = client.embeddings.create(
        model=gateway.model(upstreams["anthropic"], spare), input="one"
    )
    assert len(answer.data) == 1
    with pytest.raises(openai.BadRequestError, match="has no embeddings"):
        client.embeddings.create(model=gateway.model(upstreams["anthropic"]), input="one")
    assert not upstreams["anthropic"].seen


def test_models(gateway: Gateway, plain: FakeUpstream) -> None:
    model, client = gateway.model(plain), gateway.sdk()
    assert model in [entry.id for entry in client.models.list()]
    entry = client.models.retrieve(model)
    assert (entry.id, entry.object) == (model, "model")
    assert entry.created > 1_700_000_000
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("no/such/model")


def test_a_field_of_tomorrow_goes_both_ways(gateway: Gateway, plain: FakeUpstream) -> None:
    completion = gateway.sdk().chat.completions.create(
        model=gateway.model(plain), messages=ASK, extra_body={"field_of_tomorrow": [1, {"a": None}]}
    )
    assert completion.field_of_tomorrow == [1, {"a": None}]
    assert completion.system_fingerprint == "fp_1"


def test_half_a_surrogate_pair_is_passed_on(gateway: Gateway, plain: FakeUpstream) -> None:
    content = '{"model": "%s", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    answer = gateway.caller.post(
        "/v1/chat/completions",
        content=content % gateway.model(plain),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200
    assert plain.chats[0].body["messages"][0]["content"] == "\ud83d"


ERRORS = [
    (400, openai.BadRequestError),
    (404, openai.NotFoundError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    # The provider's refused key is not the caller's.
    (401, openai.InternalServerError),
    (403, openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "kind"), ERRORS)
def test_errors_are_the_classes_of_the_client(
    gateway: Gateway,
    upstream: FakeUpstream,
    status: int,
    kind: type[openai.APIStatusError],
    stream: bool,
) -> None:
    upstream.then(refuse(status, f"because of {KEY}", retry_after="7"))
    model = gateway.model(upstream)
    with pytest.raises(kind) as caught:
        gateway.sdk().chat.completions.create(model=model, messages=ASK, stream=stream)
    assert KEY not in caught.value.response.text
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body["message"].startswith(f"{model}-0: ")
    (log,) = gateway.logs(model)
    assert log["status_code"] == caught.value.status_code
    assert KEY not in log["error_message"]
    assert len(upstream.chats) == 1


def test_who_may_not(gateway: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError):
        gateway.sdk(api_key="sk-wrong").chat.completions.create(model="m", messages=ASK)
    with pytest.raises(openai.NotFoundError) as caught:
        gateway.sdk().chat.completions.create(model="none-such", messages=ASK)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        gateway.sdk().chat.completions.create(model="m", messages=[])


def test_an_error_in_the_middle_of_a_stream(gateway: Gateway, upstream: FakeUpstream) -> None:
    upstream.then(err_midway(4, message="too much to do"))
    model = gateway.model(upstream)
    # When all of it arrives at once nothing was passed on yet, and it is a status instead.
    with pytest.raises(openai.APIError, match="too much to do"):
        list(gateway.sdk().chat.completions.create(model=model, messages=ASK, stream=True))
    (log,) = gateway.logs(model)
    assert log["status_code"] >= 500


def test_a_wrong_key_upstream_is_passed_by(
    gateway: Gateway, upstream: FakeUpstream, spare: FakeUpstream
) -> None:
    wrong = Leg(upstream, {"api_key": "another-key"})
    completion = gateway.sdk().chat.completions.create(
        model=gateway.model(wrong, spare), messages=ASK
    )
    assert completion.model == "up-openai"
    assert len(spare.chats) == 1
