"""What a run of revisions is given for each file, and what it says about it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchctl.upgrade.connection import GuardedConnection


@dataclass(frozen=True)
class AppliedRevision:
    """A revision that ran: its id, its message, and how long it took in seconds."""

    revision: str
    message: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What one run did.

    Attributes:
        before: The heads when the lock was taken, sorted.
        after: The heads that the committed database must have, sorted.
        applied: The revisions that ran, in order; empty when there was nothing to do.
        version_table: The name of Alembic's table in this environment.
        deferred_commits: How often a revision or env.py committed, which orchctl put off.
        interrupted: Whether Ctrl-C or SIGTERM came, too late to undo anything.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    applied: tuple[AppliedRevision, ...]
    version_table: str
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
