"""The questions that `heads`, `branches`, `history` and `show` ask of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import LockHeld, Refused, UsageError
from orchctl.upgrade.current import provable_stamp, read_stamp
from orchctl.upgrade.revisions import (
    Ids,
    LoadedRevisions,
    Revision,
    StaticRevisions,
    loaded_revisions,
    open_revisions,
)

if TYPE_CHECKING:
    from orchctl.config import Settings


@dataclass(frozen=True)
class History:
    """A stretch of a chain.

    Attributes:
        revisions: Its revisions, newest first.
        current: The ids that the database is stamped with; None when it was not asked.
    """

    revisions: tuple[Revision, ...]
    current: Ids | None


@dataclass(frozen=True)
class Branch:
    """A revision that several others follow.

    Attributes:
        point: The revision.
        followers: Those that follow it, sorted by id.
    """

    point: Revision
    followers: tuple[Revision, ...]


def list_heads(settings: Settings, *, effective: bool = False) -> tuple[Revision, ...]:
    """The heads of the chain, in file order.

    Args:
        settings: The run's settings.
        effective: Without those that another revision depends on.

    Raises:
        ConfigurationError: No project.
        Refused: The chain cannot be loaded.
    """
    chain = open_revisions(settings)
    return chain.get(chain.heads(effective=effective))


def list_branches(settings: Settings) -> tuple[Branch, ...]:
    """The branch points of the chain, newest first; raises as `list_heads`."""
    chain = open_revisions(settings)
    points = [
        one for one in chain.get(_walk(settings, chain, "base", "heads")) if one.is_branch_point
    ]
    return tuple(Branch(point, chain.get(point.followers)) for point in points)


def list_history(
    settings: Settings, text: str | None, *, with_current: bool, if_known: bool = False
) -> History:
    """A range of the chain, newest first.

    Args:
        settings: The run's settings.
        text: The range as typed, `[start]:[end]` in Alembic's notation; None is everything.
        with_current: Whether to ask the database where it is.
        if_known: Ask it too where that costs no run of env.py and the file can be read.

    Raises:
        UsageError: No range, no such revision, or ends that are not on one line.
        ConfigurationError, Refused, LockHeld: As `list_heads` and `read_current`.
    """
    lower, upper = _ends(text)
    chain = open_revisions(settings)
    stamped: Ids | None = None
    if with_current or "current" in (lower, upper):
        stamped = read_stamp(settings)
    elif if_known:
        stamped = _stamp_if_readable(settings)
    known = stamped and tuple(chain.resolve(stamp) or stamp for stamp in stamped)
    start, end = (known or () if name == "current" else name for name in (lower, upper))
    # Nothing is applied, so nothing leads up to there. (Alembic shows everything.)
    ids = () if end == () else _walk(settings, chain, start or "base", end)
    return History(chain.get(ids), known)


def find_revisions(settings: Settings, target: str) -> tuple[Revision, ...]:
    """The revisions that `show` is asked for: an id, its start, a label, `heads`, `current` …

    Raises:
        UsageError: No such revision, or several where one is meant.
        ConfigurationError, Refused, LockHeld: As `list_heads` and `read_current`.
    """
    chain = open_revisions(settings)
    if target == "current":
        return chain.get(_applied(settings, chain))
    found = chain.locate(target)
    return chain.get(loaded_revisions(settings).locate(target) if found is None else found)


def find_revision(settings: Settings, target: str) -> Revision:
    """The one revision that a target names; raises as `find_revisions`."""
    found = find_revisions(settings, target)
    if len(found) != 1:
        names = ", ".join(one.revision for one in found) or "no revision"
        raise UsageError(
            f"{target!r} names {names}, where one is needed",
            code="multiple-heads" if found else "unknown-revision",
            hint="orchctl history lists the revisions",
        )
    return found[0]


def read_source(one: Revision) -> str | None:
    """The text of a revision's file; None where it is compiled code."""
    from orchctl.chain.source import decode

    return decode(one.path.read_bytes()).text if one.path.suffix == ".py" else None


def _applied(settings: Settings, chain: StaticRevisions | LoadedRevisions) -> Ids:
    stamped = read_stamp(settings)
    meant = {stamp: chain.resolve(stamp) for stamp in stamped}
    unknown = [stamp for stamp, id_ in meant.items() if id_ is None]
    if unknown:
        raise Refused(
            f"The database is at revision {', '.join(unknown)}, which this chain does not have",
            code="unknown-to-chain",
            hint="Run the newer code; orchctl status shows more",
        )
    return tuple(id_ for id_ in meant.values() if id_ is not None)


def _walk(
    settings: Settings,
    chain: StaticRevisions | LoadedRevisions,
    lower: Ids | str,
    upper: Ids | str,
) -> Ids:
    ids = chain.walk(lower, upper)
    return loaded_revisions(settings).walk(lower, upper) if ids is None else ids


def _ends(text: str | None) -> tuple[str, str]:
    if text is None:
        return "base", "heads"
    lower, colon, upper = (part.strip() for part in text.partition(":"))
    if not colon or ":" in upper:
        raise UsageError(
            f"{text!r} is no range: [start]:[end], [start]: or :[end]",
            code="bad-range",
            hint="orchctl history -r 002:head",
        )
    return lower or "base", upper or "heads"


def _stamp_if_readable(settings: Settings) -> Ids | None:
    try:
        return provable_stamp(settings)
    except (Refused, LockHeld):
        return None
