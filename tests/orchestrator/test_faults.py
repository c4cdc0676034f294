"""What may break around a running service, and what its callers notice of it: nothing."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.gateway_load import CHAT, Callers, add_providers, logged, query
from tests.support.machine import mounted
from tests.support.orchestrator import Service, copied, running
from tests.support.processes import holding, wait_until
from tests.support.redis_server import redis_server
from tests.support.upstreams import FakeUpstream, hang, late


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream("openai") as upstream:
        yield upstream


@pytest.fixture
def served(database: Path, upstream: FakeUpstream) -> Path:
    """A database with the upstream as its only provider."""
    upstream.forget()
    add_providers(database, [upstream.url])
    return database


def chat(service: Service, **more: object) -> httpx.Response:
    with service.caller() as client:
        return client.post("/v1/chat/completions", json=CHAT | more)


def metric(service: Service, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{service.url}/metrics").text, re.M)
    assert found, name
    return float(found[1])


def test_sigterm_under_load_loses_no_log_of_a_finished_request(
    served: Path, upstream: FakeUpstream
) -> None:
    upstream.always(late(0.02))
    with running(served) as service:
        # Nothing can be written yet, so every log still waits when the signal comes.
        with holding(served, "BEGIN EXCLUSIVE"), Callers(service.url) as callers:
            wait_until(lambda: callers.finished >= 100, "a hundred answers")
            service.process.send_signal(signal.SIGTERM)
            callers.join()
            assert logged(served) == 0
        # uvicorn ends by the signal that it was sent, after all is done.
        assert service.process.wait(60) in {0, -signal.SIGTERM}
        assert set(callers.statuses) == {200}
        assert logged(served) >= callers.finished
        ((requests, tokens),) = query(
            served, "SELECT sum(total_requests), sum(total_tokens) FROM provider_stats"
        )
        assert query(served, "SELECT count(*), sum(total_tokens) FROM request_logs") == [
            (requests, tokens)
        ]


def test_who_does_not_end_in_time_is_logged_as_stopped(
    served: Path, upstream: FakeUpstream
) -> None:
    upstream.always(hang)
    with running(served, SHUTDOWN_SECONDS="0") as service, Callers(service.url):
        wait_until(lambda: upstream.seen, "a request waits")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) in {0, -signal.SIGTERM}
    assert set(query(served, "SELECT status_code, error_message FROM request_logs")) == {
        (503, "the service was stopped before the end of the answer")
    }
    assert "Traceback" not in service.log.read_text()


def test_kill_leaves_a_database_that_opens_clean(served: Path) -> None:
    # The second time it starts on what the first left.
    for _ in range(2):
        before = logged(served)
        with running(served) as service, Callers(service.url) as callers:
            # In the middle of writing: some are in the database, others not yet.
            wait_until(lambda: logged(served) > before + 20, "twenty logs")  # noqa: B023
            service.stop(signal.SIGKILL)
            callers.join()
        assert query(served, "PRAGMA integrity_check") == [("ok",)]
        assert query(served, "PRAGMA foreign_key_check") == []
        assert query(served, "SELECT version_num FROM alembic_version") == [("004",)]
        assert callers.finished


def test_a_locked_database_fails_no_chat_and_costs_no_log(served: Path) -> None:
    with running(served) as service:
        with holding(served, "BEGIN EXCLUSIVE"):
            assert {chat(service).status_code for _ in range(10)} == {200}
            assert logged(served) == 0
        wait_until(lambda: logged(served) == 10, "ten logs")
        assert metric(service, 'llm_logs_dropped_total{why="database"}') == 0


def test_a_full_disk_fails_no_chat(template: Path, tmp_path: Path, upstream: FakeUpstream) -> None:
    upstream.forget()
    with mounted(tmp_path / "disk", "size=2m") as disk:
        database = copied(template, disk)
        add_providers(database, [upstream.url])
        with running(database, LOG_FILE=str(tmp_path / "service.log")) as service:
            assert chat(service).status_code == 200
            wait_until(lambda: logged(database) == 1, "a log")
            filler = disk / "filler"
            fill(filler)
            # Large enough that even what SQLite has reserved in its files runs out.
            odd = {"user": "x", "model": "chat"}
            for _ in range(50):
                assert chat(service, **odd).status_code == 200
            assert chat(service, model="m" * 100).status_code == 404
            wait_until(lambda: "does not take request logs" in said(tmp_path), "the log says so")
            filler.unlink()
            wait_until(lambda: logged(database) == 51, "the logs that waited")
            assert query(database, "PRAGMA integrity_check") == [("ok",)]


def said(folder: Path) -> str:
    return (folder / "service.log").read_text()


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.fsync(file.fileno())


def test_redis_may_go_and_come_back(served: Path, tmp_path: Path) -> None:
    with (
        redis_server(tmp_path) as redis,
        running(
            served, REDIS_ENABLED="true", REDIS_URL=redis.url, RATE_LIMIT_PER_MINUTE="1000"
        ) as service,
        service.admin() as admin,
    ):

        def status() -> object:
            return admin.get("/api/admin/health").json()["cache_status"]

        assert status() == "redis"
        assert chat(service).status_code == 200
        assert redis.ask("DBSIZE") != b":0\r\n"
        redis.kill()
        assert {chat(service).status_code for _ in range(5)} == {200}
        assert status() == "unreachable"
        redis.start()
        wait_until(lambda: status() == "redis", "Redis is used again")
        assert redis.ask("DBSIZE") == b":0\r\n"
        assert chat(service).status_code == 200
        assert redis.ask("DBSIZE") != b":0\r\n"


def test_the_rate_limit_is_told_as_openai_does(served: Path) -> None:
    with running(served, RATE_LIMIT_PER_MINUTE="3") as service:
        assert [chat(service).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = chat(service)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert metric(service, "llm_rate_limited_total") == 2


def test_who_hangs_is_left_for_the_next(database: Path, upstream: FakeUpstream) -> None:
    upstream.forget()
    with FakeUpstream("openai") as silent:
        silent.always(hang)
        add_providers(database, [silent.url, upstream.url], timeout=1)
        with running(database) as service:
            for stream in (False, True):
                answer = chat(service, stream=stream)
                assert answer.status_code == 200
                assert answer.headers["x-provider"] == "provider-2"
            silent.wait_until_left(2)
            wait_until(lambda: logged(database) == 2, "both logs")
    assert query(database, "SELECT DISTINCT provider_id FROM request_logs") == [(2,)]


def test_health_is_found_out_and_written(database: Path, upstream: FakeUpstream) -> None:
    upstream.forget()
    with FakeUpstream("openai") as gone:
        unreachable = gone.url
    add_providers(database, [unreachable, upstream.url])

    def healthy() -> dict[int, int]:
        rows = query(database, "SELECT provider_id, is_healthy FROM provider_health")
        return {int(key): int(value) for key, value in rows}

    with running(database, HEALTH_CHECK_INTERVAL="1") as service:
        wait_until(lambda: healthy() == {1: 0, 2: 1}, "the first is found unhealthy")
        # Nobody tries it any more.
        assert chat(service).headers["x-provider"] == "provider-2"
        assert metric(service, 'llm_provider_healthy{provider="provider-1"}') == 0
        assert metric(service, 'llm_provider_healthy{provider="provider-2"}') == 1
        assert 'provider="provider-1",outcome' not in httpx.get(f"{service.url}/metrics").text


def test_a_database_that_is_gone_fails_no_chat(served: Path) -> None:
    with running(served) as service:
        assert chat(service).status_code == 200
        wait_until(lambda: logged(served) == 1, "a log")
        with closing(sqlite3.connect(served)) as connection:
            connection.execute("DROP TABLE request_logs")
        assert {chat(service).status_code for _ in range(3)} == {200}
