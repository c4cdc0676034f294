"""Revision files as Alembic's own template writes them, read without the parser.

Nearly every file is one, and this is four times as fast. Whatever stands in the file's head that is
not of the few plain forms below is left to the parser; tests/unit/chain/test_stock.py holds that
both always say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

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
    texts = {name: tuple(token.text for token in tokens[name]) for name in NAMES}
    return RevisionFile(
        path,
        texts["revision"][0],
        down_revisions=texts["down_revision"],
        branch_labels=texts["branch_labels"],
        depends_on=texts["depends_on"],
        docstring=docstring.strip(),
        header=header_of(lines[:start]),
        tokens=tokens,
        lines=places,
    )


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
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            if not _IMPORT.fullmatch(line) or any(name in line for name in NAMES):
                return None
            continue
        name = match[1]
        if name in places:
            return None
        group = 2 if match[2] else 3
        if text := match[group]:
            first, end = match.span(group)
            places[name] = (number, first)
            tokens[name] = (Token(text, number, first, number, end + 2, True),)
        else:
            places[name] = (number, line.index("None", line.index("=")) + 1)
    if not tokens["revision"] or "down_revision" not in places:
        return None
    return tokens, places
