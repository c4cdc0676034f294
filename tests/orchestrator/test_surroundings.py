"""What surrounds every request: ids, headers, limits, log lines."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.support.migration_chain import execute, query
from tests.support.orchestrator import (
    ADMIN,
    ADMIN_KEY,
    API_KEY,
    CALLER,
    Service,
    copied,
    in_process,
    running,
)
from tests.support.processes import holding, wait_until


@pytest.fixture(scope="module")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("surroundings")
    settings = {
        "MAX_BODY_BYTES": "2000",
        "CORS_ORIGINS": "https://app.example",
        "LOG_FORMAT": "json",
        "LOG_FILE": str(folder / "service.log"),
    }
    with running(copied(template, folder), **settings) as service:
        yield service


def lines(service: Service) -> list[dict[str, object]]:
    """What was logged; every line is JSON of its own."""
    text = (service.database.parent / "service.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_request_has_an_id(service: Service) -> None:
    with service.client() as client:
        first, second = (client.get("/version").headers["x-request-id"] for _ in range(2))
        assert first != second
        assert re.fullmatch(r"[0-9a-f]{32}", first)
        given = client.get("/version?key=sk-secret", headers={"X-Request-ID": "mine-1.2_3"})
        assert given.headers["x-request-id"] == "mine-1.2_3"
        for odd in ("", "with space", "x" * 129, "<b>"):
            answer = client.get("/version", headers={"X-Request-ID": odd})
            assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    (line,) = [line for line in lines(service) if line.get("request_id") == "mine-1.2_3"]
    facts = {k: line[k] for k in ("event", "method", "path", "status", "level")}
    assert facts == {
        "event": "request",
        "method": "GET",
        "path": "/version",
        "status": 200,
        "level": "info",
    }


def test_no_log_line_has_a_key(service: Service) -> None:
    with service.client() as client:
        for headers in (ADMIN, CALLER, {"X-API-Key": "sk-wrong-0123456789"}):
            client.get("/api/admin/verify", headers=headers)
            client.get("/v1/models", headers=headers)
    text = (service.database.parent / "service.log").read_text()
    for key in (ADMIN_KEY, API_KEY, "sk-wrong-0123456789"):
        assert key not in text


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/admin/verify", "/v1/models"])
def test_headers(service: Service, path: str) -> None:
    with service.client() as client:
        headers = client.get(path).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
    assert headers.get("cache-control") == ("no-store" if "admin" in path else None)


def test_pages_run_no_inline_scripts(service: Service) -> None:
    with service.client() as client:
        policy = client.get("/admin-ui/login").headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert client.get("/", follow_redirects=False).headers["location"] == "/admin-ui/login"


def test_bodies_have_an_end(service: Service) -> None:
    long = b'{"name": "' + b"x" * 2000 + b'"}'
    with service.admin() as client:
        told = client.post("/api/admin/models", content=long)
        # Without Content-Length, the bytes are counted as they come.
        untold = client.post(
            "/api/admin/models",
            content=iter([long[:1500], long[1500:]]),
            headers={"Content-Type": "application/json"},
        )
        for answer in (told, untold):
            assert answer.status_code == 413
            assert answer.json()["error"]["code"] == "request_too_large"
            assert answer.headers["x-request-id"]
        assert client.get("/api/admin/models").json() == []


def test_other_origins(service: Service) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-API-Key,X-Stainless-Lang",
    }
    with service.client() as client:
        for origin, allowed in (("https://app.example", True), ("https://bad.example", False)):
            answer = client.options("/v1/models", headers={"Origin": origin, **asked})
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            assert answer.status_code == (200 if allowed else 400)
            plain = client.get("/health", headers={"Origin": origin})
            assert ("access-control-allow-origin" in plain.headers) is allowed
            assert "access-control-allow-credentials" not in plain.headers


def test_nobody_elses_pages_unless_told(database: Path) -> None:
    async def body() -> httpx.Response:
        async with in_process(database) as (_, client):
            return await client.get("/health", headers={"Origin": "https://app.example"})

    assert "access-control-allow-origin" not in asyncio.run(body()).headers


def test_what_nobody_expected(database: Path) -> None:
    """Answered in the one shape, with id and headers, and with nothing of what happened."""

    def install(app: FastAPI) -> None:
        async def fail() -> None:
            raise RuntimeError("secret")

        app.add_api_route("/fails", fail)

    async def body() -> httpx.Response:
        async with in_process(database) as (app, client):
            install(app)
            return await client.get("/fails")

    answer = asyncio.run(body())
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "api_error"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_locked_database_is_said_to_be(service: Service) -> None:
    with (
        service.admin() as client,
        holding(service.database, "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"),
    ):
        assert client.get("/api/admin/models").status_code == 200
        answer = client.post("/api/admin/models", json={"name": "key-sk-0123456789"})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "database_unavailable"
    assert "database is locked" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "5"
    # The statement's values are nowhere.
    assert "key-sk-0123456789" not in answer.text + json.dumps(lines(service))


def test_foreign_keys_hold_on_every_connection(service: Service) -> None:
    execute(
        service.database,
        "INSERT INTO models (id, name) VALUES (50, 'm50');"
        "INSERT INTO providers (id, name, type, api_key) VALUES (50, 'p50', 'openai', 'k');"
        "INSERT INTO model_providers (model_id, provider_id, provider_model) VALUES (50, 50, 'x');",
    )
    with service.admin() as client:
        assert client.delete("/api/admin/models/50").status_code == 204
        assert query(service.database, "SELECT * FROM model_providers") == []
        assert client.delete("/api/admin/providers/50").status_code == 204


def test_what_machines_ask_every_few_seconds_is_not_logged(service: Service) -> None:
    with service.client() as client:
        client.get("/readyz")
        client.get("/version", headers={"X-Request-ID": "after-readyz"})
    wait_until(lambda: any(line.get("request_id") == "after-readyz" for line in lines(service)))
    assert not any(line.get("path") == "/readyz" for line in lines(service))
