"""The mark that a revision runs outside the transaction, in the journal until the end is known.

Whoever finds it open knows of a run that was killed half-way. It is closed by overwriting one word
where it stands: that needs no space, so that a full disk can't leave a finished run looking killed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchctl.upgrade.journal import FILE_NAME, Entry, Journal

_OPEN = b'"event": "unsafe"'
_CLOSED = b'"event": "closed"'
# Runs after which the state of the database is a known one again.
_ENDING = ("upgrade", "downgrade", "rollback", "restore")


@dataclass(frozen=True)
class Mark:
    """An unsafe revision that was begun.

    Attributes:
        database: The database file.
        revision: The revision that was going to run outside the transaction.
        before: The heads that the run started from.
        snapshot: Id of the snapshot of that state.
        at: When, UTC, ISO 8601.
        offset: Where its line begins in the journal, bytes.
    """

    database: Path
    revision: str
    before: tuple[str, ...]
    snapshot: str
    at: str
    offset: int

    @property
    def told(self) -> str:
        """What became of the run, in one line."""
        return (
            f"An orchctl that ran revision {self.revision} outside the transaction was killed "
            f"({self.at})"
        )


def open_mark(
    directory: Path, database: Path, *, revision: str, before: tuple[str, ...], snapshot: str
) -> Mark:
    """Write the mark and make it durable.

    Args:
        directory: The snapshot directory.
        database: The database file.
        revision: The revision that is going to run outside the transaction.
        before: The heads that the run started from.
        snapshot: Id of the snapshot of that state.

    Raises:
        OSError: The journal can't be written.
    """
    entry = Entry(
        event="unsafe",
        database=str(database),
        before=before,
        after=before,
        revisions=(revision,),
        snapshot=snapshot,
        ok=False,
    )
    Journal(directory, database).append(entry)
    mark = find_mark(directory, database)
    if mark is None:
        raise OSError(f"{directory / FILE_NAME} does not keep what is written to it")
    return mark


def find_mark(directory: Path, database: Path) -> Mark | None:
    """The mark that is still open; None when every unsafe run came to its end.

    Args:
        directory: The snapshot directory.
        database: The database file.
    """
    try:
        content = (directory / FILE_NAME).read_bytes()
    except OSError:
        return None
    if _OPEN not in content:
        return None
    found, offset, journal = None, 0, Journal(directory, database)
    for line in content.splitlines(keepends=True):
        told = _told(line)
        if journal.is_about_this(told.get("database"), told.get("place")):
            if told.get("event") == "unsafe":
                found = _mark(told, database, offset)
            elif told.get("event") in _ENDING and told.get("ok"):
                found = None
        offset += len(line)
    return found


def close_mark(directory: Path, mark: Mark) -> None:
    """Say that the run's end is known: it went through, or its snapshot is back.

    Args:
        directory: The snapshot directory.
        mark: From `open_mark` or `find_mark`.

    Raises:
        OSError: The journal can't be written.
    """
    # Not O_APPEND, with which Linux's pwrite would append.
    descriptor = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CLOEXEC)
    try:
        head = os.pread(descriptor, len(_OPEN) + 1, mark.offset)
        if head == b"{" + _OPEN:
            os.pwrite(descriptor, _CLOSED, mark.offset + 1)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _mark(told: dict[str, Any], database: Path, offset: int) -> Mark | None:
    try:
        return Mark(
            database=database,
            revision=str(told["revisions"][0]),
            before=tuple(told["before"]),
            snapshot=str(told["snapshot"]),
            at=str(told["at"]),
            offset=offset,
        )
    except (KeyError, IndexError, TypeError):
        return None
