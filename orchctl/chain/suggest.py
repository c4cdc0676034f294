"""What somebody probably meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from orchctl.chain.revision_file import RevisionFile

_IDS = re.compile(r"[^\s,()\[\]'\"]+")
# What people and templates write for "no parent".
_NOTHING = frozenset(("none", "base", "<base>", "-"))

# So many wrong names get the nearest right one: looking through all ids takes its time, and where
# more are wrong, something else is.
MOST_LIKELY = 20


def header_ids(text: str) -> tuple[str, ...]:
    """The ids of a docstring's `Revises:` line; empty for a base."""
    return tuple(word for word in _IDS.findall(text) if word.lower() not in _NOTHING)


def likely_id(wrong: str, ids: Iterable[str], *, avoid: Collection[str] = ()) -> str | None:
    """The id that a wrong one most likely stands for.

    Args:
        wrong: What is written.
        ids: The ids there are.
        avoid: Ids that cannot be meant.

    Returns:
        The one that differs only in case, leading zeros, or by being abbreviated; else the nearest
        by spelling; None when nothing comes near, or several do equally.
    """
    candidates = [id_ for id_ in ids if id_ not in avoid]
    for same in (_same_folded, _same_number, _same_start):
        matches = [id_ for id_ in candidates if same(wrong, id_)]
        if len(matches) == 1:
            return matches[0]
    if len(wrong) < 4:
        # 003 is no misspelt 002.
        return None
    import difflib

    close = difflib.get_close_matches(wrong, candidates, n=2, cutoff=0.75)
    if len(close) == 2 and _ratio(wrong, close[0]) - _ratio(wrong, close[1]) < 0.1:
        return None
    return close[0] if close else None


def from_header(file: RevisionFile, ids: Collection[str]) -> str | None:
    """The parent that the docstring names, when it exists and is another than the code's."""
    line = file.header.get("Revises")
    named = header_ids(line.text) if line else ()
    if len(named) != 1 or named[0] == file.revision or named[0] in file.down_revisions:
        return None
    return named[0] if named[0] in ids else None


def _same_folded(wrong: str, id_: str) -> bool:
    return wrong.strip().casefold() == id_.casefold()


def _same_number(wrong: str, id_: str) -> bool:
    both = wrong.isdecimal() and id_.isdecimal()
    return both and wrong.lstrip("0") == id_.lstrip("0")


def _same_start(wrong: str, id_: str) -> bool:
    """An abbreviation, or an id with the file's slug behind it."""
    short, long = sorted((wrong, id_), key=len)
    return (
        len(short) >= 3 and long.startswith(short) and (wrong == short or long[len(short)] in "_-.")
    )


def _ratio(one: str, other: str) -> float:
    import difflib

    return difflib.SequenceMatcher(None, one, other).ratio()
