"""What is written in a settings file or a variable, as values."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROOF_LEVELS = ("auto", "full", "keys", "counts", "off")
DURATION = re.compile(r"^\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+(?:\.\d+)?)(ms|s)?)?\s*$")


def parse_duration(text: str) -> float:
    """Seconds of a duration written as `90`, `30s`, `1m30s`, `2h` or `500ms`; `d` for days.

    Raises:
        ValueError: The text is not a duration.
    """
    if days := re.fullmatch(r"\s*(\d+)d\s*", text):
        return int(days[1]) * 86400.0
    match = DURATION.match(text)
    if not match or not text.strip():
        raise ValueError(f"{text!r} is not a duration such as 30s, 4m or 1h30m")
    hours, minutes, seconds, unit = match.groups()
    scale = 0.001 if unit == "ms" else 1.0
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(seconds or 0) * scale


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a text")
    return value.strip()


def _duration(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is not a duration")
    seconds = float(value) if isinstance(value, (int, float)) else parse_duration(value)
    if seconds < 0:
        raise ValueError(f"{value!r} is negative")
    return seconds


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError(f"{value!r} is neither true nor false")


def _count(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is not a whole number")
    number = int(value)
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number


def _list(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(_text(part) for part in parts)


def _proof(value: Any) -> str:
    if value not in PROOF_LEVELS:
        raise ValueError(f"{value!r} is none of {', '.join(PROOF_LEVELS)}")
    return str(value)


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "path": lambda value: Path(_text(str(value))),
    "duration": _duration,
    "boolean": _boolean,
    "count": _count,
    "list": _list,
    "proof": _proof,
}
