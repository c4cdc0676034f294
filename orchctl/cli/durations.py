"""Options that take a duration."""

from __future__ import annotations

from orchctl.config.values import parse_duration
from orchctl.errors import UsageError


def seconds_of(text: str, option: str) -> float:
    """The seconds of a duration as it was typed.

    Args:
        text: `30s`, `4m`, `1h30m`, `90`.
        option: Whose value it is, for the message.

    Raises:
        UsageError: It is no duration.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"{option} 30s") from error
