"""A batch of log entries as rows: one transaction, totals of the day included."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_orchestrator.background.log_entry import LogEntry
from llm_orchestrator.schema import RequestLog

# SQLite does not hold VARCHAR(n) to its n, other databases and the pages that show it may.
_LONGEST = {"model": 100, "endpoint": 255, "method": 10, "user_id": 100, "ip_address": 50}
_LONGEST_ERROR = 2000
# SQLite's integers have 64 bits; a provider may send what it likes.
_MOST_TOKENS = 2**40

_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)

_INSERT = insert(RequestLog.__table__)  # type: ignore[arg-type]
# A provider may be deleted between its answer and this row, so it is looked for first. Totals may
# be NULL in rows of old. The average is that of all requests, so the new ones weigh as many.
_ADD_TO_DAY = text("""
INSERT INTO provider_stats (provider_id, date, total_requests, success_requests, failed_requests,
    total_tokens, prompt_tokens, completion_tokens, avg_response_time, last_used_at)
SELECT id, :date, :total, :success, :failed, :tokens, :prompt, :completion,
    :milliseconds / :total, :last_used
FROM providers WHERE id = :provider_id
ON CONFLICT (provider_id, date) DO UPDATE SET
    avg_response_time = (coalesce(avg_response_time, 0) * coalesce(total_requests, 0)
        + :milliseconds) / (coalesce(total_requests, 0) + :total),
    total_requests = coalesce(total_requests, 0) + :total,
    success_requests = coalesce(success_requests, 0) + :success,
    failed_requests = coalesce(failed_requests, 0) + :failed,
    total_tokens = coalesce(total_tokens, 0) + :tokens,
    prompt_tokens = coalesce(prompt_tokens, 0) + :prompt,
    completion_tokens = coalesce(completion_tokens, 0) + :completion,
    last_used_at = max(coalesce(last_used_at, ''), :last_used)
""")


@dataclass
class _Day:
    """What one batch adds to a provider's day."""

    total: int = 0
    success: int = 0
    prompt: int = 0
    completion: int = 0
    milliseconds: float = 0.0
    last_used: dt.datetime = _LONG_AGO

    def add(self, entry: LogEntry) -> None:
        self.total += 1
        self.success += entry.succeeded
        self.prompt += _count(entry.prompt_tokens)
        self.completion += _count(entry.completion_tokens)
        self.milliseconds += entry.latency_ms
        self.last_used = max(self.last_used, entry.created_at)


async def write_entries(engine: AsyncEngine, entries: Sequence[LogEntry]) -> None:
    """Insert the entries and add them to their providers' days, in one transaction.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: Nothing of it was written.
    """
    async with engine.begin() as connection:
        await connection.execute(_INSERT, [_row(entry) for entry in entries])
        if days := _totals(entries):
            await connection.execute(_ADD_TO_DAY, days)


def _row(entry: LogEntry) -> dict[str, object]:
    prompt, completion = _count(entry.prompt_tokens), _count(entry.completion_tokens)
    texts: dict[str, object] = {
        name: _clean(getattr(entry, name), longest) for name, longest in _LONGEST.items()
    }
    return texts | {
        "provider_id": entry.provider_id,
        "status_code": entry.status_code,
        "error_message": _clean(entry.error_message, _LONGEST_ERROR),
        "latency_ms": entry.latency_ms,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "cost": entry.cost,
        "created_at": _stored(entry.created_at),
    }


def _totals(entries: Iterable[LogEntry]) -> list[dict[str, object]]:
    """What to add, for each provider and day of the batch."""
    days: dict[tuple[int, str], _Day] = {}
    for entry in entries:
        if entry.provider_id is not None:
            key = (entry.provider_id, entry.created_at.astimezone(dt.UTC).date().isoformat())
            days.setdefault(key, _Day()).add(entry)
    return [
        {
            "provider_id": provider_id,
            "date": date,
            "total": day.total,
            "success": day.success,
            "failed": day.total - day.success,
            "tokens": day.prompt + day.completion,
            "prompt": day.prompt,
            "completion": day.completion,
            "milliseconds": day.milliseconds,
            "last_used": _stored(day.last_used).isoformat(" ", "microseconds"),
        }
        for (provider_id, date), day in days.items()
    ]


def _stored(moment: dt.datetime) -> dt.datetime:
    """UTC without saying so, as CURRENT_TIMESTAMP and SQLAlchemy's DateTime keep it."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def _clean(value: str | None, longest: int) -> str | None:
    """What every text column takes: not too long, and no half of a surrogate pair."""
    if value is None:
        return None
    return value[:longest].encode("utf-8", "replace").decode("utf-8")


def _count(tokens: int) -> int:
    return max(0, min(tokens, _MOST_TOKENS))
