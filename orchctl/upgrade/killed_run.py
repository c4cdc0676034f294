"""A run that began and never said how it ended: what became of it, told by the next one."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database import lock
from orchctl.errors import OrchctlError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.retention import Decision, apply
from orchctl.upgrade.journal import Beginning, Entry, Journal
from orchctl.upgrade.mark import Mark, find_mark
from orchctl.upgrade.plan import snapshot_directory
from orchctl.upgrade.scratch_folder import REHEARSAL, remove_leftovers

if TYPE_CHECKING:
    from orchctl.config import Settings


@dataclass(frozen=True)
class KilledRun:
    """A run that could not say how it ended: killed, most likely, or its disk failed.

    Attributes:
        beginning: What it wrote down before its transaction.
        now: The heads of the database, which tell whether it came to its commit.
        mark: Of the revision that was running outside the transaction, if one was.
    """

    beginning: Beginning
    now: tuple[str, ...]
    mark: Mark | None = None

    @property
    def committed(self) -> bool:
        """Whether the database is no longer where the run found it."""
        return self.mark is None and self.now != self.beginning.before

    @property
    def told(self) -> str:
        """What became of it, in one line."""
        run = self.beginning
        if self.mark is not None:
            return f"{self.mark.told}; orchctl upgrade puts snapshot {self.mark.snapshot} back"
        when = datetime.fromisoformat(run.at)
        text = f"the {run.began} of {when:%Y-%m-%d %H:%M:%S} UTC (pid {run.pid}) "
        text += "was killed or lost its disk "
        if self.committed:
            return text + f"right after its commit: done, at {', '.join(self.now) or 'base'}"
        where = ", ".join(self.now) or "base"
        return text + f"before its commit; the database is as before, at {where}"


def find_killed_run(
    journal: Journal, file: Path, heads: tuple[str, ...], *, locked: bool = False
) -> KilledRun | None:
    """The last run, when it was killed.

    Args:
        journal: Of the database.
        file: The database.
        heads: Where it is.
        locked: This process holds orchctl's lock on it, so that nobody else can be running.

    Returns:
        None when the last run said how it ended, is still running, or can't be read about.
    """
    with suppress(OSError):
        begun = journal.unfinished()
        # Between those two looks it may have come to its end.
        if begun and (locked or (lock.holder(file) is None and journal.unfinished() == begun)):
            mark = find_mark(journal.path.parent, file)
            return KilledRun(begun, tuple(sorted(heads)), mark)
    return None


def settle_killed_run(settings: Settings, file: Path, heads: tuple[str, ...]) -> KilledRun | None:
    """For a command that found nothing to do: the killed run that did it, its story closed.

    Args:
        settings: The run's settings.
        file: The database.
        heads: Where it is.
    """
    journal = Journal(snapshot_directory(settings, file), file)
    killed = find_killed_run(journal, file, heads)
    if killed is not None:
        settle(journal, killed)
    return killed


def settle(journal: Journal, killed: KilledRun) -> None:
    """Clear up after a killed run, and close its story when it came to its commit.

    Args:
        journal: Of the database.
        killed: The run.
    """
    remove_leftovers(Path(os.path.realpath(journal.database)).parent, REHEARSAL)
    if killed.committed and killed.beginning.snapshot:
        clear_up(journal, killed.beginning.before, killed.beginning.snapshot)
    if killed.committed:
        _close_story(journal, killed)


def clear_up(journal: Journal, before: tuple[str, ...], present: str) -> None:
    """Remove the snapshots of runs that changed nothing, once there is a later one.

    A service that is restarted over and over, because its upgrade fails or is killed, would fill
    its disk with them.

    Args:
        journal: Of the database.
        before: The heads that those runs found.
        present: Id of the later snapshot.
    """
    with suppress(OSError, OrchctlError):
        entries = [entry for entry in journal.entries() if entry.ok]
        told = {entry.snapshot for entry in entries}
        since = datetime.fromisoformat(entries[-1].at) if entries else None
        for one in Catalog(journal.path.parent, journal.database).list():
            later = since is None or datetime.fromisoformat(one.created_at) > since
            by_a_run = one.reason in ("pre-upgrade", "pre-downgrade") and one.heads == before
            unfinished = one.status == "damaged" and one.reason == "unknown"  # has no manifest
            if one.id < present and later and one.id not in told and (by_a_run or unfinished):
                apply([Decision(one, keep=one.pinned, reasons=("its run changed nothing",))])


def _close_story(journal: Journal, killed: KilledRun) -> None:
    """Write down for a killed run that it is done, so that a rollback finds it.

    For one that came to its commit only; what another run follows needs no end of its own.
    """
    run = killed.beginning
    with suppress(OSError):
        journal.append(
            Entry(
                event=run.began,
                database=str(journal.database),
                before=run.before,
                after=killed.now,
                snapshot=run.snapshot,
                error={"code": "killed", "message": killed.told},
                version_table=run.version_table,
                run=run.run,
            )
        )
