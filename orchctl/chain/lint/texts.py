"""Putting texts together of which parts may be unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orchctl.chain.lint.things import GAP, Rough, Thing

_FIELD = re.compile(r"\{\{|\}\}|\{([\w]*)\}|\{[^{}]*\}")

# A text that is added to itself sixty times fits no memory.
_LONGEST = 100_000


def written(thing: Thing) -> str:
    """How a value looks inside a text; a gap when it is unknown."""
    try:
        return str(thing) if type(thing) in (str, int, Rough) else GAP
    except ValueError:  # an integer of thousands of digits
        return GAP


def rough(text: str) -> str:
    """A text, as a Rough one when parts are missing; the end of a very long one is."""
    if len(text) > _LONGEST:
        return Rough(text[:_LONGEST] + GAP)
    return Rough(text) if GAP in text else text


def filled(text: str, values: Thing) -> str:
    """`text % values`."""
    given = values if type(values) is tuple else (values,)
    pieces = text.split("%s")
    if len(pieces) != len(given) + 1:
        return Rough(text + GAP)
    done = pieces[0]
    for thing, piece in zip(given, pieces[1:], strict=True):
        done += written(thing) + piece
    return rough(done)


def formatted(text: str, args: Sequence[Thing], keywords: Mapping[str, Thing]) -> str:
    """`text.format(…)`."""
    rest = iter(args)

    def field(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        name = match[1]
        if name is None:
            return GAP
        if not name:
            return written(next(rest, None)) if args else GAP
        if name.isdecimal():
            return written(args[int(name)]) if int(name) < len(args) else GAP
        return written(keywords[name]) if name in keywords else GAP

    return rough(_FIELD.sub(field, text))
