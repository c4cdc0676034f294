"""Who is let in, who is not, and what becomes of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_orchestrator.secret_keys import generate_key, hash_key, matches, user_id_of
from tests.support.orchestrator import ADMIN_KEY, API_KEY, Service, in_process

VERIFY = "/api/admin/verify"


def ask(database: Path, method: str, path: str, headers: Any = None, **settings: Any) -> Any:
    """One request to a service in this process."""

    async def body() -> httpx.Response:
        async with in_process(database, **settings) as (_, client):
            return await client.request(method, path, headers=headers)

    return asyncio.run(body())


@pytest.mark.parametrize("path", [VERIFY, "/admin/verify"])
def test_admin_key(service: Service, path: str) -> None:
    with service.client() as client:
        missing = client.get(path)
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"] == "Bearer"
        assert missing.json()["error"]["code"] == "missing_admin_key"
        for wrong in ({"Authorization": "Bearer no"}, {"X-Admin-Key": "no"}):
            answer = client.get(path, headers=wrong)
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "wrong_admin_key"
        # An API key opens nothing here.
        assert client.get(path, headers={"X-Admin-Key": API_KEY}).status_code == 403
        for right in ({"Authorization": f"Bearer {ADMIN_KEY}"}, {"X-Admin-Key": ADMIN_KEY}):
            assert client.get(path, headers=right).json() == {"valid": True}


def test_api_key(service: Service) -> None:
    with service.client() as client:
        missing = client.get("/v1/models")
        assert missing.status_code == 401
        assert missing.json()["error"] == {
            "message": "No API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            "type": "authentication_error",
            "param": None,
            "code": "missing_api_key",
        }
        for wrong in ({"Authorization": "Bearer no"}, {"X-API-Key": ADMIN_KEY}):
            answer = client.get("/v1/models", headers=wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
        for right in ({"Authorization": f"Bearer {API_KEY}"}, {"X-API-Key": API_KEY}):
            assert client.get("/v1/models", headers=right).status_code == 200


def test_a_key_is_asked_for_before_the_body_is_read(service: Service) -> None:
    with service.client(**{"Content-Type": "application/json"}) as client:
        for path in ("/api/admin/providers", "/admin/models", "/v1/chat/completions"):
            assert client.post(path, content=b"{no json").status_code == 401


def test_without_an_admin_key_the_admin_side_is_off(database: Path) -> None:
    for headers in ({}, {"X-Admin-Key": ADMIN_KEY}, {"X-Admin-Key": ""}):
        answer = ask(database, "GET", VERIFY, headers, admin_key=None)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "admin_disabled"
        assert "ADMIN_KEY is not set" in answer.json()["error"]["message"]


def test_without_api_keys_nobody_is_let_in(database: Path) -> None:
    for key in (API_KEY, "", "None"):
        answer = ask(database, "GET", "/v1/models", {"X-API-Key": key}, api_keys=[])
        assert answer.status_code == 401


def test_hashes_in_place_of_keys(database: Path) -> None:
    hashes = {"admin_key": hash_key(ADMIN_KEY), "api_keys": ["sk-another", hash_key(API_KEY)]}
    for key, status in ((ADMIN_KEY, 200), (hashes["admin_key"], 403), ("x", 403)):
        assert ask(database, "GET", VERIFY, {"X-Admin-Key": key}, **hashes).status_code == status
    for key, status in ((API_KEY, 200), ("sk-another", 200), (hash_key(API_KEY), 401)):
        answer = ask(database, "GET", "/v1/models", {"X-API-Key": key}, **hashes)
        assert answer.status_code == status


def test_no_key_but_the_whole_key() -> None:
    digests = [hash_key(API_KEY).removeprefix("sha256:")]
    assert matches(API_KEY, digests)
    assert not matches(API_KEY[:-1], digests)
    assert not matches(API_KEY + "x", digests)
    assert not matches("", digests)
    assert not matches(API_KEY, [])
    assert not matches("\udcff", digests)


def test_a_short_key_has_no_hash() -> None:
    with pytest.raises(ValueError, match="shorter than 24"):
        hash_key("short")


@pytest.mark.parametrize("make", [generate_key, lambda: generate_key("adm-")])
def test_keys_that_are_made_up(make: Callable[[], str]) -> None:
    assert make() != make()
    assert len(make()) > 40
    assert hash_key(make()).startswith("sha256:")


def test_what_stands_for_a_caller_gives_no_key_away() -> None:
    assert user_id_of(API_KEY) == user_id_of(API_KEY) != user_id_of(API_KEY + "x")
    assert API_KEY not in user_id_of(API_KEY)
    assert user_id_of(API_KEY) not in hash_key(API_KEY)
