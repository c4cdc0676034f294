"""Values with the places they were read from."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]


class Token(NamedTuple):
    """A value and the expression it was read from.

    Attributes:
        text: The value.
        line: First line, from 1, as Python counts lines.
        column: First column, from 1, in characters.
        end_line: Last line.
        end_column: The column after the last character.
        direct: Whether it is a string literal that belongs to this one value, so that
            rewriting it changes nothing else.
    """

    text: str
    line: int
    column: int
    end_line: int
    end_column: int
    direct: bool
