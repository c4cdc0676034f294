"""The upgrade on a copy of the real data: what it takes, what it changes, if it goes through."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.digest import dump_digest
from orchctl.database.open import reading
from orchctl.database.space import require
from orchctl.errors import NegativeAnswer
from orchctl.snapshots.pages import copy_pages
from orchctl.upgrade.outcome import AppliedRevision, Hooks, Outcome, Participant
from orchctl.upgrade.safekeeping import Safekeeping
from orchctl.upgrade.scratch_folder import scratch_folder
from orchctl.upgrade.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchctl.config import Settings
    from orchctl.upgrade.connection import GuardedConnection
    from orchctl.upgrade.execute import Listener
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.upgrade.proof import RowProof


@dataclass(frozen=True)
class Rehearsal:
    """What a run did to a copy.

    Attributes:
        plan: What ran.
        revisions: The revisions, each with its seconds.
        proof: How the rows changed, and what was lost but declared.
        size_before: Bytes of the copy before.
        size_after: Bytes after.
        space: Bytes that the run's own journal grew to: what it needs beside the database.
        seconds: The run itself, the copying not counted; an estimate for the live run.
    """

    plan: UpgradePlan
    revisions: tuple[AppliedRevision, ...]
    proof: RowProof | None
    size_before: int
    size_after: int
    space: int
    seconds: float


@contextlib.contextmanager
def copy_of(plan: UpgradePlan, listener: Listener, snapshot: Path | None = None) -> Iterator[Path]:
    """A copy of the database to rehearse on, removed afterwards.

    Args:
        plan: Names the database; one that doesn't exist gives an empty copy.
        listener: Who hears of the progress.
        snapshot: A closed snapshot of it to copy from; None copies the live file through SQLite.

    Raises:
        Refused: No space, no right to write, no database.
    """
    place = plan.database.parent
    place = place if os.access(place, os.W_OK) else Path(tempfile.gettempdir())
    require(place, 2 * plan.size, "a rehearsal")
    with scratch_folder(place, ".orchctl-rehearsal-") as folder:
        copy = folder / plan.database.name
        if plan.exists and snapshot is not None:
            shutil.copyfile(snapshot, copy)
        elif plan.exists:
            with (
                listener.bar("Copy") as progress,
                reading(plan.database) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                target.execute("PRAGMA synchronous=OFF")
                copy_pages(source, target, progress)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            # In WAL mode the state before stays readable while the run writes.
            connection.execute("PRAGMA journal_mode=WAL")
        yield copy


def rehearse(settings: Settings, plan: UpgradePlan, copy: Path, listener: Listener) -> Rehearsal:
    """Run a plan on a copy, with every check of the real run; the live file is not touched.

    Args:
        settings: The run's settings.
        plan: What to run.
        copy: From `copy_of`.
        listener: Who hears of the progress.

    Raises:
        UpgradeFailed, Refused, ConfigurationError, UsageError: As the real run would.
    """
    kept: list[Safekeeping] = []
    wal = copy.with_name(copy.name + "-wal")
    space = 0

    def locked(guard: GuardedConnection, steps: Sequence[tuple[str, str]]) -> None:
        kept.append(Safekeeping(settings, guard, copy, plan))

    def check(guard: GuardedConnection, declared: frozenset[str]) -> None:
        nonlocal space
        space = wal.stat().st_size if wal.exists() else 0
        kept[0].check(guard, declared)

    size_before, began = copy.stat().st_size, time.monotonic()
    hooks = Hooks(locked=locked, step=listener.running, check=check)
    outcome = _run(settings, plan, copy, plan.direction, plan.target, hooks)
    return Rehearsal(
        plan=plan,
        revisions=outcome.applied,
        proof=kept[0].proof if kept else None,
        size_before=size_before,
        size_after=copy.stat().st_size,
        space=space,
        seconds=time.monotonic() - began,
    )


def round_trip(
    settings: Settings, plan: UpgradePlan, copy: Path, step: Callable[[str], None]
) -> None:
    """Each pending revision up, down and up again on a copy, comparing schema and rows.

    Args:
        settings: The run's settings.
        plan: An upgrade.
        copy: From `copy_of`.
        step: Hears of every revision that came through.

    Raises:
        NegativeAnswer: Down does not give back what was before, or up again gives something else.
        UpgradeFailed: A direction fails.
    """
    silent = Hooks(locked=lambda *_: None, step=lambda _: None, check=lambda *_: None)
    for revision in plan.steps:
        before = _digest(copy)
        _run(settings, plan, copy, "upgrade", revision.revision, silent)
        after = _digest(copy)
        _run(settings, plan, copy, "downgrade", "-1", silent)
        if _digest(copy) != before:
            raise _differs(revision.revision, "its downgrade does not give back what was before")
        _run(settings, plan, copy, "upgrade", revision.revision, silent)
        if _digest(copy) != after:
            raise _differs(revision.revision, "upgrading again gives something else than before")
        step(f"Round trip of {revision.revision}")


def run_against(command: str, copy: Path) -> None:
    """Run the user's command against an upgraded copy, DATABASE_URL set to it.

    Args:
        command: For the shell.
        copy: The database.

    Raises:
        NegativeAnswer: It exits with anything but 0.
    """
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{copy}"}
    code = subprocess.run(command, shell=True, env=environment, check=False).returncode  # noqa: S602
    if code:
        raise NegativeAnswer(
            f"{command!r} ended with {code} on the upgraded copy",
            code="rehearsal-command",
            state="The database is untouched",
        )


def _run(
    settings: Settings, plan: UpgradePlan, copy: Path, direction: str, target: str, hooks: Hooks
) -> Outcome:
    part = Participant(plan.database, hooks, instead=copy)
    (outcome,) = Transaction(settings, [part], direction, target).run()
    if outcome.interrupted:
        raise KeyboardInterrupt
    return outcome


def _digest(copy: Path) -> str:
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        return dump_digest(connection)


def _differs(revision: str, what: str) -> NegativeAnswer:
    return NegativeAnswer(
        f"Revision {revision}: {what}",
        code="round-trip",
        state="The database is untouched",
        hint="Make upgrade() and downgrade() of the revision undo each other",
        details={"revision": revision},
    )
