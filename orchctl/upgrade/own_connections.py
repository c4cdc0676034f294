"""Connections that a revision opens by itself to the database that is being upgraded.

Such a connection sees nothing of the run, and waits for its lock until its busy timeout ends. So
opening one is noticed, whether SQLAlchemy, sqlite3 or another library on top of it does it: Python
raises an auditing event (https://docs.python.org/3/library/audit_events.html).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from orchctl.upgrade.absent_files import file_behind

_watching: list[OwnConnections] = []
_hooked: list[bool] = []


class OwnConnections:
    """A context in which `opened` hears of every connection to some files before it is made.

    Args:
        files: The databases.
        opened: Called in the thread that connects; what it raises keeps the connection from being
            made.
        instead: The file that SQLAlchemy's connections shall open just now in place of one of them;
            None to let them.
    """

    def __init__(
        self,
        files: Iterable[Path],
        opened: Callable[[], None],
        instead: Callable[[], Path | None],
    ) -> None:
        self._files = {os.path.realpath(file) for file in files}
        self._opened = opened
        self._instead = instead

    def __enter__(self) -> OwnConnections:
        from sqlalchemy import Engine, event

        if not _hooked:  # a hook can't be taken away again
            _hooked.append(True)
            sys.addaudithook(_hook)
        _watching.append(self)
        event.listen(Engine, "do_connect", self._connect)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from sqlalchemy import Engine, event

        _watching.remove(self)
        event.remove(Engine, "do_connect", self._connect)

    def notice(self, name: object) -> None:
        """Tell `opened` when it is one of the files that SQLite is asked to open."""
        if isinstance(name, (str, bytes, os.PathLike)) and self._is_file(os.fsdecode(name)):
            self._opened()

    def _connect(
        self, dialect: Any, record: object, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """SQLAlchemy's hook: a connection to use instead, or None to go on as ever."""
        file = self._instead()
        if file is None or dialect.name != "sqlite" or not arguments:
            return None
        return dialect.connect(str(file), **keywords) if self._is_file(str(arguments[0])) else None

    def _is_file(self, name: str) -> bool:
        file = file_behind(name, uri=True)
        return file is not None and os.path.realpath(file) in self._files


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect":
        for watch in tuple(_watching):
            watch.notice(arguments[0])
