"""The service in front of fake upstreams: models made for one test, and what was logged of them."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from tests.support.orchestrator import API_KEY, Service
from tests.support.processes import wait_until
from tests.support.upstreams import KEY, FakeUpstream

ASK = [{"role": "user", "content": "hello there"}]


@dataclass(frozen=True)
class Leg:
    """A provider of a model: an upstream, and how it is associated."""

    upstream: FakeUpstream
    provider: dict[str, Any] = field(default_factory=dict)
    link: dict[str, Any] = field(default_factory=dict)

    def at(self, priority: int) -> Leg:
        return Leg(self.upstream, {**self.provider, "priority": priority}, self.link)


@dataclass
class Gateway:
    """A running service whose providers and models are made through its admin API.

    Each test makes its own, so that what a provider is known for stays in its test.
    """

    service: Service
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        # Making a client takes much longer than what a test does with it.
        self.admin = self._stack.enter_context(self.service.admin())
        self.plain = self._stack.enter_context(self.service.client())
        self.caller = self._stack.enter_context(self.service.caller())

    def close(self) -> None:
        self._stack.close()

    def model(self, *legs: Leg | FakeUpstream, **facts: Any) -> str:
        """Make a model; its providers are asked in the order given and named `MODEL-0`, …"""
        name = f"model-{next(self.numbers)}"
        model = self._create("models", {"name": name, "max_retry": 0, **facts})
        for number, given in enumerate(legs):
            leg = given if isinstance(given, Leg) else Leg(given)
            provider = self.provider(f"{name}-{number}", leg, priority=number + 1)
            link = {"model_id": model["id"], "provider_id": provider["id"]}
            link |= {"provider_model": f"up-{leg.upstream.kind}", "image": True, **leg.link}
            self._create("model-providers", link)
        return name

    def provider(self, name: str, leg: Leg, **facts: Any) -> dict[str, Any]:
        """Make a provider without any model."""
        upstream = leg.upstream
        body = {"name": name, "type": upstream.kind, "api_key": KEY, "base_url": upstream.url}
        return self._create("providers", {**body, **facts, **leg.provider})

    def _create(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.admin.post(f"/api/admin/{what}", json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def sdk(self, **options: Any) -> openai.OpenAI:
        # With a client of its own it would make one, the slowest part of a test.
        given = {"base_url": f"{self.service.url}/v1", "api_key": API_KEY, "max_retries": 0}
        return openai.OpenAI(**{**given, "http_client": self.plain, **options})

    def ask(self, model: str, **body: Any) -> httpx.Response:
        """Post a chat request and read the answer to its end."""
        return self.caller.post(
            "/v1/chat/completions", json={"model": model, "messages": ASK, **body}
        )

    def logs(self, model: str, count: int = 1) -> list[sqlite3.Row]:
        """What was logged of a model's requests, once there is so much; never more."""
        rows: list[sqlite3.Row] = []

        def read() -> bool:
            with sqlite3.connect(self.service.database, timeout=10) as connection:
                connection.row_factory = sqlite3.Row
                query = "SELECT * FROM request_logs WHERE model = ? ORDER BY id"
                rows[:] = connection.execute(query, (model,)).fetchall()
            connection.close()
            return len(rows) >= count

        wait_until(read, f"{count} logs of {model}")
        assert len(rows) == count
        return rows


def events(text: str) -> list[Any]:
    """The data of a stream's events, `[DONE]` as the text it is; comments are none."""
    lines = [line for line in text.splitlines() if line and not line.startswith(":")]
    found = [line.removeprefix("data: ") for line in lines]
    return [each if each == "[DONE]" else json.loads(each) for each in found]
