"""Where the bars of the dashboard's chart and of the outcomes stand; the templates draw them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Hours shown, and the seconds that one column stands for.
COLUMN_SECONDS = {1: 300, 6: 900, 24: 3600, 168: 6 * 3600}
HEIGHT = 230
FLOOR = 200
TOP = 14
# Part of a column's width that its bar takes.
FILLED = 0.72


@dataclass(frozen=True)
class Count:
    """Requests of one column of the chart."""

    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Return all of them."""
        return self.succeeded + self.failed


@dataclass(frozen=True)
class Column:
    """One column: x and widths in percent of the chart, y and heights in pixels."""

    start: dt.datetime
    succeeded: int
    failed: int
    tip: str
    x: float
    span: float
    bar_x: float
    width: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True)
class Line:
    """A horizontal line with its number of requests."""

    y: float
    label: str


@dataclass(frozen=True)
class Label:
    """A time under the columns; a minor one is left out where there is little room."""

    x: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Chart:
    """Everything the template draws."""

    columns: Sequence[Column]
    lines: Sequence[Line]
    labels: Sequence[Label]
    summary: str
    height: int = HEIGHT
    floor: int = FLOOR


def column_chart(counts: Mapping[int, Count], hours: int, now: dt.datetime) -> Chart:
    """Lay out requests over time.

    `counts` has the columns that are not empty, each by its start in whole columns since 1970.
    """
    seconds = COLUMN_SECONDS[hours]
    end = int(now.timestamp())
    indexes = range((end - hours * 3600) // seconds, end // seconds + 1)
    shown = [counts.get(index, Count()) for index in indexes]
    top, step = _scale(max((count.total for count in shown), default=0))
    starts = [dt.datetime.fromtimestamp(index * seconds, dt.UTC) for index in indexes]
    columns = [
        _column(place, len(shown), start, count, top)
        for place, (start, count) in enumerate(zip(starts, shown, strict=True))
    ]
    lines = [
        Line(round(FLOOR - value / top * (FLOOR - TOP), 1), f"{value:,}")
        for value in range(0, top + 1, step)
    ]
    return Chart(columns, lines, _labels(columns, hours), _summary(shown, hours))


def _scale(highest: int) -> tuple[int, int]:
    """Return the number at the top of the chart and the distance of its lines: 1, 2 or 5 * 10^n."""
    rough = max(1.0, highest / 4)
    power = 10 ** math.floor(math.log10(rough))
    step = int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough))
    return max(step, math.ceil(highest / step) * step), step


def _column(place: int, of: int, start: dt.datetime, count: Count, top: int) -> Column:
    span = 100 / of
    scale = (FLOOR - TOP) / top
    good, bad = count.succeeded * scale, count.failed * scale
    if count.failed:
        bad = max(bad, 2.0)  # one failure among thousands is still to be seen
    return Column(
        start=start,
        succeeded=count.succeeded,
        failed=count.failed,
        tip=f"{start:%d %b %H:%M} UTC: {count.succeeded:,} succeeded, {count.failed:,} failed",
        x=round(place * span, 3),
        span=round(span, 3),
        bar_x=round((place + (1 - FILLED) / 2) * span, 3),
        width=round(span * FILLED, 3),
        good_y=round(FLOOR - good, 1),
        good_height=round(good, 1),
        bad_y=round(FLOOR - good - bad, 1),
        bad_height=round(bad, 1),
    )


def _labels(columns: Sequence[Column], hours: int) -> list[Label]:
    every = 4 if hours != 1 else 2
    form = "%a %d" if hours > 24 else "%H:%M"
    chosen = [column for place, column in enumerate(columns) if place % every == every // 2]
    return [
        Label(round(column.x + column.span / 2, 3), f"{column.start:{form}}", bool(place % 2))
        for place, column in enumerate(chosen)
    ]


def _summary(shown: Sequence[Count], hours: int) -> str:
    succeeded = sum(count.succeeded for count in shown)
    failed = sum(count.failed for count in shown)
    span = "hour" if hours == 1 else f"{hours} hours"
    most = max((count.total for count in shown), default=0)
    return (
        f"Requests over the last {span}: {succeeded:,} succeeded, {failed:,} failed; "
        f"at most {most:,} in one column."
    )


SLOTS = 30
_SLOT = 5.0


@dataclass(frozen=True)
class Outcome:
    """How one request ended."""

    succeeded: bool
    tip: str


@dataclass(frozen=True)
class Bar:
    """One outcome; a failed one is lower as well as red."""

    kind: str
    tip: str
    x: float
    y: float
    width: float
    height: float


def outcome_bars(newest_first: Sequence[Outcome]) -> list[Bar]:
    """Lay out up to SLOTS outcomes, the newest on the right; places without one are marked."""
    shown = list(newest_first[:SLOTS])[::-1]
    bars = [_bar("none", "", place) for place in range(SLOTS - len(shown))]
    for place, outcome in enumerate(shown, SLOTS - len(shown)):
        bars.append(_bar("good" if outcome.succeeded else "bad", outcome.tip, place))
    return bars


def _bar(kind: str, tip: str, place: int) -> Bar:
    height = {"good": 22.0, "bad": 12.0, "none": 4.0}[kind]
    return Bar(kind, tip, place * _SLOT, 22.0 - height, _SLOT - 1.2, height)


def outcomes_summary(outcomes: Sequence[Outcome]) -> str:
    """Say the same in words."""
    shown = outcomes[:SLOTS]
    failed = sum(not outcome.succeeded for outcome in shown)
    last = "" if not shown else (", the last one too" if not shown[0].succeeded and failed else "")
    return f"Last {len(shown)} outcomes: {len(shown) - failed} succeeded, {failed} failed{last}"
