"""`orchctl run -- llm-orchestrator serve`: from an older database to a service that answers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway_load import CHAT, query
from tests.support.migration_chain import ROOT
from tests.support.orchestrator import ADMIN, CALLER, environment, new_database, reserved_port
from tests.support.processes import wait_until
from tests.support.upstreams import KEY, FakeUpstream

ORCHCTL = shutil.which("orchctl", path=str(Path(sys.executable).parent))


def fill(path: Path, revision: str, url: str) -> None:
    """Two providers with keys, a model, and logs, as the service of that revision left them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, key in ((1, KEY), (2, "sk-другой-ключ")):
            values: tuple[object, ...] = (number, f"provider-{number}", key, url)
            if revision < "003":
                config = json.dumps({"api_key": key, "base_url": url})
                connection.execute(
                    "INSERT INTO providers (id, name, type, config) VALUES (?, ?, 'openai', ?)",
                    (*values[:2], config),
                )
            else:
                connection.execute(
                    "INSERT INTO providers (id, name, type, api_key, base_url) "
                    "VALUES (?, ?, 'openai', ?, ?)",
                    values,
                )
        connection.execute("INSERT INTO models (id, name) VALUES (1, 'chat')")
        connection.execute(
            "INSERT INTO model_providers (model_id, provider_id, provider_model) "
            "VALUES (1, 1, 'small')"
        )
        connection.executemany(
            "INSERT INTO request_logs (provider_id, model, status_code, error_message, user_id) "
            "VALUES (?, 'chat', ?, ?, 'hash')",
            [(number % 3, 200 + number, f"№ {number}") for number in range(500)],
        )
        connection.execute("INSERT INTO provider_health (provider_id, error_count) VALUES (2, 7)")


def kept(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What no upgrade may change."""
    return {
        "models": query(path, "SELECT * FROM models"),
        "associations": query(path, "SELECT * FROM model_providers"),
        "logs": query(path, "SELECT * FROM request_logs ORDER BY id"),
        "providers": query(path, "SELECT id, name, type, enabled, created_at FROM providers"),
        "health": query(path, "SELECT provider_id, is_healthy, error_count FROM provider_health"),
    }


@contextmanager
def started(database: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The two of them on a database; the process and its address."""
    assert ORCHCTL
    with reserved_port() as port:
        variables = environment(database, PORT=str(port), **settings)
        process = subprocess.Popen(
            [ORCHCTL, "run", "--", sys.executable, "-m", "llm_orchestrator", "serve"],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate()


@pytest.mark.parametrize("revision", ["001", "003"])
def test_every_provider_key_and_log_is_there_afterwards(tmp_path: Path, revision: str) -> None:
    database = new_database(tmp_path / "data", revision)
    with FakeUpstream("openai") as upstream:
        fill(database, revision, upstream.url)
        before = kept(database)
        with started(database) as (process, url):

            def ready() -> bool:
                assert process.poll() is None, process.communicate()[0]
                try:
                    return httpx.get(f"{url}/readyz").status_code == 200
                except httpx.ConnectError:
                    return False

            wait_until(ready, "the service is ready")
            assert kept(database) == before
            # The keys are those of before, for the upstream takes no other.
            answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers=CALLER)
            assert answer.status_code == 200, answer.text
            listed = httpx.get(f"{url}/api/admin/providers", headers=ADMIN).text
            assert "provider-2" in listed
    keys = query(database, "SELECT id, api_key, base_url FROM providers ORDER BY id")
    assert keys == [(1, KEY, upstream.url), (2, "sk-другой-ключ", upstream.url)]


@pytest.mark.parametrize("skip", ["false", "true"])
def test_an_unknown_revision_is_refused_in_a_line_and_left_alone(database: Path, skip: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '005'")
    before = database.read_bytes()
    with started(database, SKIP_MIGRATION=skip) as (process, _):
        said, _ = process.communicate(timeout=60)
    assert process.returncode not in {0, None}
    assert "005" in said
    assert "Traceback" not in said
    (refusal,) = [line for line in said.splitlines() if "005" in line]
    assert "starting" not in said.replace(refusal, "")
    assert database.read_bytes() == before
