"""Numbers and times as the pages write them."""

from __future__ import annotations

import datetime as dt

import pytest

from llm_orchestrator.web.wording import ago, cost, count, duration, iso, moment, percent, short

NOW = dt.datetime(2030, 5, 14, 15, 42, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (count, 1234567, "1,234,567"),
        (count, None, "0"),
        (short, 9999, "9,999"),
        (short, 12_345, "12.3k"),
        (short, 4_500_000, "4.5M"),
        (short, 2e9, "2.0B"),
        (percent, 100, "100 %"),
        (percent, 99.96, "99.9 %"),
        (percent, 97.25, "97.2 %"),
        (percent, 0, "0 %"),
        (duration, 12.4, "12 ms"),
        (duration, 1234, "1.2 s"),
        (cost, 0, "0.00"),
        (cost, 0.0042, "0.0042"),
        (cost, 1234.5, "1,234.50"),
        (moment, None, "\N{EN DASH}"),
        (moment, dt.datetime(2030, 1, 2, 3, 4, 5), "2030-01-02 03:04:05"),
        (iso, dt.datetime(2030, 1, 2, 3, 4, 5), "2030-01-02T03:04:05+00:00"),
    ],
)
def test_written(write: object, value: object, text: str) -> None:
    assert write(value) == text  # type: ignore[operator]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (90000, "1 d ago")],
)
def test_ago(seconds: int, text: str) -> None:
    assert ago(NOW.replace(tzinfo=None) - dt.timedelta(seconds=seconds), NOW) == text
