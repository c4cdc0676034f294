"""OpenAPI says what the service does: schemathesis tries to find where it doesn't."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from llm_orchestrator.app import create_app
from tests.support.gateway_service import Gateway
from tests.support.orchestrator import (
    ADMIN_KEY,
    API_KEY,
    Service,
    running,
    settings_for,
)
from tests.support.upstream_protocols import PROTOCOLS
from tests.support.upstreams import FakeUpstream

# No schema can say which bytes are a workbook; a provider that a test made up is not there; what
# OpenAI takes and others can't, an unknown role or embeddings, is told with 400.
CONFIG = f"""
seed = 1
[auth.openapi.AdminBearer]
bearer = "{ADMIN_KEY}"
[auth.openapi.ApiKeyBearer]
bearer = "{API_KEY}"
[[operations]]
include-name = "POST /api/admin/import/config"
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]
[[operations]]
include-name = "GET /api/admin/providers/{{provider_id}}/models"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 502]
[[operations]]
include-path-regex = "^/v1/(chat/completions|embeddings)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]
"""
# A name can be anything; only these are models, one of each protocol, in turn. What is translated
# needs more than the document asks for: so every other body gets messages that make sense.
HOOKS = """
import itertools
import schemathesis

names = itertools.cycle({models})
sensible = itertools.cycle([False, True])

@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict):
        case.body["model"] = next(names)
        if "messages" in case.body and next(sensible):
            case.body["messages"] = [{{"role": "user", "content": "hello"}}]
            for name in ("tools", "tool_choice", "response_format"):
                case.body.pop(name, None)
    if case.path_parameters:
        case.path_parameters["model_id"] = next(names)
"""
FEW = ("--max-examples", "4")
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def service(database: Path) -> Iterator[Service]:
    """A service whose providers are all out of reach, also those with the vendor's own address."""
    with running(database, HTTP_PROXY=NOWHERE, HTTPS_PROXY=NOWHERE) as service:
        yield service


@pytest.fixture(scope="module")
def app(template: Path) -> FastAPI:
    return create_app(settings_for(template))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def examine(service: Service, folder: Path, *words: str) -> int:
    """Have schemathesis try everything; return how many operations it tried."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    script = Path(sys.executable).with_name("schemathesis")
    # The older paths lead to the same functions: test_older_paths_are_the_same.
    options = ("--checks", "all", "--exclude-deprecated", "--no-color")
    run = subprocess.run(
        [script, "run", f"{service.url}/openapi.json", *options, *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    log = service.log.read_text()
    assert "Traceback" not in log
    assert ADMIN_KEY not in log
    assert API_KEY not in log
    tested = re.search(r"Tested: (\d+)", run.stdout)
    assert tested is not None
    return int(tested[1])


def test_schemathesis_finds_nothing_in_v1(service: Service, tmp_path: Path) -> None:
    # There are no models: a body that is as the schema says can only meet 404.
    assert examine(service, tmp_path, *FEW, "--include-path-regex", "^/v1/") == 4


def test_what_models_answer_is_as_the_document_says(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        gateway = Gateway(stack.enter_context(running(database)))
        stack.callback(gateway.close)
        upstreams = [stack.enter_context(FakeUpstream(kind)) for kind in PROTOCOLS]
        models = [gateway.model(upstream) for upstream in upstreams]
        (tmp_path / "hooks.py").write_text(HOOKS.format(models=models))
        monkeypatch.setenv("SCHEMATHESIS_HOOKS", "hooks")
        words = ["--include-path-regex", "^/v1/", "--mode", "positive", "--phases", "fuzzing"]
        words += ["--max-examples", "20"]
        assert examine(gateway.service, tmp_path, *words) == 4
        with sqlite3.connect(database) as connection:
            query = (
                "SELECT DISTINCT model FROM request_logs "
                "WHERE endpoint LIKE '%chat%' AND status_code = 200"
            )
            answered = connection.execute(query).fetchall()
        connection.close()
        assert {model for (model,) in answered} == set(models)


def test_schemathesis_finds_nothing_in_the_rest(service: Service, tmp_path: Path) -> None:
    assert examine(service, tmp_path, *FEW, "--exclude-path-regex", "^/v1/") == 30


def test_it_has_every_route(document: dict[str, Any]) -> None:
    admin = """
        GET verify|GET health|GET stats|GET logs|DELETE logs/cleanup
        GET providers|POST providers|GET providers/{provider_id}|PATCH providers/{provider_id}
        DELETE providers/{provider_id}|GET providers/{provider_id}/models
        POST providers/{provider_id}/models/import
        GET models|POST models|GET models/{model_id}|PATCH models/{model_id}
        DELETE models/{model_id}
        GET model-providers|POST model-providers|PATCH model-providers/{association_id}
        DELETE model-providers/{association_id}|GET model-providers/{association_id}/status
        GET export/config|GET export/template|POST import/config
    """
    wanted = {
        (words.split()[0], f"{prefix}/{words.split()[1]}")
        for line in admin.split("\n")
        for words in line.split("|")
        if words.strip()
        for prefix in ("/api/admin", "/admin")
    }
    others = "/health /healthz /readyz /version /metrics /v1/models /v1/models/{model_id}".split()
    wanted |= {("GET", path) for path in others}
    wanted |= {("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings")}
    assert set(operations(document)) == wanted


def without_names(part: Any) -> Any:
    """A part of the document without what is made from the path."""
    if isinstance(part, list):
        return [without_names(each) for each in part]
    if isinstance(part, dict):
        made = ("deprecated", "operationId", "tags", "title")
        return {name: without_names(each) for name, each in part.items() if name not in made}
    return part.replace("_api_admin_", "_admin_") if isinstance(part, str) else part


def test_older_paths_are_the_same(document: dict[str, Any]) -> None:
    found = operations(document)
    for (method, path), operation in found.items():
        if path.startswith("/api/admin/"):
            older = found[method, path.removeprefix("/api")]
            assert older["deprecated"] is True
            assert without_names(older) == without_names(operation)


def test_every_operation_says_who_may_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        assert operation["description"]
        if path.startswith(("/api/admin", "/admin")):
            assert operation["security"] == [{"AdminBearer": []}, {"AdminHeader": []}]
            assert {"401", "403", "503"} <= set(operation["responses"])
        elif path.startswith("/v1"):
            assert operation["security"] == [{"ApiKeyBearer": []}, {"ApiKeyHeader": []}]
            assert "401" in operation["responses"]
        else:
            assert "security" not in operation
    assert len({o["operationId"] for o in operations(document).values()}) == len(
        operations(document)
    )


def test_it_says_nothing_of_keys(document: dict[str, Any]) -> None:
    assert ADMIN_KEY not in json.dumps(document)
    assert API_KEY not in json.dumps(document)
