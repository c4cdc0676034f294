"""One file's part of a run: its guarded connection, and what the revisions did to it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchctl.database.failure import primary_code
from orchctl.database.inspect import stamped
from orchctl.database.open import reading_beside
from orchctl.upgrade.connection import GuardedConnection, State
from orchctl.upgrade.outcome import AppliedRevision, Heads, Outcome, Participant
from orchctl.upgrade.write_lock import (
    begin,
    commit,
    forget_failed_commit,
    leave_transaction,
    step_out,
)

if TYPE_CHECKING:
    from orchctl.upgrade.statements import Kind

# Seconds for an env.py's own thread to end; it commits nothing later either.
_THREAD_PATIENCE = 5.0


class FileTransaction:
    """The transaction over one file.

    Args:
        participant: The file, and what happens around its revisions.
        timeout: Seconds that every wait for somebody else's lock may take.
        stopped: Whether somebody asked for an end.

    Attributes:
        participant: As given.
        guard: The guarded connection, once env.py has handed one to `context.configure()`.
        applied: The revisions that ran, in order.
        declared: What they declare to lose.
        planned: Whether the `locked` hook was called.
        finished: Whether everything on this file went through.
    """

    def __init__(
        self, participant: Participant, timeout: float, stopped: Callable[[], bool]
    ) -> None:
        self.participant = participant
        self.guard: GuardedConnection | None = None
        self.applied: list[AppliedRevision] = []
        self.declared: set[str] = set()
        self.planned = False
        self.finished = False
        self._timeout = timeout
        self._stopped = stopped
        self._before: dict[str, Heads] = {}
        self._after: dict[str, Heads] = {}

    @property
    def is_open(self) -> bool:
        """Whether it has begun, and is neither committed for good nor rolled back."""
        return self.guard is not None and self.guard.active

    @property
    def is_outside(self) -> bool:
        """Whether an unsafe revision runs, between two transactions."""
        return self.guard is not None and self.guard.state is State.OUTSIDE

    @property
    def committed(self) -> bool:
        """Whether it is committed: from then on nothing that comes up undoes it."""
        return self.guard is not None and self.guard.state is State.COMMITTED

    @property
    def statement(self) -> str | None:
        """The last statement that was sent to SQLite."""
        return self.guard.statement if self.guard else None

    @property
    def before(self) -> Heads:
        """The heads when the lock was taken."""
        return _all(self._before)

    @property
    def version_table(self) -> str:
        """The first version table that env.py named."""
        return next(iter(self._before), "alembic_version")

    def begin(
        self,
        real: Any,
        env_py: object,
        refuse: Callable[[Kind, str], None],
        on_close: Callable[[], bool],
    ) -> GuardedConnection:
        """Leave whatever transaction env.py began, begin ours, and stand in front.

        Args:
            real: env.py's DBAPI connection.
            env_py: Its path, for messages.
            refuse: See `GuardedConnection`.
            on_close: See `GuardedConnection`.

        Raises:
            Refused: env.py changed the schema already.
            LockHeld: Somebody else kept the database locked.
        """
        leave_transaction(real, env_py)
        stands_for, instead = None, self.participant.instead
        if instead is not None:
            stands_for, real = real, sqlite3.connect(instead, check_same_thread=False)
            real.isolation_level = None
            real.execute("PRAGMA synchronous=OFF").close()  # a copy need not outlive a crash
        begin(real, self.participant.file, self._timeout, self._stopped)
        self.guard = GuardedConnection(real, refuse, on_close, self._stopped, stands_for)
        return self.guard

    def note_table(self, table: str) -> None:
        """env.py named a version table of this file."""
        if self.guard is not None:
            self.guard.version_tables.add(table)

    def note_before(self, table: str, heads: Heads) -> None:
        """The heads that Alembic read, inside the transaction."""
        self._before.setdefault(table, tuple(sorted(heads)))
        self._after.setdefault(table, self._before[table])

    def note_after(self, table: str, heads: Heads) -> None:
        """The heads that Alembic says it has written."""
        self._after[table] = tuple(sorted(heads))

    def commit(self, stopped: Callable[[], bool] | None = None) -> None:
        """Commit for good.

        Args:
            stopped: Ask this instead of the run's own, whether to give up waiting.

        Raises:
            LockHeld: A reader of a rollback-journal database never let go.
            sqlite3.Error: The commit failed.
        """
        if self.guard is None:
            return
        try:
            commit(self.guard, self.participant.file, self._timeout, stopped or self._stopped)
        except sqlite3.Error as error:
            if primary_code(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
                forget_failed_commit(self.guard)
            raise

    def step_out(self, step: Any) -> None:
        """Commit what came before an unsafe revision, which runs outside the transaction.

        Args:
            step: Alembic's step of that revision.

        Raises:
            LockHeld, sqlite3.Error: As `commit`.
        """
        guard, file = self.guard, self.participant.file
        if guard is not None:
            commit = lambda: step_out(guard, file, self._timeout, self._stopped)  # noqa: E731
            self.participant.unsafe.step_out(step, commit)

    def step_in(self) -> None:
        """Begin the next transaction after an unsafe revision.

        Raises:
            LockHeld: Somebody else took the lock meanwhile.
        """
        if self.guard is not None:
            unsafe, file = self.participant.unsafe, self.participant.file
            unsafe.step_in(self.guard, file, self._timeout, self._stopped)

    def undo(self) -> None:
        """Roll back; what a broken-off COMMIT left in doubt is asked of the file."""
        guard = self.guard
        if guard is None or not guard.active:
            return
        if guard.is_at_work_elsewhere():
            self._wait_for(guard)
            return
        # A failed ROLLBACK means that SQLite has rolled back by itself.
        with contextlib.suppress(sqlite3.Error):
            guard.finish(keep=False)
        if guard.in_doubt and self._stands_committed():
            guard.state = State.COMMITTED

    def outcome(self, *, interrupted: bool) -> Outcome:
        """What was done, for the caller of the run."""
        return Outcome(
            before=self.before,
            after=_all(self._after),
            applied=tuple(self.applied),
            version_table=self.version_table,
            stamps=dict(self._after),
            deferred_commits=self.guard.deferred_commits if self.guard else 0,
            interrupted=interrupted,
        )

    def _wait_for(self, guard: GuardedConnection) -> None:
        """Have the thread that uses the connection give up; two at once would crash sqlite3."""
        guard.give_up()
        deadline = time.monotonic() + _THREAD_PATIENCE
        while guard.active and time.monotonic() < deadline:
            time.sleep(0.01)

    def _stands_committed(self) -> bool:
        """What became of a COMMIT that was broken off, asked of a fresh connection."""
        with reading_beside(self.participant.place) as connection:
            found = {table: stamped(connection, table) or () for table in self._after}
        return found == self._after != self._before


def ends_with_its_loop(real: Any, thread: int) -> bool:
    """Whether a connection can't outlive env.py's run: an event loop's, or another thread's.

    Args:
        real: env.py's DBAPI connection.
        thread: The thread that runs env.py.
    """
    return hasattr(real, "run_async") or threading.get_ident() != thread


def _all(heads: dict[str, Heads]) -> Heads:
    return tuple(sorted({one for found in heads.values() for one in found}))
