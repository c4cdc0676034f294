"""The admin API: health, statistics, logs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.migration_chain import execute, query
from tests.support.orchestrator import Service

NOW = dt.datetime.now(dt.UTC)
SETUP = """
DELETE FROM model_providers; DELETE FROM models; DELETE FROM provider_health;
DELETE FROM providers; DELETE FROM request_logs;
INSERT INTO providers (id, name, type, api_key, enabled, priority) VALUES
  (1, 'one', 'openai', 'sk-1', 1, 1), (2, 'two', 'gemini', 'sk-2', 1, 2),
  (3, 'off', 'openai', 'sk-3', 0, 3);
INSERT INTO models (id, name) VALUES (1, 'm');
INSERT INTO model_providers (id, model_id, provider_id, provider_model) VALUES (1, 1, 1, 'up');
"""


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    """A client with the admin key, of a service with three providers and no logs."""
    execute(service.database, SETUP)
    with service.admin() as client:
        client.base_url = client.base_url.join("/api/admin/")
        yield client


def log(service: Service, hours: float = 0.1, **facts: Any) -> None:
    """Write a request that ended some hours ago."""
    moment = (NOW - dt.timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S.%f")
    values = {"provider_id": 1, "model": "m", "status_code": 200, "latency_ms": 100} | facts
    names = ", ".join([*values, "created_at"])
    row = ", ".join("NULL" if v is None else repr(v) for v in [*values.values(), moment])
    execute(service.database, f"INSERT INTO request_logs ({names}) VALUES ({row})")


def test_statistics(admin: httpx.Client, service: Service) -> None:
    log(service, total_tokens=10, cost=0.5)
    log(service, total_tokens=20, cost=0.25, latency_ms=200)
    log(service, status_code=500)
    log(service, provider_id=2, status_code=429, total_tokens=None, latency_ms=None)
    log(service, provider_id=None, status_code=None)
    log(service, provider_id=77, status_code=302)
    log(service, hours=30)
    found = admin.get("stats", params={"hours": 24}).json()
    assert (found["total_requests"], found["success_requests"], found["failed_requests"]) == (
        *(6, 3),
        3,
    )
    assert (found["success_rate"], found["total_tokens"], found["total_cost"]) == (50.0, 30, 0.75)
    assert found["avg_response_time_ms"] == 120.0
    one, two, gone = found["providers"]
    assert (one["provider_id"], one["provider_name"], one["total_requests"]) == (1, "one", 3)
    assert (one["success_rate"], one["total_tokens"], one["total_cost"]) == (66.67, 30, 0.75)
    # Without ELSE 0 there would be no sum over failures alone.
    assert (two["success_requests"], two["failed_requests"], two["success_rate"]) == (0, 1, 0.0)
    assert (two["avg_response_time_ms"], two["total_tokens"], two["total_cost"]) == (0.0, 0, 0.0)
    assert (gone["provider_id"], gone["provider_name"]) == (77, None)
    assert admin.get("stats", params={"hours": 168}).json()["total_requests"] == 7


def test_statistics_of_nothing(admin: httpx.Client) -> None:
    found = admin.get("stats").json()
    assert found == {
        **dict.fromkeys(("total_requests", "success_requests", "failed_requests"), 0),
        **dict.fromkeys(("success_rate", "avg_response_time_ms", "total_cost"), 0.0),
        "total_tokens": 0,
        "hours": 24,
        "providers": [],
    }


@pytest.mark.parametrize("hours", [0, 169, "x"])
def test_hours_that_are_not_kept(admin: httpx.Client, hours: object) -> None:
    assert admin.get("stats", params={"hours": str(hours)}).status_code == 422


def test_logs_page_by_page(admin: httpx.Client, service: Service) -> None:
    for number in range(7):
        log(service, latency_ms=number, provider_id=1 + number % 2, status_code=200 + number // 4)
    page = admin.get("logs", params={"page": 2, "page_size": 3}).json()
    assert [each["latency_ms"] for each in page["items"]] == [3, 2, 1]
    assert (page["total"], page["pages"], page["page"], page["page_size"]) == (7, 3, 2, 3)
    assert page["items"][0]["provider_name"] == "two"
    assert page["items"][0]["created_at"].endswith("Z")
    assert admin.get("logs", params={"page": 9}).json()["items"] == []
    assert admin.get("logs", params={"provider_id": 2}).json()["total"] == 3
    assert admin.get("logs", params={"status_code": 201}).json()["total"] == 3
    both = admin.get("logs", params={"status_code": 201, "provider_id": 1}).json()
    assert (both["total"], both["pages"]) == (2, 1)
    for wrong in ({"page": 0}, {"page_size": 101}, {"status_code": 99}, {"provider_id": 0}):
        assert admin.get("logs", params=wrong).status_code == 422


def test_old_logs_are_deleted(admin: httpx.Client, service: Service) -> None:
    for days in (0, 6, 8, 400):
        log(service, hours=24 * days + 0.1)
    # As the database itself writes the time, and more than are deleted at once.
    execute(
        service.database,
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4500)"
        " INSERT INTO request_logs (model, created_at)"
        " SELECT 'm', datetime('now', '-9 days') FROM n",
    )
    cleaned = admin.delete("logs/cleanup", params={"retention_days": 7}).json()
    assert cleaned == {"deleted": 4502, "retention_days": 7}
    assert query(service.database, "SELECT count(*) FROM request_logs") == [(2,)]
    for wrong in ("", "?retention_days=0", "?retention_days=366"):
        assert admin.delete(f"logs/cleanup{wrong}").status_code == 422


def test_the_last_outcomes_of_an_association(admin: httpx.Client, service: Service) -> None:
    for number in range(60):
        log(service, latency_ms=number, status_code=200 if number % 2 else 502)
    log(service, provider_id=2)
    log(service, model="other")
    found = admin.get("model-providers/1/status", params={"limit": 2}).json()
    assert [(each["latency_ms"], each["success"]) for each in found["outcomes"]] == [
        (59, True),
        (58, False),
    ]
    assert len(admin.get("model-providers/1/status").json()["outcomes"]) == 10
    assert len(admin.get("model-providers/1/status?limit=50").json()["outcomes"]) == 50
    assert admin.get("model-providers/1/status?limit=51").status_code == 422
    assert admin.get("model-providers/9/status").status_code == 404


def test_health(admin: httpx.Client, service: Service) -> None:
    def report(status: int) -> dict[str, Any]:
        answer = admin.get("health")
        assert answer.status_code == status
        return dict(answer.json())

    unknown = report(200)
    assert (unknown["status"], unknown["database_status"]) == ("healthy", "ok")
    assert unknown["cache_status"] == "memory"
    # Those that are off are nobody's worry.
    assert [each["provider_name"] for each in unknown["providers"]] == ["one", "two"]
    assert unknown["providers"][0]["is_healthy"] is None
    execute(
        service.database,
        "INSERT INTO provider_health (provider_id, is_healthy, response_time_ms, error_message,"
        " consecutive_failures, success_rate) VALUES (1, 0, 12.5, 'refused', 3, 40)",
    )
    some = report(200)
    assert some["status"] == "degraded"
    assert some["providers"][0] == {
        "provider_id": 1,
        "provider_name": "one",
        "is_healthy": False,
        "response_time_ms": 12.5,
        "error_message": "refused",
        "last_check": some["providers"][0]["last_check"],
        "consecutive_failures": 3,
        "success_rate": 40.0,
    }
    execute(service.database, "INSERT INTO provider_health (provider_id, is_healthy) VALUES (2, 0)")
    assert report(503)["status"] == "unhealthy"
    execute(service.database, "DELETE FROM providers")
    assert report(200)["status"] == "healthy"
