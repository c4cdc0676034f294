"""The commits of one run, one file after the other, once nothing else is left to do.

SQLite commits a file at a time. (Its own multi-file commit, through ATTACH, is none in WAL mode:
https://www.sqlite.org/lang_attach.html.) So between two commits there is a moment in which one file
is new and the next still old. It is as short as can be: no signal is heeded in it, and the files
whose commit may have to wait for readers come first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from orchctl.database.digest import dump_digest
from orchctl.upgrade.connection import State
from orchctl.upgrade.file_transaction import FileTransaction


@dataclass(frozen=True)
class Committed:
    """A file that was committed before another one's commit failed.

    Attributes:
        file: The file.
        content: `dump_digest` of what was committed; None when somebody wrote to it since, or
            when that can't be told.
    """

    file: Path
    content: str | None


class PartlyCommittedError(Exception):
    """A commit after the first one failed for good: some files are new, the others as before.

    Args:
        cause: Why the commit failed.
        committed: The files that are committed, in that order.
        undone: The files that are as before.
    """

    def __init__(
        self, cause: BaseException, committed: tuple[Committed, ...], undone: tuple[Path, ...]
    ) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.committed = committed
        self.undone = undone


def commit_all(
    files: Sequence[FileTransaction],
    undisturbed: Callable[[], AbstractContextManager[None]],
) -> None:
    """Commit every file; on a failure all that are not committed yet are rolled back.

    Args:
        files: The files that were written to, everything checked.
        undisturbed: A context in which no signal interrupts this thread.

    Raises:
        LockHeld, sqlite3.Error, KeyboardInterrupt: The first commit failed; nothing is changed.
        PartlyCommittedError: A later one failed.
    """
    if len(files) < 2:
        # Broken off in the middle of an async driver's commit, nobody could ask it what became of
        # that: its event loop is over then. Whoever waits for readers asks for signals by himself.
        with undisturbed():
            for one in files:
                one.commit()
        return
    ordered = sorted(files, key=_in_wal)
    with undisturbed():
        versions = [_stay(one) for one in ordered]
        try:
            _one_by_one(ordered, versions)
        finally:
            for one in ordered:
                if one.guard is not None:
                    one.guard.let_go()


def _one_by_one(files: Sequence[FileTransaction], versions: Sequence[object]) -> None:
    for number, one in enumerate(files):
        try:
            one.commit((lambda: False) if number else None)
        except BaseException as error:
            if not number:
                raise
            for rest in files[number:]:
                rest.undo()
            done = zip(files[:number], versions, strict=False)
            raise PartlyCommittedError(
                error,
                tuple(Committed(each.participant.file, _content(each, v)) for each, v in done),
                tuple(each.participant.file for each in files[number:]),
            ) from error


def _stay(one: FileTransaction) -> object:
    """Keep the connection beyond its commit: it alone can tell whether somebody else writes."""
    if one.guard is None:
        return None
    one.guard.stay_open()
    return _ask(one, "data_version")


def _content(one: FileTransaction, version: object) -> str | None:
    """What was committed, if it still stands: a commit of one's own leaves data_version alone.

    https://www.sqlite.org/pragma.html#pragma_data_version
    """
    if one.guard is None or one.guard.state is not State.COMMITTED:
        return None
    try:
        content = dump_digest(one.guard.real)
        return content if _ask(one, "data_version") == version else None
    except (sqlite3.Error, AttributeError):  # an async driver's has no more to offer than SQL
        return None


def _in_wal(one: FileTransaction) -> bool:
    return _ask(one, "journal_mode") == "wal"


def _ask(one: FileTransaction, pragma: str) -> object:
    if one.guard is None:
        return None
    cursor = one.guard.real.cursor()
    cursor.execute(f"PRAGMA {pragma}")
    row = cursor.fetchone()
    cursor.close()
    return row[0] if row else None
