"""Which snapshots to keep: restic's rules, and what no rule may remove."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchctl.config import KeepRules
from orchctl.snapshots.durable import directory_locked, sync_directory
from orchctl.snapshots.manifest import FORMAT, Snapshot, read_manifest

# The period that a rule keeps one snapshot of, told by what is equal inside it. Days, weeks (ISO)
# and months are those of UTC, so that the answer is the same wherever prune runs.
_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda moment: (moment.year, moment.month, moment.day),
    "weekly": lambda moment: tuple(moment.isocalendar()[:2]),
    "monthly": lambda moment: (moment.year, moment.month),
}


@dataclass(frozen=True)
class Decision:
    """What becomes of a snapshot, and why.

    Attributes:
        snapshot: Which.
        keep: Whether it stays.
        reasons: Every rule that keeps it (`last`, `daily`, `weekly`, `monthly`, `within`,
            `pinned`, …), or the one reason why it goes.
    """

    snapshot: Snapshot
    keep: bool
    reasons: tuple[str, ...]


def plan(
    snapshots: Sequence[Snapshot],
    keep: KeepRules,
    *,
    now: datetime,
    protected: frozenset[str] = frozenset(),
) -> tuple[Decision, ...]:
    """Decide for every snapshot; removes nothing.

    As with restic's `forget` (https://restic.readthedocs.io/en/stable/060_forget.html): a rule
    counts only periods that have a snapshot and keeps the newest of each; a snapshot that one
    rule keeps is kept; with every rule off, all are kept. Only usable snapshots count.
    `within` reaches back from the newest snapshot, so that a pause in taking loses nothing.

    Never removed: pinned ones, `protected` ones, the newest verified one (the newest complete one
    when none is verified), those that are being taken, those of a newer orchctl's format, and
    damaged ones as long as nothing newer is usable.

    Args:
        snapshots: Of one database, in any order.
        keep: The rules; 0 switches one off.
        now: The time, with its zone; a snapshot from the future counts as from now.
        protected: Ids that something else still needs, such as the last upgrade's rollback.

    Returns:
        One decision each, newest first.
    """
    newest_first = sorted(snapshots, key=lambda one: one.id, reverse=True)
    usable = [one for one in newest_first if one.usable]
    reasons: dict[str, list[str]] = {one.id: [] for one in newest_first}
    for one, reason in (*_by_rule(usable, keep, now), *_whatever_rules(newest_first, protected)):
        reasons[one.id].append(reason)
    return tuple(_decision(one, reasons[one.id]) for one in newest_first)


def apply(decisions: Sequence[Decision]) -> tuple[Snapshot, ...]:
    """Remove what was decided to go, unless it was pinned or is being used in the meantime.

    Args:
        decisions: From `plan`.

    Returns:
        The snapshots that were removed.

    Raises:
        OSError: A file can't be removed.
    """
    removed = []
    for folder in {one.snapshot.path.parent for one in decisions if not one.keep}:
        with directory_locked(folder):
            doomed = [one.snapshot for one in decisions if not one.keep]
            removed += [one for one in doomed if one.path.parent == folder and _remove(one)]
        sync_directory(folder)
    return tuple(removed)


def _by_rule(usable: list[Snapshot], keep: KeepRules, now: datetime) -> list[tuple[Snapshot, str]]:
    if not any((keep.last, keep.daily, keep.weekly, keep.monthly, keep.within)):
        return [(one, "no keep rule is set") for one in usable]
    kept = [(one, "last") for one in usable[: keep.last]]
    for rule, period in _PERIODS.items():
        kept += [(one, rule) for one in _newest_each(usable, period, getattr(keep, rule), now)]
    if keep.within and usable:
        since = _moment(usable[0], now) - timedelta(seconds=keep.within)
        kept += [(one, "within") for one in usable if _moment(one, now) >= since]
    return kept


def _newest_each(
    usable: list[Snapshot],
    period: Callable[[datetime], tuple[int, ...]],
    count: int,
    now: datetime,
) -> list[Snapshot]:
    newest: dict[tuple[int, ...], Snapshot] = {}
    for one in usable:
        newest.setdefault(period(_moment(one, now)), one)
    return list(newest.values())[:count]


def _whatever_rules(
    newest_first: list[Snapshot], protected: frozenset[str]
) -> list[tuple[Snapshot, str]]:
    usable = [one for one in newest_first if one.usable]
    verified = [one for one in usable if one.status == "verified"]
    kept = [(one, "pinned") for one in newest_first if one.pinned]
    kept += [(one, "needed") for one in newest_first if one.id in protected]
    kept += [(one, "newest verified") for one in verified[:1]]
    if not verified:
        kept += [(one, "newest complete") for one in usable[:1]]
    for one in newest_first:
        if one.format > FORMAT:
            kept.append((one, one.note))
        elif one.status == "partial":
            kept.append((one, one.note or "being taken"))
        elif one.status == "damaged" and not any(other.id > one.id for other in usable):
            kept.append((one, "damaged, but nothing newer is usable"))
    return kept


def _decision(snapshot: Snapshot, reasons: list[str]) -> Decision:
    if reasons:
        return Decision(snapshot, True, tuple(reasons))
    if not snapshot.usable:
        return Decision(snapshot, False, (f"damaged: {snapshot.note}",))
    return Decision(snapshot, False, ("no rule keeps it",))


def _moment(snapshot: Snapshot, now: datetime) -> datetime:
    moment = datetime.fromisoformat(snapshot.created_at).astimezone(UTC)
    return min(moment, now.astimezone(UTC))


def _remove(snapshot: Snapshot) -> bool:
    try:
        descriptor = os.open(snapshot.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        snapshot.manifest.unlink(missing_ok=True)
        return True
    try:
        # A restore that reads it right now holds a shared lock.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _pinned_since(snapshot):
            return False
        # The file first: a manifest alone is small, and is never offered either.
        snapshot.path.unlink()
        snapshot.manifest.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _pinned_since(snapshot: Snapshot) -> bool:
    path: Path = snapshot.manifest
    with suppress(OSError):
        now = read_manifest(path, database=snapshot.database, identifier=snapshot.id)
        return now.pinned
    return False
