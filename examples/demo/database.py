"""Make a realistic database of the LLM Orchestrator at revision 002.

    python examples/demo/database.py PATH

Hundreds of providers with JSON configs, models, associations, thousands of request logs, days of
statistics and health rows. The same arguments give the same rows. Keys and addresses are made up:
`demo-key-0001`, `https://….example`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

ROOT = Path(__file__).resolve().parents[2]
REVISION = "002"
# The last moment in the data; the columns hold UTC without a zone.
NOW = dt.datetime(2025, 10, 20, 12, 0, 0)
REGIONS = ("eu-west", "eu-north", "us-east", "us-west", "ap-south")
TYPES = ("openai", "openai", "openai", "anthropic", "gemini")
FAMILIES = ("chat", "reason", "code", "vision", "embed")
ERRORS = (
    (429, "rate limit exceeded"),
    (500, "upstream error"),
    (503, "overloaded"),
    (504, "upstream timed out after 60 s"),
)

INSERTS = {
    "providers": """INSERT INTO providers (id, name, type, config, enabled, created_at, updated_at,
        priority, weight, max_retries, timeout, rate_limit)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "models": """INSERT INTO models (id, name, remark, max_retry, timeout, enabled, created_at,
        updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
    "model_providers": """INSERT INTO model_providers (model_id, provider_id, provider_model,
        weight, tool_call, structured_output, image, enabled, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "request_logs": """INSERT INTO request_logs (provider_id, model, endpoint, method, status_code,
        error_message, latency_ms, prompt_tokens, completion_tokens, total_tokens, cost, user_id,
        ip_address, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "provider_health": """INSERT INTO provider_health (provider_id, is_healthy, error_count,
        last_error, last_status_code, last_validated_at, last_success_at, next_retry_at,
        consecutive_successes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "provider_stats": """INSERT INTO provider_stats (provider_id, date, total_requests,
        success_requests, failed_requests, total_tokens, prompt_tokens, completion_tokens,
        avg_response_time, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
}


@dataclass(frozen=True)
class DemoDatabase:
    """What was made: the file and the number of rows of each table."""

    path: Path
    rows: dict[str, int]


def build(
    path: Path,
    *,
    providers: int = 300,
    models: int = 60,
    logs: int = 5000,
    days: int = 7,
    seed: int = 2025,
) -> DemoDatabase:
    """Make the database.

    Args:
        path: The file to make; its folder is made when missing.
        providers: Number of providers; each gets associations, and most a health row.
        models: Number of models.
        logs: Number of request logs, spread over the days.
        days: Days of logs and statistics before 2025-10-20.
        seed: Starts the random numbers.

    Raises:
        FileExistsError: There is a file already.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    migrate(path)
    chance = random.Random(seed)
    rows = {
        "providers": [provider(chance, n) for n in range(1, providers + 1)],
        "models": [model(chance, n) for n in range(1, models + 1)],
        "model_providers": list(associations(chance, providers, models)),
        "request_logs": sorted(
            (request(chance, providers, models, days) for _ in range(logs)), key=lambda row: row[-1]
        ),
        "provider_health": [
            health(chance, n) for n in range(1, providers + 1) if chance.random() < 0.95
        ],
        "provider_stats": [
            statistics(chance, n, day) for n in range(1, providers + 1) for day in range(days)
        ],
    }
    with closing(sqlite3.connect(path)) as connection:
        # As the service opens it.
        connection.execute("PRAGMA journal_mode = WAL")
        for table, found in rows.items():
            connection.executemany(INSERTS[table], found)
        connection.commit()
    return DemoDatabase(path, {table: len(found) for table, found in rows.items()})


def migrate(path: Path) -> None:
    """Bring a new file to revision 002 through the chain itself."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    with database_url(f"sqlite:///{path.resolve()}"):
        command.upgrade(config, REVISION)


@contextmanager
def database_url(url: str) -> Iterator[None]:
    """Set DATABASE_URL meanwhile: it wins over everything else in env.py."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        yield
    finally:
        del os.environ["DATABASE_URL"]
        if before is not None:
            os.environ["DATABASE_URL"] = before


def provider(chance: random.Random, n: int) -> tuple[Any, ...]:
    """A row of providers."""
    type_ = chance.choice(TYPES)
    region = chance.choice(REGIONS)
    made = moment(chance, 200 * 24)
    return (
        n,
        f"{type_}-{region}-{n:04}",
        type_,
        json.dumps(provider_config(chance, n, type_, region), ensure_ascii=chance.random() < 0.5),
        int(chance.random() < 0.9),
        text(made),
        text(made + dt.timedelta(days=chance.randrange(20))),
        chance.choice((10, 50, 100, 100, 100, 200)),
        chance.choice((50, 100, 100, 150)),
        chance.choice((2, 3, 3, 5)),
        chance.choice((30, 60, 60, 120)),
        chance.choice((None, None, 60, 600)),
    )


def provider_config(chance: random.Random, n: int, type_: str, region: str) -> dict[str, Any]:
    """Key and address, and on most providers what revision 003 has no column for."""
    config: dict[str, Any] = {"api_key": f"demo-key-{n:04}"}
    if chance.random() < 0.8:
        config["base_url"] = f"https://{type_}.{region}.example/v1"
    elif chance.random() < 0.5:
        config["base_url"] = None
    if type_ == "openai" and chance.random() < 0.5:
        config["organization"] = f"org-demo-{n % 17:02}"
    if type_ == "anthropic":
        config["api_version"] = chance.choice(("2023-06-01", "2024-10-22"))
    if chance.random() < 0.3:
        config["headers"] = {"X-Team": chance.choice(("search", "Größe", "支援")), "X-Cost": n}
    if chance.random() < 0.15:
        config["proxy"] = {"url": f"http://proxy.{region}.example:3128", "verify": True}
    if chance.random() < 0.1:
        config["temperature"] = chance.choice((0, 0.2, 1.0))
    return config


def model(chance: random.Random, n: int) -> tuple[Any, ...]:
    """A row of models."""
    made = text(moment(chance, 200 * 24))
    remark = chance.choice((None, "", "for the help desk", "reads images", "cheap"))
    retries, timeout = chance.choice((0, 2, 3, 3)), chance.choice((30, 30, 60, 120))
    return (n, model_name(n), remark, retries, timeout, int(chance.random() < 0.95), made, made)


def model_name(n: int) -> str:
    """The name of a model, by number."""
    return f"demo-{FAMILIES[n % len(FAMILIES)]}-{n:02}"


def associations(chance: random.Random, providers: int, models: int) -> Iterator[tuple[Any, ...]]:
    """One to four models for each provider."""
    for provider_id in range(1, providers + 1):
        wanted = min(chance.randint(1, 4), models)
        for model_id in chance.sample(range(1, models + 1), wanted):
            made = text(moment(chance, 100 * 24))
            yield (
                model_id,
                provider_id,
                f"{model_name(model_id)}-2025-{chance.randint(1, 12):02}",
                chance.choice((1, 1, 2, 5)),
                int(chance.random() < 0.8),
                int(chance.random() < 0.7),
                int(chance.random() < 0.3),
                int(chance.random() < 0.95),
                made,
                made,
            )


def request(chance: random.Random, providers: int, models: int, days: int) -> tuple[Any, ...]:
    """A row of request_logs."""
    # Some logs outlive their provider.
    provider_id = chance.randint(1, providers + providers // 50)
    status, error = (200, None) if chance.random() < 0.94 else chance.choice(ERRORS)
    asked = chance.randint(20, 4000)
    answered = chance.randint(1, 900) if error is None else 0
    return (
        provider_id,
        model_name(chance.randint(1, models)),
        chance.choice(("/v1/chat/completions", "/v1/chat/completions", "/v1/embeddings")),
        "POST",
        status,
        error,
        60000 if status == 504 else int(chance.lognormvariate(6.5, 0.6)),
        asked,
        answered,
        asked + answered,
        round((asked + 4 * answered) * 2e-6, 6) if error is None else None,
        f"{chance.getrandbits(64):016x}",
        f"192.0.2.{chance.randint(1, 254)}",
        text(moment(chance, days * 24)),
    )


def health(chance: random.Random, provider_id: int) -> tuple[Any, ...]:
    """A row of provider_health: most are healthy."""
    checked = NOW - dt.timedelta(seconds=chance.randrange(300))
    if chance.random() < 0.88:
        row = (provider_id, 1, 0, None, 200, text(checked), text(checked), None)
        return (*row, chance.randint(1, 400))
    failures = chance.randint(1, 9)
    status, error = chance.choice(ERRORS)
    succeeded = text(moment(chance, 48)) if chance.random() < 0.8 else None
    retry = text(checked + dt.timedelta(seconds=30 * 2 ** min(failures, 6)))
    return (provider_id, 0, failures, error, status, text(checked), succeeded, retry, 0)


def statistics(chance: random.Random, provider_id: int, days_ago: int) -> tuple[Any, ...]:
    """A row of provider_stats: one provider's day."""
    day = NOW.date() - dt.timedelta(days=days_ago)
    total = chance.randint(0, 900)
    failed = min(total, int(chance.expovariate(1 / (1 + total * 0.05))))
    asked, answered = total * chance.randint(200, 900), (total - failed) * chance.randint(50, 300)
    used = dt.datetime.combine(day, dt.time(chance.randrange(12), chance.randrange(60)))
    return (
        provider_id,
        day.isoformat(),
        total,
        total - failed,
        failed,
        asked + answered,
        asked,
        answered,
        round(chance.lognormvariate(6.5, 0.4), 1) if total else 0,
        text(used) if total else None,
    )


def moment(chance: random.Random, hours: int) -> dt.datetime:
    """Some moment of the last hours."""
    return NOW - dt.timedelta(milliseconds=chance.randrange(hours * 3_600_000))


def text(when: dt.datetime) -> str:
    """A moment as SQLAlchemy writes it into SQLite."""
    return when.strftime("%Y-%m-%d %H:%M:%S.%f")


def main(arguments: list[str]) -> int:
    """Make the database that the command line names; returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python examples/demo/database.py PATH\n")
        return 2
    try:
        made = build(Path(arguments[0]))
    except FileExistsError as error:
        sys.stderr.write(f"{error}; remove it or name another file\n")
        return 1
    rows = ", ".join(f"{count} {table}" for table, count in made.rows.items())
    sys.stdout.write(f"{made.path} at revision {REVISION}: {rows}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
