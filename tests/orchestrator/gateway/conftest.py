"""A service for all tests, and an upstream of each protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway_service import Gateway
from tests.support.orchestrator import copied, running
from tests.support.upstreams import FakeUpstream

KINDS = ("openai", "anthropic", "gemini")


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[str, FakeUpstream]]:
    """One upstream of each protocol."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(FakeUpstream(kind)) for kind in KINDS}


@pytest.fixture(scope="session")
def spares() -> Iterator[dict[str, FakeUpstream]]:
    """A second upstream of each protocol, to fail over to."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(FakeUpstream(kind)) for kind in KINDS}


@pytest.fixture(scope="session")
def gateway(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A service for all tests: each makes its own models and providers."""
    with running(copied(template, tmp_path_factory.mktemp("gateway"))) as service:
        gateway = Gateway(service)
        yield gateway
        gateway.close()


@pytest.fixture(params=KINDS)
def upstream(request: pytest.FixtureRequest, upstreams: dict[str, FakeUpstream]) -> FakeUpstream:
    """The upstream of one protocol after the other, without what other tests told it."""
    found = upstreams[request.param]
    found.forget()
    return found


@pytest.fixture
def spare(spares: dict[str, FakeUpstream]) -> FakeUpstream:
    """An upstream to fail over to."""
    found = spares["openai"]
    found.forget()
    return found


@pytest.fixture
def plain(upstreams: dict[str, FakeUpstream]) -> FakeUpstream:
    """OpenAI's upstream, where the protocol makes no difference."""
    found = upstreams["openai"]
    found.forget()
    return found
