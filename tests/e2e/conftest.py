"""What the tests in a browser share: the browser, a service with rows and one without, a page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.browsers import Visit, Visitor, launched, visiting
from tests.support.demo_rows import fill
from tests.support.orchestrator import Service, copied, new_database, running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: as long as Playwright is there, asyncio.run is not."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at head without rows; copy it, don't write to it."""
    return new_database(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def filled(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service after a busy day, for tests that only look."""
    database = copied(template, tmp_path_factory.mktemp("filled"))
    fill(database, dt.datetime.now(dt.UTC))
    redis = "redis://:never-shown@127.0.0.1:1/0"
    with running(database, REDIS_URL=redis, MAX_BODY_BYTES="1000000") as service:
        yield service


@pytest.fixture(scope="session")
def empty(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without any rows, for tests that only look."""
    with running(copied(template, tmp_path_factory.mktemp("empty"))) as service:
        yield service


@pytest.fixture(scope="session")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with rows, for tests that change some and leave those of others."""
    database = copied(template, tmp_path_factory.mktemp("service"))
    fill(database, dt.datetime.now(dt.UTC))
    with running(database) as service:
        yield service


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Open a page on a service; whatever a page should not do fails the test at its end."""
    visits: list[Visit] = []

    def open_page(service: Service, *, signed_in: bool = True, **options: Any) -> Visit:
        visits.append(visiting(browser, service, signed_in=signed_in, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.close()
    for each in visits:
        assert each.complaints() == []
