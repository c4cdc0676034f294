"""The DBAPI connection that env.py's SQLAlchemy connection works on during an upgrade.

It stands in front of the real one (sqlite3's, or SQLAlchemy's adapter of aiosqlite) and keeps the
whole run in the one transaction that orchctl began: a commit from a revision moves a savepoint, a
rollback goes back to it, closing waits until the run is settled. So `bind.commit()`,
`autocommit_block()`, `op.execute("COMMIT")`, `executescript` and an env.py with a BEGIN recipe of
its own behave towards the revision as ever, and nothing is kept before orchctl commits.

An authorizer on the real connection is the net below: whatever reaches SQLite around this object
and would end the transaction is denied there (https://www.sqlite.org/c3ref/set_authorizer.html).
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from orchctl.upgrade.cursor import GuardedCursor
from orchctl.upgrade.statements import (
    REFUSED,
    Kind,
    classify,
    dropped_object,
    is_several,
    path_literal,
)
from orchctl.upgrade.writes import Writes

_SAVEPOINT = "orchctl_commit"
# Virtual-machine steps between two looks at whether one long statement shall go on.
_STOP_STEPS = 500_000
_ENDING = (sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)


class State(Enum):
    """Where the transaction stands."""

    OPEN = "open"
    OUTSIDE = "outside"  # between two transactions: an unsafe revision runs in autocommit
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class TransactionLostError(sqlite3.OperationalError):
    """SQLite itself rolled the transaction back (disk full, I/O error), or the run was given up."""


class GuardedConnection:
    """A DBAPI connection whose commits and rollbacks stay inside one outer transaction.

    Args:
        real: The connection below; in autocommit mode, the transaction already begun.
        refuse: Called with the kind and the text of a statement that cannot be part of one
            transaction; raises, or returns to let it pass unexecuted. Outside the transaction it is
            executed then.
        on_close: Called when the connection is closed while the transaction is open; True keeps
            the real one open until the transaction is finished.
        stopped: Whether somebody asked for an end: no statement begins then, and a running one
            is broken off.
        stands_for: When `real` was put in the place of another connection (a rehearsal on a copy):
            that one, closed together with it.

    Attributes:
        real: The connection below.
        state: Where the transaction stands.
        statement: The last statement that was sent to SQLite.
        in_doubt: Whether COMMIT was broken off, so that only the file can tell what became of it.
        deferred_commits: How often something committed, which was put off.
        writes: What the run wrote so far.
        version_tables: The names of Alembic's own tables in this run.
    """

    def __init__(
        self,
        real: Any,
        refuse: Callable[[Kind, str], None],
        on_close: Callable[[], bool],
        stopped: Callable[[], bool],
        stands_for: Any = None,
    ) -> None:
        set_ = object.__setattr__
        set_(self, "real", real)
        set_(self, "state", State.OPEN)
        set_(self, "in_doubt", False)
        set_(self, "statement", None)
        set_(self, "deferred_commits", 0)
        set_(self, "writes", Writes())
        set_(self, "version_tables", set())
        set_(self, "_refuse", refuse)
        set_(self, "_on_close", on_close)
        set_(self, "_stopped", stopped)
        set_(self, "_given_up", False)
        set_(self, "_thread", threading.get_ident())
        set_(self, "_stands_for", stands_for)
        set_(self, "_close_wanted", False)
        set_(self, "_own", False)
        set_(self, "_keys_off", False)
        set_(self, "_stays", False)
        _on_driver(real, "set_authorizer", self._authorize)
        _on_driver(real, "set_progress_handler", self._break_off, _STOP_STEPS)
        self.control(f"SAVEPOINT {_SAVEPOINT}")

    real: Any
    state: State
    in_doubt: bool
    statement: str | None
    deferred_commits: int
    writes: Writes
    version_tables: set[str]
    _refuse: Callable[[Kind, str], None]
    _on_close: Callable[[], bool]
    _stopped: Callable[[], bool]
    _given_up: bool
    _thread: int
    _close_wanted: bool
    _stands_for: Any
    _own: bool
    _keys_off: bool
    _stays: bool

    # -- what SQLAlchemy and revisions call ---------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).__annotations__:
            object.__setattr__(self, name, value)
        elif name not in ("isolation_level", "autocommit") or not self.active:
            # Setting isolation_level or autocommit inside a transaction commits it.
            setattr(self.real, name, value)

    def cursor(self, *args: Any, **keywords: Any) -> GuardedCursor:
        """A cursor that sends every statement through the guard."""
        return GuardedCursor(self.real.cursor(*args, **keywords), self)

    def execute(self, *args: Any) -> GuardedCursor:
        """sqlite3's shortcut: a new cursor, executed."""
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> GuardedCursor:
        """sqlite3's shortcut: a new cursor, executed for every row."""
        return self.cursor().executemany(*args)

    def executescript(self, script: str) -> GuardedCursor:
        """sqlite3's shortcut: a new cursor, the script's statements executed on it."""
        return self.cursor().executescript(script)

    def commit(self) -> None:
        """What was done so far can't be rolled back by a revision any more; nothing is kept yet."""
        if self.state is State.OPEN:
            self.fasten()
            self.deferred_commits += 1
        elif self.state is State.OUTSIDE and self.in_transaction:
            self.control("COMMIT")

    def rollback(self) -> None:
        """Back to the last commit of the revision (or the beginning)."""
        if self.state is State.OPEN and self.in_transaction:
            self.control(f"ROLLBACK TO {_SAVEPOINT}")
        elif self.state is State.OUTSIDE and self.in_transaction:
            self.control("ROLLBACK")

    def close(self) -> None:
        """Close, once the transaction is finished."""
        if self.active and self._on_close():
            self._close_wanted = True
        else:
            self._really_close()

    def _really_close(self) -> None:
        self._close_wanted = False
        self.real.close()
        if self._stands_for is not None:
            self._stands_for.close()

    def terminate(self) -> None:
        """What SQLAlchemy calls where it may not wait: close without a clean good-bye."""
        self.close()

    def __enter__(self) -> GuardedConnection:
        return self

    def __exit__(self, kind: Any, *rest: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    # -- what the transaction calls -----------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether the run still goes on with this connection."""
        return self.state in (State.OPEN, State.OUTSIDE)

    @property
    def in_transaction(self) -> bool:
        """Whether the real connection is inside a transaction."""
        return bool(driver(self.real).in_transaction)

    def finish(self, *, keep: bool) -> None:
        """Commit or roll back the outer transaction, for good.

        Raises:
            sqlite3.Error: The commit failed; the transaction is still open (busy) or was rolled
                back by SQLite.
            BaseException: It was broken off: `in_doubt`.
        """
        if not self.active:
            return
        if keep:
            self._commit()
        elif self.in_doubt:
            # Another thread may still be at the COMMIT: this waits for it, whatever it says.
            with contextlib.suppress(sqlite3.Error):
                self.control("ROLLBACK")
        elif self.in_transaction:
            self._given_up = True  # a statement may still be running, in another thread
            self.control("ROLLBACK")
        self.state = State.COMMITTED if keep else State.ROLLED_BACK
        _on_driver(self.real, "set_authorizer", None)
        _on_driver(self.real, "set_progress_handler", None, 0)
        if self._close_wanted and not self._stays:
            self._really_close()

    def stay_open(self) -> None:
        """Stay open beyond the commit, whoever closed it, until `let_go`."""
        self._stays = True

    def let_go(self) -> None:
        """Close now, if env.py has."""
        self._stays = False
        if self._close_wanted and self.state is not State.OPEN:
            self._really_close()

    def step_out(self) -> None:
        """Commit what was done so far; what follows runs in autocommit mode.

        Raises:
            sqlite3.Error, BaseException: As `finish`.
        """
        self._commit()
        self.state = State.OUTSIDE

    def step_in(self) -> None:
        """Go on inside a transaction that was just begun on the real connection."""
        self.state = State.OPEN
        self._keys_off = False
        self.writes.unseen = True
        self.control(f"SAVEPOINT {_SAVEPOINT}")

    def is_at_work_elsewhere(self) -> bool:
        """Whether another thread, which made the connection, may be using it right now."""
        # Not Thread.is_alive(): a join() that Ctrl-C broke off makes it lie.
        return self._thread != threading.get_ident() and self._thread in sys._current_frames()

    def give_up(self) -> None:
        """Break off the statement that runs, and let none begin; may be called by any thread."""
        self._given_up = True

    def _commit(self) -> None:
        self.require_transaction()
        try:
            self.control("COMMIT")
        except sqlite3.Error:
            raise
        except BaseException:
            self.in_doubt = True
            raise

    def _break_off(self) -> bool:
        """SQLite's question, every so many steps of a statement, whether to end it."""
        return self._given_up or self._stopped()

    def before_statement(self, sql: str, *, lenient: bool = False) -> bool:
        """Look at a statement before it runs; False when it must not reach SQLite.

        Args:
            sql: The statement.
            lenient: Leave out what no transaction can hold, instead of refusing the revision.

        Raises:
            TransactionLostError: There is no transaction any more that could hold it.
            KeyboardInterrupt: Somebody asked for an end, which got lost on the way here.
            OrchctlError: From `refuse`.
        """
        if self._break_off():
            raise KeyboardInterrupt
        if self.state is State.OUTSIDE:
            return self._outside(sql, lenient=lenient)
        if self.state is not State.OPEN:
            raise TransactionLostError("the upgrade's transaction is already over")
        self.require_transaction()
        kind = classify(sql)
        if kind is Kind.PLAIN:
            self.statement = sql
            if (dropped := dropped_object(sql)) is not None:
                self.writes.dropped_by_name.add(dropped)
            return True
        if is_several(sql):  # as the driver would say; what follows the first must not get lost
            raise sqlite3.ProgrammingError("You can only execute one statement at a time.")
        self._instead(kind, sql, lenient=lenient)
        return False

    def _outside(self, sql: str, *, lenient: bool) -> bool:
        """As `before_statement`, for an unsafe revision: nearly all may pass."""
        kind = classify(sql)
        self.statement = sql
        if kind in REFUSED:
            if lenient:
                return False
            self._refuse(kind, sql)
        elif kind in (Kind.COMMIT, Kind.ROLLBACK) and not is_several(sql):
            # With nothing begun SQLite would complain; a revision that leaves SQLAlchemy's
            # transaction with op.execute("COMMIT") never began one.
            return self.in_transaction
        elif (dropped := dropped_object(sql)) is not None:
            self.writes.dropped_by_name.add(dropped)
        return True

    def _instead(self, kind: Kind, sql: str, *, lenient: bool) -> None:
        """What a statement about the transaction does here."""
        if kind is Kind.COMMIT:
            self.commit()
        elif kind is Kind.ROLLBACK:
            self.rollback()
        elif kind is Kind.FOREIGN_KEYS_OFF:
            self._keys_off = True
        elif kind is Kind.FOREIGN_KEYS_ON and self._keys_off:
            self._keys_off = False  # the usual pair around a batch: off is what they are anyway
        elif kind is not Kind.BEGIN and not lenient:
            self._refuse(kind, sql)

    def fasten(self) -> None:
        """Put what was done so far out of the reach of later rollbacks of env.py."""
        self.require_transaction()
        self.control(f"RELEASE {_SAVEPOINT}")
        self.control(f"SAVEPOINT {_SAVEPOINT}")

    def attach(self, file: Path, schema: str) -> None:
        """Attach another database file for reading, which revisions themselves may not.

        Args:
            file: The file; attached read-only in effect: nothing here writes to it.
            schema: The name to attach it under.
        """
        self.control(f"ATTACH {path_literal(file)} AS {schema}")

    def require_transaction(self) -> None:
        """Make sure that the transaction is there.

        Raises:
            TransactionLostError: SQLite rolled it back; going on would commit statement by
                statement.
        """
        if not self.in_transaction:
            raise TransactionLostError("SQLite rolled the upgrade's transaction back")

    def control(self, sql: str) -> None:
        """Execute a statement of orchctl's own, which the authorizer lets pass."""
        self._own = True
        try:
            self.real.execute(sql).close()
        finally:
            self._own = False

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        schema: str | None,
        trigger: str | None,
    ) -> int:
        if self._own:
            return sqlite3.SQLITE_OK
        # Also outside the transaction: what is seen, the proof need not guess.
        self.writes.note(action, first, second, trigger, schema, self.statement)
        if action in _ENDING and self.state is not State.OUTSIDE:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK


def driver(real: Any) -> Any:
    """The driver's own connection below SQLAlchemy's adapter of an async driver."""
    return getattr(real, "driver_connection", real)


def _on_driver(real: Any, method: str, *arguments: Any) -> None:
    """Call a method of the driver's connection, through the event loop where there is one."""
    run_async = getattr(real, "run_async", None)
    if run_async is None:
        getattr(real, method)(*arguments)
    else:
        run_async(lambda connection: getattr(connection, method)(*arguments))
