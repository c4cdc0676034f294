"""A database as it looks after a busy day: what the pages' tests and pictures show."""

from __future__ import annotations

import datetime as dt
import math
import random
import sqlite3
from contextlib import closing
from pathlib import Path

# Every provider's key has this in it, so that a page that shows one is found out.
KEY_MARK = "sk-never-to-be-shown"

PROVIDERS = (
    # name, type, base_url, priority, weight, enabled
    ("OpenAI", "openai", None, 10, 100, 1),
    ("Anthropic", "anthropic", None, 20, 100, 1),
    ("Gemini", "gemini", None, 30, 60, 1),
    ("vLLM in the cellar", "openai", "http://vllm.internal:8000/v1", 30, 40, 1),
    ("Old proxy", "openai", "https://proxy.example.com/openai/v1", 100, 100, 0),
)
MODELS = (
    # name, remark, max_retry, timeout, enabled
    ("chat-large", "For everything that is read by customers", 3, 60, 1),
    ("chat-small", "Fast and cheap: tags, titles, summaries", 2, 20, 1),
    ("vision", "Invoices and photos", 2, 90, 1),
    ("embed", None, 3, 30, 1),
    ("chat-next", "Being tried out", 1, 30, 0),
)
ASSOCIATIONS = (
    # model, provider, provider_model, weight, tool_call, structured_output, image, enabled
    (1, 1, "gpt-4o", 3, 1, 1, 1, 1),
    (1, 2, "claude-sonnet-4-5", 2, 1, 1, 1, 1),
    (1, 3, "gemini-2.5-pro", 1, 1, 1, 1, 1),
    (2, 1, "gpt-4o-mini", 1, 1, 1, 0, 1),
    (2, 4, "qwen3-8b-instruct", 4, 1, 0, 0, 1),
    (3, 1, "gpt-4o", 1, 0, 1, 1, 1),
    (4, 4, "bge-m3", 1, 0, 0, 0, 1),
    (2, 5, "gpt-3.5-turbo", 1, 1, 0, 0, 0),
)
FAULTS = {
    429: "Rate limit reached for requests; retry after 7 s",
    500: "The server had an error while processing your request",
    503: "connect: connection refused (10.0.4.12:8000)",
    504: "No answer within 60 s",
}


def fill(path: Path, now: dt.datetime, *, logs: int = 900) -> None:
    """Put providers, models, associations, a day of logs before `now` and health into a file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO providers (name, type, base_url, priority, weight, enabled, api_key)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(*row, f"{KEY_MARK}-{number:04}") for number, row in enumerate(PROVIDERS, 1)],
        )
        connection.executemany(
            "INSERT INTO models (name, remark, max_retry, timeout, enabled) VALUES (?, ?, ?, ?, ?)",
            MODELS,
        )
        connection.executemany(
            "INSERT INTO model_providers (model_id, provider_id, provider_model, weight, tool_call,"
            " structured_output, image, enabled) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ASSOCIATIONS,
        )
        connection.executemany(
            "INSERT INTO request_logs (provider_id, model, endpoint, method, status_code,"
            " error_message, latency_ms, prompt_tokens, completion_tokens, total_tokens, cost,"
            " user_id, ip_address, created_at) VALUES (?, ?, ?, 'POST', ?, ?, ?, ?, ?, ?, ?, ?, ?,"
            " ?)",
            _logs(now, logs),
        )
        connection.executemany(
            "INSERT INTO provider_health (provider_id, is_healthy, response_time_ms, error_message,"
            " last_check, consecutive_failures, success_rate) VALUES (?, ?, ?, ?, ?, ?, ?)",
            _health(now),
        )


def _logs(now: dt.datetime, number: int) -> list[tuple[object, ...]]:
    chance = random.Random(4)
    rows = []
    for moment in _moments(now, number, chance):
        model, provider, *_ = chance.choices(ASSOCIATIONS, weights=(9, 5, 2, 9, 8, 3, 6, 0))[0]
        back = (now - moment).total_seconds() / 3600
        # The cellar was down for an hour this night, and is again.
        down = provider == 4 and (7 < back < 8.5 or back < 0.25)
        status = chance.choices((503 if down else 200, *FAULTS), weights=(97, 1.5, 1, 0.2, 0.3))[0]
        prompt, answer = chance.randint(40, 2600), chance.randint(10, 900)
        if status != 200:
            prompt = answer = 0
        latency = 60_000 if status == 504 else int(chance.lognormvariate(6.6, 0.6))
        embeds = MODELS[model - 1][0] == "embed"
        rows.append(
            (
                provider,
                MODELS[model - 1][0],
                "/v1/embeddings" if embeds else "/v1/chat/completions",
                status,
                FAULTS.get(status),
                latency,
                prompt,
                answer,
                prompt + answer,
                round((prompt * 2.5 + answer * 10) / 1e6, 6) if provider < 4 else 0.0,
                chance.choice(("9f2c61d07ab34e11", "3be80a55c1d94f02", "c07714e9aa6b2d38")),
                f"10.0.2.{chance.randint(10, 29)}",
                moment.replace(tzinfo=None).isoformat(" ", "seconds"),
            )
        )
    return rows


def _moments(now: dt.datetime, number: int, chance: random.Random) -> list[dt.datetime]:
    """Moments of the last day: most about now and a day ago, few in the night between."""
    hours = [chance.uniform(0, 23.9) for _ in range(number * 4)]
    likely = [
        hour for hour in hours if chance.random() < 0.06 + 0.94 * math.cos(math.pi * hour / 24) ** 2
    ]
    return [now - dt.timedelta(hours=hour) for hour in sorted(likely[:number], reverse=True)]


def _health(now: dt.datetime) -> list[tuple[object, ...]]:
    def before(seconds: int) -> str:
        moment = now - dt.timedelta(seconds=seconds)
        return moment.replace(tzinfo=None).isoformat(" ", "seconds")

    return [
        (1, 1, 212.0, None, before(24), 0, 99.6),
        (2, 1, 348.0, None, before(24), 0, 99.1),
        (3, 1, 401.0, None, before(25), 0, 98.8),
        (4, 0, 0.0, FAULTS[503], before(41), 6, 81.3),
    ]
