"""What a run of revisions is given for each file, and what it says about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.upgrade.unsafe import Unsafe

if TYPE_CHECKING:
    from orchctl.upgrade.connection import GuardedConnection

Heads = tuple[str, ...]


@dataclass(frozen=True)
class AppliedRevision:
    """A revision that ran: its id, its message, and how long it took in seconds."""

    revision: str
    message: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What one run did to one file.

    Attributes:
        before: The heads when the lock was taken, sorted; those of all its version tables.
        after: The heads that the committed database must have, sorted.
        applied: The revisions that ran, in order; empty when there was nothing to do.
        version_table: The name of Alembic's table in this environment.
        stamps: What each version table that the run used must hold, sorted.
        deferred_commits: How often a revision or env.py committed, which orchctl put off.
        interrupted: Whether Ctrl-C or SIGTERM came, too late to undo anything.
    """

    before: Heads
    after: Heads
    applied: tuple[AppliedRevision, ...]
    version_table: str
    stamps: Mapping[str, Heads]
    deferred_commits: int
    interrupted: bool


@dataclass(frozen=True)
class Hooks:
    """What happens around the revisions, all under the database's write lock.

    Attributes:
        locked: Nothing is written yet; gets the connection and the steps that will run, as
            (revision id, message). The snapshot belongs here.
        step: A revision begins: "Running upgrade 002 -> 003, message".
        check: Everything is written, nothing committed; gets the connection and what the
            revisions that ran declare to lose (`orchctl_allow_loss`); raises to undo.
    """

    locked: Callable[[GuardedConnection, Sequence[tuple[str, str]]], None]
    step: Callable[[str], None]
    check: Callable[[GuardedConnection, frozenset[str]], None]


SILENT = Hooks(locked=lambda *_: None, step=lambda _: None, check=lambda *_: None)


@dataclass(frozen=True)
class Participant:
    """One file of a run.

    Attributes:
        file: The file that the caller has locked and will snapshot; env.py must open this one.
        hooks: What happens around its revisions.
        instead: Run on this file, though env.py opens `file`: a copy, or a scratch database. The
            file that env.py opens is then not touched.
        unsafe: The revisions that run outside its transaction.
    """

    file: Path
    hooks: Hooks
    instead: Path | None = None
    unsafe: Unsafe = field(default_factory=Unsafe)

    @property
    def place(self) -> Path:
        """The file that is really written to."""
        return self.instead or self.file
