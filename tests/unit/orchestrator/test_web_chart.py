"""Where bars stand."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

from llm_orchestrator.web.chart import (
    COLUMN_SECONDS,
    FLOOR,
    SLOTS,
    TOP,
    Count,
    Outcome,
    column_chart,
    outcome_bars,
    outcomes_summary,
)

NOW = dt.datetime(2030, 5, 14, 15, 42, 10, tzinfo=dt.UTC)


def test_columns_reach_from_the_span_s_beginning_to_now() -> None:
    chart = column_chart({}, 24, NOW)
    assert chart.columns[0].start == dt.datetime(2030, 5, 13, 15, tzinfo=dt.UTC)
    assert chart.columns[-1].start == dt.datetime(2030, 5, 14, 15, tzinfo=dt.UTC)
    assert chart.columns[-1].x + chart.columns[-1].span == pytest.approx(100, abs=0.01)


def test_counts_stand_in_their_columns() -> None:
    hour = int(NOW.timestamp()) // 3600
    chart = column_chart(
        {hour: Count(6, 2), hour - 24: Count(1, 0), hour - 25: Count(9, 9)}, 24, NOW
    )
    counted = [(each.succeeded, each.failed) for each in chart.columns]
    assert counted[0] == (1, 0)
    assert counted[-1] == (6, 2)
    assert sum(map(sum, counted)) == 9  # what is older is not shown
    last = chart.columns[-1]
    assert last.good_height == pytest.approx(3 * last.bad_height)
    assert last.bad_y + last.bad_height == pytest.approx(last.good_y, abs=0.2)
    assert last.bad_y == pytest.approx(TOP)
    assert chart.summary.startswith("Requests over the last 24 hours: 7 succeeded, 2 failed")


@pytest.mark.parametrize("highest", [0, 1, 3, 4, 5, 9, 10, 37, 99, 100, 101, 999, 12_345, 10**7])
@pytest.mark.parametrize("hours", COLUMN_SECONDS)
def test_no_bar_leaves_the_chart_and_lines_are_few(highest: int, hours: int) -> None:
    index = int(NOW.timestamp()) // COLUMN_SECONDS[hours]
    chart = column_chart({index: Count(highest, 0)}, hours, NOW)
    assert 2 <= len(chart.lines) <= 6
    assert len({line.label for line in chart.lines}) == len(chart.lines)
    assert all(TOP <= line.y <= FLOOR for line in chart.lines)
    assert all(column.good_y >= TOP - 0.1 for column in chart.columns)
    assert all(0 < label.x < 100 for label in chart.labels)


def test_one_failure_among_thousands_is_seen() -> None:
    index = int(NOW.timestamp()) // 3600
    chart = column_chart({index: Count(50_000, 1)}, 24, NOW)
    assert chart.columns[-1].bad_height >= 2


def test_the_newest_outcome_is_on_the_right() -> None:
    bars = outcome_bars([Outcome(False, "newest"), Outcome(True, "older")])
    assert len(bars) == SLOTS
    assert [bar.kind for bar in bars[-3:]] == ["none", "good", "bad"]
    assert bars[-1].tip == "newest"
    assert all(left.x < right.x for left, right in pairwise(bars))


def test_more_outcomes_than_places() -> None:
    bars = outcome_bars([Outcome(True, str(number)) for number in range(SLOTS + 5)])
    assert [bars[0].tip, bars[-1].tip] == [str(SLOTS - 1), "0"]


def test_outcomes_in_words() -> None:
    good, bad = Outcome(True, ""), Outcome(False, "")
    assert outcomes_summary([good, bad]) == "Last 2 outcomes: 1 succeeded, 1 failed"
    assert outcomes_summary([bad, good]).endswith("1 failed, the last one too")
