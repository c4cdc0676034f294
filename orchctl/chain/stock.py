"""Revision files as Alembic's own template writes them, read without the parser.

Nearly every file is one, and this is four times as fast. Whatever stands in the file's head that is
not of the few plain forms below is left to the parser; tests/unit/chain/test_stock.py holds that
both always say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from orchctl.chain.facts import NAMES
from orchctl.chain.revision_file import HeaderLine, RevisionFile
from orchctl.chain.tokens import Token

_HEADER = re.compile(r"\W*(Revision ID|Revises|Create Date)[ \t]*:[ \t]*(.*)$")
# name: annotation = None | 'text' | "text"  # comment
_ASSIGNMENT = re.compile(
    r"(revision|down_revision|branch_labels|depends_on)[ \t]*"
    r"(?::[ \t]*[A-Za-z][\w.\[\], |]*)?=[ \t]*"
    r"(?:None|'([^'\\]+)'|\"([^\"\\]+)\")[ \t]*(?:\#.*)?"
)
_IMPORT = re.compile(r"(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+[\w., \t]+(?:\#.*)?")


def read_stock(path: Path, head: str) -> RevisionFile | None:
    """Read a revision file from what stands before its first function.

    Args:
        path: The file.
        head: Its text up to the first function.

    Returns:
        What it says; None when the parser must look at it.
    """
    if "\r" in head or "\0" in head or "\f" in head:
        return None
    lines = head.split("\n")
    docstring, start = "", 0
    if head.startswith('"""'):
        end = head.find('"""', 3)
        docstring = head[3:end]
        if end < 0 or "\\" in docstring or head[end + 3 : end + 4] != "\n":
            return None
        start = docstring.count("\n") + 1
    found = _assignments(lines, start)
    if found is None:
        return None
    tokens, places = found
    return RevisionFile(
        path,
        tokens["revision"][0].text,
        down_revisions=_texts(tokens["down_revision"]),
        branch_labels=_texts(tokens["branch_labels"]),
        depends_on=_texts(tokens["depends_on"]),
        docstring=docstring.strip(),
        header=header_of(lines[:start]),
        tokens=tokens,
        lines=places,
    )


def _texts(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    return (tokens[0].text,) if tokens else ()


def header_of(lines: Iterable[str]) -> dict[str, HeaderLine]:
    """The header in a docstring's lines, which start with the file's first line."""
    header: dict[str, HeaderLine] = {}
    for number, line in enumerate(lines, 1):
        if ":" in line and (match := _HEADER.match(line)):
            text = match[2].split('"""')[0].split("'''")[0].strip()
            header.setdefault(match[1], HeaderLine(text, number, match.start(2) + 1))
    return header


def _assignments(
    lines: list[str], start: int
) -> tuple[dict[str, tuple[Token, ...]], dict[str, tuple[int, int]]] | None:
    """The four names' values and places; None unless the lines are all plain, each name once."""
    tokens: dict[str, tuple[Token, ...]] = dict.fromkeys(NAMES, ())
    places: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(lines[start:], start + 1):
        if not line or line[0] == "#":
            continue
        found = _assignment(line)
        if found is None:
            return None
        name = found.name
        if not name:
            continue
        if name in places:
            return None
        places[name] = (number, found.column)
        if found.text:
            token = Token(found.text, number, found.column, number, found.end, True)
            tokens[name] = (token,)
    if not tokens["revision"] or "down_revision" not in places:
        return None
    return tokens, places


class _Assignment(NamedTuple):
    """One of the four names in a line, its value (empty for None) and where that stands."""

    name: str
    text: str = ""
    column: int = 0
    end: int = 0


# Most lines of a stock file stand in every other one too.
@lru_cache(maxsize=1000)
def _assignment(line: str) -> _Assignment | None:
    """What a line assigns; without a name for an import, None for all other lines."""
    match = _ASSIGNMENT.fullmatch(line)
    if match is None:
        if not _IMPORT.fullmatch(line) or any(name in line for name in NAMES):
            return None
        return _Assignment("")
    group = 2 if match[2] else 3
    if text := match[group]:
        first, end = match.span(group)
        return _Assignment(match[1], text, first, end + 2)
    return _Assignment(match[1], column=line.index("None", line.index("=")) + 1)
