"""Who hears of a run's progress, and what a run says in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.proof import RowProof


@dataclass(frozen=True)
class Listener:
    """Who hears of a run's progress.

    Attributes:
        step: Something is done.
        running: A revision begins, or something takes a while.
        warning: Something to know.
        bar: A progress bar: given a title, a context that yields a callable of (done, total).
    """

    step: Callable[[str], None]
    running: Callable[[str], None]
    warning: Callable[[str], None]
    bar: Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Attributes:
        direction: `upgrade` or `downgrade`.
        database: The file.
        before: Its heads before.
        after: Its heads now.
        revisions: The revisions that ran, in order, each with its seconds.
        snapshot: The snapshot taken before, if any.
        seconds: The whole run.
        deferred_commits: Commits inside revisions that were put off to the end.
        proof: What the proof found; None when nothing ran, or there was nothing before.
        proof_level: full, keys, counts or off.
        put_back: What table rebuilds had dropped and the run created again: `index ix`, …
        phases: Where the time of the whole run went, by name: preflight, snapshot, rehearsal,
            revisions (env.py and the wait for the write lock with them), proof, commit,
            confirmation, journal.
    """

    direction: str
    database: Path
    before: tuple[str, ...]
    after: tuple[str, ...]
    revisions: tuple[tuple[str, float], ...]
    snapshot: Snapshot | None
    seconds: float
    deferred_commits: int = 0
    proof: RowProof | None = None
    proof_level: str = "off"
    put_back: tuple[str, ...] = ()
    phases: Mapping[str, float] = field(default_factory=dict)
