"""The admin API: providers, models, associations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.migration_chain import execute, query
from tests.support.orchestrator import ADMIN, Service, in_process

KEY = "sk-live-0123456789abcdefWXYZ"
PROVIDER = {"type": "openai", "api_key": KEY, "base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    """A client with the admin key, of a service without providers, models and logs."""
    tables = ("model_providers", "models", "providers", "request_logs", "provider_health")
    execute(service.database, "".join(f"DELETE FROM {table};" for table in tables))
    with service.admin() as client:
        client.base_url = client.base_url.join("/api/admin/")
        yield client


def add(admin: httpx.Client, path: str, **facts: Any) -> dict[str, Any]:
    answer = admin.post(path, json=facts)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return dict(answer.json()["error"])


def test_a_providers_life(admin: httpx.Client, service: Service) -> None:
    made = add(admin, "providers", name="one", **PROVIDER)
    assert made["api_key"] == "****WXYZ"
    assert (made["priority"], made["weight"], made["max_retries"]) == (100, 100, 3)
    assert made["created_at"].endswith("Z")
    path = f"providers/{made['id']}"
    assert admin.get(path).json() == made
    changed = admin.patch(path, json={"name": "uno", "base_url": None, "enabled": False}).json()
    assert (changed["name"], changed["base_url"], changed["enabled"]) == ("uno", None, False)
    assert changed["weight"] == made["weight"]
    assert admin.get("providers").json() == [changed]
    assert admin.get("providers", params={"enabled_only": True}).json() == []
    assert admin.delete(path).status_code == 204
    assert error(admin.get(path), 404)["code"] == "not_found"
    assert error(admin.delete(path), 404)["param"] == "provider_id"
    assert query(service.database, "SELECT count(*) FROM providers") == [(0,)]


def test_providers_come_in_the_order_in_which_they_are_tried(admin: httpx.Client) -> None:
    for name, priority in (("a", 3), ("c", 1), ("b", 1)):
        add(admin, "providers", name=name, priority=priority, **PROVIDER)
    assert [each["name"] for each in admin.get("providers").json()] == ["b", "c", "a"]


def test_a_key_sent_back_masked_stays(admin: httpx.Client, service: Service) -> None:
    made = add(admin, "providers", name="one", **PROVIDER)
    path = f"providers/{made['id']}"
    both = {"api_key": made["api_key"], "weight": 7}
    assert admin.patch(path, json=both).json()["weight"] == 7
    assert error(admin.patch(path, json={"api_key": "****QQQQ"}), 409)["code"] == "masked_key"
    assert query(service.database, "SELECT api_key FROM providers") == [(KEY,)]
    assert admin.patch(path, json={"api_key": "short"}).json()["api_key"] == "****"
    assert error(
        admin.post("providers", json={**PROVIDER, "name": "x", "api_key": "****WXYZ"}), 422
    )


def test_no_answer_and_no_log_has_a_providers_key(admin: httpx.Client, service: Service) -> None:
    made = add(admin, "providers", name="one", **PROVIDER)
    model = add(admin, "models", name="m")
    add(admin, "model-providers", model_id=model["id"], provider_id=made["id"], provider_model="x")
    answers = [
        admin.get("providers"),
        admin.get(f"providers/{made['id']}"),
        admin.patch(f"providers/{made['id']}", json={"weight": 1}),
        admin.post("providers", json={**PROVIDER, "name": "one"}),
        admin.post("providers", json={**PROVIDER, "name": "", "api_key": KEY + " "}),
        admin.get(f"providers/{made['id']}/models"),
        admin.get("health"),
        admin.get("model-providers"),
    ]
    assert [each.status_code for each in answers] == [200, 200, 200, 409, 422, 502, 200, 200]
    assert KEY not in "".join(each.text for each in answers)
    assert KEY not in service.log.read_text()


def test_what_is_wrong_is_named_field_by_field(admin: httpx.Client) -> None:
    wrong = {"name": " x", "type": "azure", "api_key": "a b", "weight": -1, "colour": "red"}
    found = error(admin.post("providers", json=wrong), 422)
    assert {each["field"] for each in found["errors"]} == set(wrong)
    assert "must not be blank, have spaces around it" in found["message"]
    assert error(admin.post("models", json={"name": "m", "enabled": "yes"}), 422)["param"] == (
        "enabled"
    )
    plain = error(admin.post("models", content=b'{"name": "m"}'), 422)
    assert "is its Content-Type application/json?" in plain["message"]
    admin.headers["Content-Type"] = "application/json"
    for body, message in ((b"{no", "the body is no JSON"), (b"[1]", "the body is no JSON object")):
        assert error(admin.post("models", content=body), 422)["message"].startswith(message)
    assert error(admin.post("models", content=b'"\xff"'), 422)
    assert error(admin.patch("models/1", json={"name": None}), 422)["param"] == "name"
    assert error(admin.get("models/0"), 422)["param"] == "model_id"


def test_names_are_taken_once(admin: httpx.Client) -> None:
    add(admin, "providers", name="one", **PROVIDER)
    two = add(admin, "providers", name="two", **PROVIDER)
    assert error(admin.post("providers", json={**PROVIDER, "name": "one"}), 409)["param"] == "name"
    assert error(admin.patch(f"providers/{two['id']}", json={"name": "one"}), 409)
    add(admin, "models", name="m")
    other = add(admin, "models", name="n")
    assert error(admin.post("models", json={"name": "m"}), 409)["code"] == "duplicate"
    assert error(admin.patch(f"models/{other['id']}", json={"name": "m"}), 409)
    assert admin.patch(f"models/{other['id']}", json={"name": "n"}).status_code == 200


def test_a_models_life(admin: httpx.Client) -> None:
    made = add(admin, "models", name="m", remark="for tests", max_retry=1, timeout=9, enabled=False)
    five = {k: made[k] for k in ("name", "remark", "max_retry", "timeout", "enabled")}
    assert five == {
        "name": "m",
        "remark": "for tests",
        "max_retry": 1,
        "timeout": 9,
        "enabled": False,
    }
    path = f"models/{made['id']}"
    assert admin.patch(path, json={"remark": None}).json()["remark"] is None
    assert [each["name"] for each in admin.get("models").json()] == ["m"]
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


def test_an_associations_life(admin: httpx.Client, service: Service) -> None:
    provider = add(admin, "providers", name="p", **PROVIDER)
    model, other = (add(admin, "models", name=name) for name in ("m", "n"))
    facts = {"model_id": model["id"], "provider_id": provider["id"], "provider_model": "up"}
    made = add(admin, "model-providers", **facts)
    assert (made["model_name"], made["provider_name"], made["provider_type"]) == (
        *("m", "p"),
        "openai",
    )
    flags = ("tool_call", "structured_output", "image", "enabled")
    assert [made[flag] for flag in flags] == [True, True, False, True]
    assert error(admin.post("model-providers", json=facts), 409)["code"] == "duplicate"
    missing = {**facts, "model_id": 99}
    assert error(admin.post("model-providers", json=missing), 404)["param"] == "model_id"
    second = add(admin, "model-providers", **{**facts, "model_id": other["id"]})
    path = f"model-providers/{made['id']}"
    assert admin.patch(path, json={"image": True, "weight": 5}).json()["image"] is True
    assert error(admin.patch(path, json={"model_id": other["id"]}), 422)["param"] == "model_id"
    by_model = admin.get("model-providers", params={"model_id": other["id"]}).json()
    assert by_model == [second]
    assert len(admin.get("model-providers", params={"provider_id": provider["id"]}).json()) == 2
    assert admin.get("model-providers", params={"provider_id": 99}).json() == []
    assert admin.delete(path).status_code == 204
    # What goes with a provider: its associations, not its logs.
    execute(service.database, f"INSERT INTO request_logs (provider_id) VALUES ({provider['id']})")
    assert admin.delete(f"providers/{provider['id']}").status_code == 204
    assert admin.get("model-providers").json() == []
    assert query(service.database, "SELECT count(*) FROM request_logs") == [(1,)]


def test_models_are_imported_by_name(admin: httpx.Client) -> None:
    provider = add(admin, "providers", name="p", **PROVIDER)
    add(admin, "models", name="a")
    path = f"providers/{provider['id']}/models/import"
    added = {"created_models": 1, "created_associations": 2, "skipped": 0}
    assert admin.post(path, json={"models": ["a", "b", "a"]}).json() == added
    again = {"created_models": 0, "created_associations": 0, "skipped": 2}
    assert admin.post(path, json={"models": ["a", "b"]}).json() == again
    assert [each["name"] for each in admin.get("models").json()] == ["a", "b"]
    assert error(admin.post("providers/99/models/import", json={"models": ["a"]}), 404)


def test_methods_that_a_path_has_not(admin: httpx.Client) -> None:
    answer = admin.put("providers")
    assert error(answer, 405)["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert admin.post("providers/1").headers["allow"] == "GET, HEAD, PATCH, DELETE"


def test_rows_of_old_are_shown(admin: httpx.Client, service: Service) -> None:
    execute(
        service.database,
        "INSERT INTO providers (id, name, type, api_key, enabled, created_at, max_retries)"
        " VALUES (1, ' spaced ', 'azure', '', NULL, NULL, 99);"
        "INSERT INTO models (id, name, max_retry, timeout, enabled) VALUES (1, '', NULL, NULL, 0);"
        "INSERT INTO model_providers (model_id, provider_id, provider_model, weight, image,"
        " tool_call, enabled) VALUES (1, 1, '', NULL, NULL, NULL, NULL);",
    )
    (provider,) = admin.get("providers", params={"enabled_only": True}).json()
    assert (provider["enabled"], provider["api_key"], provider["created_at"]) == (
        *(True, "****"),
        None,
    )
    assert admin.get("models/1").json()["enabled"] is False
    (association,) = admin.get("model-providers").json()
    assert (association["weight"], association["image"], association["tool_call"]) == (
        *(1, False),
        True,
    )
    assert error(admin.get("providers/1/models"), 502)["code"] == "unknown_provider_type"


def test_no_provider_gets_the_logs_of_one_that_was_deleted(
    admin: httpx.Client, service: Service
) -> None:
    first = add(admin, "providers", name="one", **PROVIDER)["id"]
    execute(
        service.database,
        f"INSERT INTO request_logs (provider_id, model, status_code) VALUES ({first}, 'm', 500)",
    )
    admin.delete(f"providers/{first}")
    second = add(admin, "providers", name="two", **PROVIDER)["id"]
    assert second > first
    (log,) = admin.get("logs").json()["items"]
    assert (log["provider_id"], log["provider_name"]) == (first, None)
    assert [each["provider_name"] for each in admin.get("stats").json()["providers"]] == [None]


def test_the_same_added_twice_at_once_is_there_once(database: Path) -> None:
    """As a double click on a slow line sends it."""
    execute(
        database,
        "INSERT INTO models (id, name) VALUES (1, 'm');"
        "INSERT INTO providers (id, name, type, api_key) VALUES (1, 'p', 'openai', 'k');",
    )
    link = {"model_id": 1, "provider_id": 1, "provider_model": "x"}

    async def add_twice() -> list[int]:
        async with in_process(database) as (_, client):
            ask = partial(client.post, "/api/admin/model-providers", json=link, headers=ADMIN)
            return [answer.status_code for answer in await asyncio.gather(ask(), ask(), ask())]

    assert sorted(asyncio.run(add_twice())) == [201, 409, 409]
    assert query(database, "SELECT count(*) FROM model_providers") == [(1,)]


def test_addresses_that_a_path_can_be_appended_to(admin: httpx.Client) -> None:
    good = ("http://h", "https://a_b.example:8443/openai/v1/", "http://[::1]:80", "http://h/a@b~c")
    bad = (
        "ftp://h",
        "http://",
        "http:///v1",
        "http://h/v1?x=1",
        "http://h/#x",
        "http://me:pw@h/v1",
    )
    for number, url in enumerate(good):
        add(admin, "providers", name=f"p{number}", **PROVIDER | {"base_url": url})
    for url in (*bad, "http://h:port", "http://h h", "http://\u00e9"):
        refused = admin.post("providers", json={"name": "p", **PROVIDER, "base_url": url})
        assert error(refused, 422)["param"] == "base_url", url
        assert url not in refused.text
