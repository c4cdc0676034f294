"""Numbers and times as the pages write them; the filters of the templates."""

from __future__ import annotations

import datetime as dt

# What stands where there is nothing.
NONE = "\N{EN DASH}"


def count(number: float | None) -> str:
    """Write a whole number with its thousands apart."""
    return f"{int(number or 0):,}"


def short(number: float | None) -> str:
    """Write a large number short: 12.3k, 4.5M."""
    value = float(number or 0)
    for least, size, letter in ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:.1f}{letter}"
    return count(value)


def percent(number: float | None) -> str:
    """Write a percentage; only what is all is called 100 %."""
    value = float(number or 0)
    if 99.9 < value < 100:
        return "99.9 %"
    return f"{value:.1f} %".replace(".0 %", " %")


def duration(milliseconds: float | None) -> str:
    """Write milliseconds, from a second on in seconds."""
    value = float(milliseconds or 0)
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def cost(amount: float | None) -> str:
    """Write a cost, in the currency of the providers' prices."""
    value = float(amount or 0)
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4f}"


def utc(moment: dt.datetime) -> dt.datetime:
    """Return a moment with its zone: the database keeps UTC without saying so."""
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def moment(value: dt.datetime | None) -> str:
    """Write a moment to the second, UTC."""
    return f"{utc(value):%Y-%m-%d %H:%M:%S}" if value else NONE


def day(value: dt.datetime | None) -> str:
    """Write the day of a moment, UTC."""
    return f"{utc(value):%Y-%m-%d}" if value else NONE


def clock(value: dt.datetime | None) -> str:
    """Write the time of day of a moment, UTC."""
    return f"{utc(value):%H:%M:%S}" if value else ""


def iso(value: dt.datetime | None) -> str:
    """Write a moment for machines."""
    return utc(value).isoformat() if value else ""


def ago(value: dt.datetime, now: dt.datetime) -> str:
    """Say how long before `now` a moment was."""
    seconds = max(0, int((now - utc(value)).total_seconds()))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


FILTERS = {
    f.__name__: f for f in (count, short, percent, duration, cost, moment, day, clock, iso, ago)
}
