"""The orchestrator's models are the tables of its documentation, and stand on their own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

import llm_orchestrator
from llm_orchestrator import schema

PACKAGE = Path(llm_orchestrator.__file__).parent
TIME = "DATETIME DEFAULT CURRENT_TIMESTAMP"
FLAGS = {"enabled": "BOOLEAN DEFAULT 1", "created_at": TIME, "updated_at": TIME}

TABLES: dict[str, dict[str, str]] = {
    "providers": {
        "name": "VARCHAR(100) NOT NULL",
        "type": "VARCHAR(50) NOT NULL",
        **FLAGS,
        "priority": "INTEGER DEFAULT 100 NOT NULL",
        "weight": "INTEGER DEFAULT 100 NOT NULL",
        "max_retries": "INTEGER DEFAULT 3 NOT NULL",
        "timeout": "INTEGER DEFAULT 60 NOT NULL",
        "rate_limit": "INTEGER",
        "api_key": "VARCHAR(255) NOT NULL",
        "base_url": "VARCHAR(255)",
    },
    "models": {
        "name": "VARCHAR(100) NOT NULL",
        "remark": "VARCHAR(255)",
        "max_retry": "INTEGER DEFAULT 3",
        "timeout": "INTEGER DEFAULT 30",
        **FLAGS,
    },
    "model_providers": {
        "model_id": "INTEGER NOT NULL",
        "provider_id": "INTEGER NOT NULL",
        "provider_model": "VARCHAR(100) NOT NULL",
        "weight": "INTEGER DEFAULT 1",
        "tool_call": "BOOLEAN DEFAULT 1",
        "structured_output": "BOOLEAN DEFAULT 1",
        "image": "BOOLEAN DEFAULT 0",
        **FLAGS,
    },
    "request_logs": {
        "provider_id": "INTEGER",
        "model": "VARCHAR(100)",
        "endpoint": "VARCHAR(255)",
        "method": "VARCHAR(10)",
        "status_code": "INTEGER",
        "error_message": "TEXT",
        "latency_ms": "INTEGER",
        "prompt_tokens": "INTEGER DEFAULT 0",
        "completion_tokens": "INTEGER DEFAULT 0",
        "total_tokens": "INTEGER DEFAULT 0",
        "cost": "FLOAT",
        "user_id": "VARCHAR(100)",
        "ip_address": "VARCHAR(50)",
        "created_at": TIME,
    },
    "provider_health": {
        "provider_id": "INTEGER NOT NULL",
        "is_healthy": "BOOLEAN DEFAULT 1",
        "error_count": "INTEGER DEFAULT 0",
        "last_error": "TEXT",
        "last_status_code": "INTEGER",
        "last_validated_at": TIME,
        "last_success_at": "DATETIME",
        "next_retry_at": "DATETIME",
        "consecutive_successes": "INTEGER DEFAULT 0",
        "response_time_ms": "FLOAT DEFAULT 0",
        "error_message": "TEXT",
        "last_check": TIME,
        "consecutive_failures": "INTEGER DEFAULT 0",
        "success_rate": "FLOAT DEFAULT 100",
    },
    "provider_stats": {
        "provider_id": "INTEGER NOT NULL",
        "date": "DATE NOT NULL",
        "total_requests": "INTEGER DEFAULT 0",
        "success_requests": "INTEGER DEFAULT 0",
        "failed_requests": "INTEGER DEFAULT 0",
        "total_tokens": "INTEGER DEFAULT 0",
        "prompt_tokens": "INTEGER DEFAULT 0",
        "completion_tokens": "INTEGER DEFAULT 0",
        "avg_response_time": "FLOAT DEFAULT 0",
        "last_used_at": "DATETIME",
    },
}
UNIQUES = {
    "providers": {("name",)},
    "models": {("name",)},
    "model_providers": set(),
    "request_logs": set(),
    "provider_health": {("provider_id",)},
    "provider_stats": {("provider_id", "date")},
}
PARENTS = {
    "providers": set(),
    "models": set(),
    "model_providers": {("model_id", "models.id"), ("provider_id", "providers.id")},
    "request_logs": set(),
    "provider_health": {("provider_id", "providers.id")},
    "provider_stats": {("provider_id", "providers.id")},
}


def table(name: str) -> Table:
    return schema.Base.metadata.tables[name]


def columns(name: str) -> dict[str, str]:
    lines = str(CreateTable(table(name)).compile(dialect=sqlite.dialect())).splitlines()
    found = (re.fullmatch(r"\t(\w+) (.*?),? ?", line) for line in lines)
    return {m[1]: m[2] for m in found if m and m[1] in table(name).columns}


def test_six_tables_and_the_optional_one() -> None:
    tables = schema.Base.metadata.tables.values()
    assert {t.name for t in tables if not t.info.get("optional")} == set(TABLES)
    assert {t.name for t in tables if t.info.get("optional")} == {"provider_config_extras"}


@pytest.mark.parametrize("name", TABLES)
def test_columns(name: str) -> None:
    assert columns(name) == {"id": "INTEGER NOT NULL", **TABLES[name]}
    assert list(columns(name)) == ["id", *TABLES[name]]


@pytest.mark.parametrize("name", TABLES)
def test_constraints(name: str) -> None:
    uniques = [c for c in table(name).constraints if isinstance(c, UniqueConstraint)]
    assert {tuple(c.columns.keys()) for c in uniques} == UNIQUES[name]
    keys = table(name).foreign_keys
    assert {(key.parent.name, key.target_fullname) for key in keys} == PARENTS[name]
    assert {key.ondelete for key in keys} <= {"CASCADE"}
    assert not table(name).indexes


def test_uniques_have_no_names_as_in_the_field() -> None:
    for name in TABLES:
        assert all(
            c.name is None for c in table(name).constraints if isinstance(c, UniqueConstraint)
        )


def test_it_imports_nothing_of_orchctl() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "orchctl" for name in names)


def test_it_has_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", llm_orchestrator.__version__)
