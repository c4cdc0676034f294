"""SQLite files that aren't there yet, kept from being made by an env.py that only connects.

SQLite creates a file on connecting. Where env.py is run to learn which database it opens, or opens
another one than it should, that would leave an empty file behind, and removing it again could hit a
file that somebody else has just opened. So such a connection is made to memory instead.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from orchctl.database.open import require_regular


class AbsentFiles:
    """A context in which SQLAlchemy's connections create no SQLite file.

    Args:
        but: The files that may be created all the same.
    """

    def __init__(self, but: Iterable[Path] = ()) -> None:
        self._but = {os.path.realpath(file) for file in but}
        # The connections are kept: another one could get the id of one that is gone.
        self._made: dict[int, tuple[Any, Path]] = {}

    def file_of(self, dbapi: Any) -> Path | None:
        """The file that a DBAPI connection was meant to open; None for one that really did."""
        made = self._made.get(id(dbapi))
        return made[1] if made else None

    def __enter__(self) -> AbsentFiles:
        from sqlalchemy import Engine, event

        event.listen(Engine, "do_connect", self._connect)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from sqlalchemy import Engine, event

        event.remove(Engine, "do_connect", self._connect)

    def _connect(
        self, dialect: Any, record: object, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """SQLAlchemy's hook: a connection to use instead, or None to go on as ever."""
        name = arguments[0] if arguments and dialect.name == "sqlite" else ""
        file = file_behind(str(name), uri=bool(keywords.get("uri")))
        if file is not None:
            require_regular(file)
        if file is None or _is_there(file, self._but):
            return None
        connection = dialect.connect(":memory:", **keywords)
        self._made[id(connection)] = (connection, file)
        return connection


def _is_there(file: Path, but: Collection[str]) -> bool:
    real = os.path.realpath(file)
    return os.path.lexists(real) or real in but


def file_behind(name: str, *, uri: bool) -> Path | None:
    """The file behind what SQLite is asked to open; None for a database in memory."""
    if uri and name.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        name = unquote(urlsplit(name).path)
    return None if name in ("", ":memory:") else Path(os.path.abspath(name))  # noqa: PTH100
