"""Databases as the orchestrator's first chain left them in the field, written by hand.

That chain had the same revision ids, but another text: defaults in quotes (`DEFAULT '100'`),
`DEFAULT (CURRENT_TIMESTAMP)`, tables rebuilt by batch mode (a quoted name, constraints in another
order), its 003 dropped every config key but two, its 004 filled nothing. Nothing here goes
through the chain in `migrations/`.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

REVISIONS = ("001", "002", "003", "004")

# id -> (name, type, config). Every shape of config that the field holds and 003 can convert.
PROVIDERS: dict[int, tuple[str, str, dict[str, Any]]] = {
    1: ("plain", "openai", {"api_key": "demo-1", "base_url": "https://one.example/v1"}),
    2: ("key only", "anthropic", {"api_key": "demo-2"}),
    3: (
        "many keys",
        "openai",
        {
            "organization": "org-demo",
            "api_version": "2024-06-01",
            "headers": {"X-Team": "größe ✓", "X-Empty": None},
            "api_key": "demo-3",
            "base_url": "https://three.example",
            "tags": ["a", 1, 2.50, True, None],
            "quote": 'it\'s "quoted" \\ and\nbroken',
        },
    ),
    5: ("null address", "gemini", {"base_url": None, "api_key": "demo-5", "region": "eu"}),
    8: ("empty key", "openai", {"api_key": "", "base_url": ""}),
    13: ("longest key", "openai", {"api_key": "k" * 255, "base_url": "u" * 255, "": "empty"}),
    21: ("number like", "openai", {"api_key": "00123", "base_url": "1e5", "proxy": False}),
}

_PROVIDERS_HEAD = """id INTEGER NOT NULL,
\tname VARCHAR(100) NOT NULL,
\ttype VARCHAR(50) NOT NULL,"""
_PROVIDERS_TAIL = """enabled BOOLEAN DEFAULT '1',
\tcreated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tupdated_at DATETIME DEFAULT (CURRENT_TIMESTAMP)"""
_PROVIDERS_002 = (
    "priority INTEGER DEFAULT '100' NOT NULL, weight INTEGER DEFAULT '100' NOT NULL, "
    "max_retries INTEGER DEFAULT '3' NOT NULL, timeout INTEGER DEFAULT '60' NOT NULL, "
    "rate_limit INTEGER"
)

_PROVIDERS = {
    "001": f"""CREATE TABLE providers (
\t{_PROVIDERS_HEAD}
\tconfig TEXT NOT NULL,
\t{_PROVIDERS_TAIL},
\tPRIMARY KEY (id),
\tUNIQUE (name)
)""",
    # ALTER TABLE ADD COLUMN writes behind the last column.
    "002": f"""CREATE TABLE providers (
\t{_PROVIDERS_HEAD}
\tconfig TEXT NOT NULL,
\t{_PROVIDERS_TAIL}, {_PROVIDERS_002},
\tPRIMARY KEY (id),
\tUNIQUE (name)
)""",
    "003": f"""CREATE TABLE "providers" (
\t{_PROVIDERS_HEAD}
\t{_PROVIDERS_TAIL},
\t{_PROVIDERS_002},
\tapi_key VARCHAR(255) NOT NULL,
\tbase_url VARCHAR(255),
\tUNIQUE (name),
\tPRIMARY KEY (id)
)""",
}
_PROVIDERS["004"] = _PROVIDERS["003"]

_HEALTH_001 = """id INTEGER NOT NULL,
\tprovider_id INTEGER NOT NULL,
\tis_healthy BOOLEAN DEFAULT '1',
\terror_count INTEGER DEFAULT '0',
\tlast_error TEXT,
\tlast_status_code INTEGER,
\tlast_validated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tlast_success_at DATETIME,
\tnext_retry_at DATETIME,
\tconsecutive_successes INTEGER DEFAULT '0'"""

_HEALTH = f"""CREATE TABLE provider_health (
\t{_HEALTH_001},
\tFOREIGN KEY(provider_id) REFERENCES providers (id) ON DELETE CASCADE,
\tPRIMARY KEY (id),
\tUNIQUE (provider_id)
)"""
_HEALTH_004 = f"""CREATE TABLE "provider_health" (
\t{_HEALTH_001},
\tresponse_time_ms FLOAT DEFAULT '0.0',
\terror_message TEXT,
\tlast_check DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tconsecutive_failures INTEGER DEFAULT '0',
\tsuccess_rate FLOAT DEFAULT '100.0',
\tPRIMARY KEY (id),
\tUNIQUE (provider_id),
\tFOREIGN KEY(provider_id) REFERENCES providers (id) ON DELETE CASCADE
)"""

_UNCHANGED = """
CREATE TABLE alembic_version (
\tversion_num VARCHAR(32) NOT NULL,
\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE models (
\tid INTEGER NOT NULL,
\tname VARCHAR(100) NOT NULL,
\tremark VARCHAR(255),
\tmax_retry INTEGER DEFAULT '3',
\ttimeout INTEGER DEFAULT '30',
\tenabled BOOLEAN DEFAULT '1',
\tcreated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tupdated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tPRIMARY KEY (id),
\tUNIQUE (name)
);
CREATE TABLE model_providers (
\tid INTEGER NOT NULL,
\tmodel_id INTEGER NOT NULL,
\tprovider_id INTEGER NOT NULL,
\tprovider_model VARCHAR(100) NOT NULL,
\tweight INTEGER DEFAULT '1',
\ttool_call BOOLEAN DEFAULT '1',
\tstructured_output BOOLEAN DEFAULT '1',
\timage BOOLEAN DEFAULT '0',
\tenabled BOOLEAN DEFAULT '1',
\tcreated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tupdated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tFOREIGN KEY(model_id) REFERENCES models (id) ON DELETE CASCADE,
\tFOREIGN KEY(provider_id) REFERENCES providers (id) ON DELETE CASCADE,
\tPRIMARY KEY (id)
);
CREATE TABLE request_logs (
\tid INTEGER NOT NULL,
\tprovider_id INTEGER,
\tmodel VARCHAR(100),
\tendpoint VARCHAR(255),
\tmethod VARCHAR(10),
\tstatus_code INTEGER,
\terror_message TEXT,
\tlatency_ms INTEGER,
\tprompt_tokens INTEGER DEFAULT '0',
\tcompletion_tokens INTEGER DEFAULT '0',
\ttotal_tokens INTEGER DEFAULT '0',
\tcost FLOAT,
\tuser_id VARCHAR(100),
\tip_address VARCHAR(50),
\tcreated_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
\tPRIMARY KEY (id)
);
CREATE TABLE provider_stats (
\tid INTEGER NOT NULL,
\tprovider_id INTEGER NOT NULL,
\tdate DATE NOT NULL,
\ttotal_requests INTEGER DEFAULT '0',
\tsuccess_requests INTEGER DEFAULT '0',
\tfailed_requests INTEGER DEFAULT '0',
\ttotal_tokens INTEGER DEFAULT '0',
\tprompt_tokens INTEGER DEFAULT '0',
\tcompletion_tokens INTEGER DEFAULT '0',
\tavg_response_time FLOAT DEFAULT '0.0',
\tlast_used_at DATETIME,
\tFOREIGN KEY(provider_id) REFERENCES providers (id) ON DELETE CASCADE,
\tPRIMARY KEY (id),
\tUNIQUE (provider_id, date)
);
"""

_CHILD_ROWS = """
INSERT INTO models (id, name, remark, max_retry) VALUES
  (1, 'gpt-demo', NULL, 3), (2, 'claude-demo', 'reads images', 0), (4, 'gemini-demo', '', NULL);
INSERT INTO model_providers (id, model_id, provider_id, provider_model, weight, image, enabled)
  VALUES (1, 1, 1, 'gpt-demo-2024', 5, 0, 1), (2, 1, 3, 'gpt-demo', 1, 0, 0),
         (3, 2, 2, 'claude-demo-1', 1, 1, 1), (9, 4, 5, 'models/gemini-demo', NULL, NULL, 1);
INSERT INTO request_logs (id, provider_id, model, endpoint, method, status_code, error_message,
    latency_ms, prompt_tokens, completion_tokens, total_tokens, cost, user_id, created_at)
  VALUES (1, 1, 'gpt-demo', '/v1/chat/completions', 'POST', 200, NULL, 812, 10, 20, 30, 0.0012,
          'c0ffee', '2025-09-30 11:59:59.250000'),
         (2, 3, 'gpt-demo', '/v1/chat/completions', 'POST', 504, 'upstream timed out', 30000,
          10, 0, 10, NULL, NULL, '2025-10-01 00:00:00.000000'),
         (7, 404, 'gone', '/v1/embeddings', 'POST', 200, NULL, 90, 5, 0, 5, 0.0, NULL, NULL);
INSERT INTO provider_health (id, provider_id, is_healthy, error_count, last_error,
    last_status_code, last_validated_at, last_success_at, next_retry_at, consecutive_successes)
  VALUES (1, 1, 1, 0, NULL, 200, '2025-10-01 08:00:00.000000', '2025-10-01 08:00:00.000000',
          NULL, 12),
         (2, 3, 0, 4, 'upstream timed out', 504, '2025-10-01 08:00:02.000000',
          '2025-09-29 10:00:00.000000', '2025-10-01 08:10:00.000000', 0),
         (3, 5, 1, 2, 'HTTP 429', 429, '2025-10-01 08:00:03.000000',
          '2025-10-01 08:00:03.000000', NULL, 6),
         (6, 8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO provider_stats (id, provider_id, date, total_requests, success_requests,
    failed_requests, total_tokens, prompt_tokens, completion_tokens, avg_response_time,
    last_used_at)
  VALUES (1, 1, '2025-09-30', 100, 98, 2, 3000, 1000, 2000, 812.5, '2025-09-30 23:59:00.000000'),
         (2, 1, '2025-10-01', 1, 1, 0, 30, 10, 20, 90.0, '2025-10-01 08:00:00.000000'),
         (5, 3, '2025-10-01', 1, 0, 1, 10, 10, 0, 30000.0, NULL);
"""


def build(path: Path, revision: str, *, stamp: str | None = None) -> None:
    """Write a database with rows as the field's chain left it at a revision.

    Args:
        path: The file; must not exist.
        revision: One of REVISIONS.
        stamp: What alembic_version says instead: the field's 003 could lose its stamp.
    """
    if path.exists():
        raise FileExistsError(path)
    health = _HEALTH_004 if revision == "004" else _HEALTH
    script = f"{_PROVIDERS[revision]};\n{_UNCHANGED};\n{health};\n"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.executemany(*_provider_rows(revision))
        connection.commit()
        connection.executescript(_CHILD_ROWS)
        connection.execute("INSERT INTO alembic_version VALUES (?)", [stamp or revision])
        connection.commit()


def configs(revision: str) -> dict[int, dict[str, Any]]:
    """What a config is, by provider id, as far as the field's chain left it at a revision."""
    if revision < "003":
        return {id_: config for id_, (_, _, config) in PROVIDERS.items()}
    return {
        id_: {key: config[key] for key in ("api_key", "base_url") if config.get(key) is not None}
        for id_, (_, _, config) in PROVIDERS.items()
    }


def _provider_rows(revision: str) -> tuple[str, list[tuple[Any, ...]]]:
    names = ["id", "name", "type", "enabled", "created_at"]
    names += ["config"] if revision < "003" else ["api_key", "base_url"]
    names += [] if revision == "001" else ["priority", "rate_limit"]
    insert = f"INSERT INTO providers ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    rows = []
    for id_, (name, type_, config) in PROVIDERS.items():
        row: list[Any] = [id_, name, type_, id_ % 2, f"2025-09-{id_:02} 10:00:00.000000"]
        if revision < "003":
            row.append(json.dumps(config, ensure_ascii=id_ % 2 == 0))
        else:
            row += [config["api_key"], config.get("base_url")]
        row += [] if revision == "001" else [id_ * 10, None if id_ % 2 else 600]
        rows.append(tuple(row))
    return insert, rows
