"""Who is asked, in which order, how often, and after which wait."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from llm_orchestrator.backoff import Backoff
from llm_orchestrator.errors import ApiError
from llm_orchestrator.gateway.attempts import AllFailed, Attempts, Effort
from llm_orchestrator.gateway.request import ChatRequest
from llm_orchestrator.gateway.routing import Candidate, Needs, order, plan, read_needs
from llm_orchestrator.routes_table import Link, ModelRoute, ProviderRoute, Routes
from llm_orchestrator.upstream.protocol import (
    Target,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
    Verdict,
)


def provider(name: str, **facts: Any) -> ProviderRoute:
    given = {"priority": 1, "weight": 100, "max_retries": 3, "timeout": 60, "rate_limit": None}
    number = sum(name.encode())
    target = Target(None, "k")
    return ProviderRoute(id=number, name=name, type="openai", target=target, **{**given, **facts})


def link(served_by: ProviderRoute, **facts: Any) -> Link:
    given = {"weight": 1, "tool_call": True, "structured_output": True, "image": True}
    return Link(
        **{"provider": served_by, "provider_model": "up", "enabled": True, **given, **facts}
    )


def routes(*links: Link, others: Mapping[str, ProviderRoute] | None = None) -> Routes:
    providers = {each.provider.name: each.provider for each in links} | dict(others or {})
    return Routes(providers, {"m": ModelRoute("m", 3, 30, 0)}, {"m": links})


def names(found: Routes, request: dict[str, Any] | None = None, **options: Any) -> list[str]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **(request or {})}
    checked = ChatRequest.model_validate(body)
    given = {"needs": Needs(), "healthy": lambda _: None, "chance": random.Random(1), **options}
    return [candidate.provider.name for candidate in plan(found, checked, **given)]


def test_the_lowest_priority_comes_first() -> None:
    found = routes(*(link(provider(name, priority=at)) for name, at in (("b", 2), ("a", 1))))
    assert all(names(found, chance=random.Random(seed)) == ["a", "b"] for seed in range(50))


def test_equals_are_picked_by_weight() -> None:
    links = [
        link(provider("a", weight=100), weight=3),
        link(provider("b", weight=50), weight=2),
        link(provider("c", weight=100), weight=0),
    ]
    chance = random.Random(7)
    orders = Counter(
        "".join(each.provider.name for each in order(links, chance)) for _ in range(4000)
    )
    # 3 to 1, and without weight always last. 4000 draws stray from 3000 by 27 on average.
    assert set(orders) == {"abc", "bac"}
    assert 2850 < orders["abc"] < 3150


def test_the_unhealthy_are_left_out_and_the_unknown_not() -> None:
    a, b, c = provider("a"), provider("b", priority=2), provider("c", priority=3)
    known = {a.id: False, b.id: True}
    assert names(routes(link(a), link(b), link(c)), healthy=known.get) == ["b", "c"]


def test_nobody_is_left() -> None:
    a = provider("a")
    cases = [
        (routes(link(a)), {"healthy": lambda _: False}, 503),
        (routes(), {}, 503),
        (routes(link(a, enabled=False)), {}, 503),
        (routes(link(a, image=False)), {"needs": Needs(images=True)}, 400),
        (Routes(), {}, 404),
    ]
    for found, options, status in cases:
        with pytest.raises(ApiError) as caught:
            names(found, **options)
        assert caught.value.status == status


def test_fallbacks() -> None:
    a, b, c = provider("a"), provider("b"), provider("c")
    found = routes(link(a), link(b, enabled=False), others={"c": c})
    # Disabled for this model means disabled; a stranger is asked by the model's own name.
    assert names(found, {"fallback_providers": ["b", "c", "a"]}) == ["a", "c"]
    assert names(found, {"fallback_providers": ["c"]}, healthy=lambda i: i != c.id) == ["a"]
    with pytest.raises(ApiError, match="does not exist"):
        names(found, {"fallback_providers": ["nobody"]})


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ({}, Needs()),
        ({"tools": []}, Needs()),
        ({"tools": [{}]}, Needs(tools=True)),
        ({"response_format": {"type": "text"}}, Needs()),
        ({"response_format": {"type": "json_schema"}}, Needs(structured=True)),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, Needs()),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, Needs(images=True)),
    ],
)
def test_what_a_request_needs(body: dict[str, Any], needs: Needs) -> None:
    given = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    assert read_needs(ChatRequest.model_validate(given)) == needs


class Diary:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    async def admit(self, candidate: Candidate) -> UpstreamError | None:
        return None

    def succeeded(self, candidate: Candidate, seconds: float) -> None:
        self.entries.append(candidate.provider.name)

    def failed(self, candidate: Candidate, error: UpstreamError) -> None:
        self.entries.append(f"{candidate.provider.name}: {error.code}")


def ask_all(outcomes: dict[str, list[Any]], effort: Effort) -> tuple[Any, list[str]]:
    """Ask providers that answer or raise, one thing after the other."""
    diary = Diary()
    backoff = Backoff(first=0.001, longest=0.002, chance=random.Random(1))
    candidates = [Candidate(provider(name), "up") for name in outcomes]

    async def ask(candidate: Candidate, _: float) -> Any:
        outcome = outcomes[candidate.provider.name].pop(0)
        if isinstance(outcome, float):
            await asyncio.sleep(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    try:
        won = asyncio.run(Attempts(backoff, diary).ask_each(candidates, lambda _: effort, ask))
    except AllFailed as failed:
        return failed, diary.entries
    return won.value, diary.entries


def limited(retry_after: float | None = None) -> UpstreamError:
    return UpstreamError(
        "slow down", status=429, verdict=Verdict.RETRY, code="429", retry_after=retry_after
    )


def test_again_and_then_the_next() -> None:
    broken = UpstreamBroken("x")
    value, entries = ask_all({"a": [broken] * 3, "b": [limited(), "yes"]}, Effort(2, 5))
    assert value == "yes"
    assert entries == ["a: upstream_broken"] * 3 + ["b: 429", "b"]


def test_the_last_error_is_told() -> None:
    failed, _ = ask_all({"a": [UpstreamBroken("x")], "b": [UpstreamTimeout()]}, Effort(0, 5))
    assert (failed.error.code, failed.candidate.provider.name) == ("upstream_timeout", "b")


def test_time_is_each_providers_own() -> None:
    value, entries = ask_all({"a": [60.0], "b": ["yes"]}, Effort(3, 0.05))
    assert value == "yes"
    assert entries == ["a: upstream_timeout", "b"]


def test_no_wait_goes_beyond_the_time_there_is() -> None:
    failed, entries = ask_all({"a": [limited(60), "never"]}, Effort(3, 5))
    assert failed.error.retry_after == 60
    assert entries == ["a: 429"]


def test_waits_grow_are_bounded_and_differ() -> None:
    backoff = Backoff(first=0.25, longest=8, chance=random.Random(3))
    for attempt, bound in enumerate((0.25, 0.5, 1, 2, 4, 8, 8, 8)):
        waits = [backoff.wait(attempt, None) for _ in range(200)]
        assert 0 <= min(waits) < bound / 4
        assert bound * 3 / 4 < max(waits) <= bound
    assert all(2 <= backoff.wait(5, 2.0) <= 2.25 for _ in range(50))
