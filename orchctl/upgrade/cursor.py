"""The cursor of a guarded connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from orchctl.upgrade.statements import split_script

if TYPE_CHECKING:
    from orchctl.upgrade.connection import GuardedConnection


class GuardedCursor:
    """A cursor whose statements pass the guard; everything else is the real cursor's."""

    __slots__ = ("_guard", "_lenient", "_real")

    def __init__(self, real: Any, guard: GuardedConnection, *, lenient: bool = False) -> None:
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_guard", guard)
        object.__setattr__(self, "_lenient", lenient)

    _real: Any
    _guard: GuardedConnection
    _lenient: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def _async_soft_close(self) -> None:
        # SQLAlchemy's async results call it; a plain sqlite3 cursor below has none.
        if (soft_close := getattr(self._real, "_async_soft_close", None)) is not None:
            soft_close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real)

    @property
    def connection(self) -> GuardedConnection:
        """The guarded connection, not the one below."""
        return self._guard

    def execute(self, sql: str, *parameters: Any) -> GuardedCursor:
        """Execute one statement."""
        if self._guard.before_statement(sql, lenient=self._lenient):
            self._run(self._real.execute, sql, *parameters)
        return self

    def executemany(self, sql: str, *parameters: Any) -> GuardedCursor:
        """Execute one statement for every row of parameters."""
        if self._guard.before_statement(sql, lenient=self._lenient):
            self._run(self._real.executemany, sql, *parameters)
        return self

    def executescript(self, script: str) -> GuardedCursor:
        """Execute several statements; sqlite3's own would commit first."""
        self._guard.commit()
        for statement in split_script(script):
            self.execute(statement)
        return self

    def _run(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            call(*arguments)
        except sqlite3.OperationalError as error:
            # What the progress handler breaks off ends so.
            if str(error) == "interrupted":
                raise KeyboardInterrupt from error
            raise
