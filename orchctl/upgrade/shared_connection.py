"""The guarded connection again, for whoever asks env.py's engine for another one."""

from __future__ import annotations

from typing import Any

from orchctl.upgrade.connection import GuardedConnection
from orchctl.upgrade.cursor import GuardedCursor


class SharedConnection:
    """The guarded connection again, for whoever asks the same engine for a second one.

    A revision that goes through `op.get_bind().engine` (JupyterHub's 651f5419b74d does) would get a
    connection that can't see what this run has done, or waits for its lock for ever. Its rollback
    and close are SQLAlchemy's housekeeping, and mean nothing here.

    Attributes:
        lenient: While the engine's events run (an application's `PRAGMA foreign_keys=ON` or
            journal_mode on connecting): they mean a connection of their own, so what can't be done
            inside a transaction is left out. Handed out, it is refused as ever.
    """

    def __init__(self, guard: GuardedConnection) -> None:
        object.__setattr__(self, "_guard", guard)
        object.__setattr__(self, "lenient", True)

    _guard: GuardedConnection
    lenient: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guard, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).__annotations__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._guard, name, value)

    def cursor(self, *args: Any, **keywords: Any) -> GuardedCursor:
        """A cursor on the guarded connection."""
        real = self._guard.real.cursor(*args, **keywords)
        return GuardedCursor(real, self._guard, lenient=self.lenient)

    def execute(self, *args: Any) -> GuardedCursor:
        """sqlite3's shortcut: a new cursor, executed."""
        return self.cursor().execute(*args)

    def rollback(self) -> None:
        """Nothing: the connection is somebody else's."""

    def close(self) -> None:
        """Nothing: the connection is somebody else's."""

    terminate = close
