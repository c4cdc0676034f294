"""The journal: a JSON line when a run begins to change a database, and one when it ended.

A line of the first kind with none of the second after it is a run that was killed.

A database has many names: through a link, from inside a container, before its folder was moved.
What a line is about is told by its way from the journal to the database, as snapshots are.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from orchctl.database.failure import inaccessible
from orchctl.snapshots.durable import give, make_directory

FILE_NAME = "journal.jsonl"
# What is read to find the last line about a database; one with its chain's manifest is long.
_TAIL = 1 << 16
# Marks of unsafe revisions (`upgrade.mark`): they tell no story of their own.
_MARKS = ("unsafe", "closed")


@dataclass(frozen=True)
class Beginning:
    """A run that is about to begin its transaction.

    Attributes:
        began: upgrade or downgrade.
        database: The database file.
        before: Its heads.
        target: Where to, as it was typed.
        snapshot: Id of the snapshot of the state before, if one was taken.
        pid: Of its process.
        version_table: Alembic's table in this run; None in lines of old.
        run: What the lines of one run over several files have in common.
        place: The way from the journal's directory to the database; None in lines of old.
        at: When, UTC, ISO 8601.
    """

    began: str
    database: str
    before: tuple[str, ...]
    target: str
    snapshot: str | None = None
    pid: int = 0
    version_table: str | None = None
    run: str | None = None
    place: str | None = None
    at: str = ""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        event: upgrade, downgrade, rollback, restore, stamp or deploy; unsafe or closed for a mark.
        database: The database file.
        before: Its heads before the run.
        after: Its heads after it.
        revisions: The revisions that ran, in order.
        snapshot: Id of the snapshot taken before it (rollback: of the present that was put aside).
        restored: Id of the snapshot that a rollback put back.
        ok: Whether it went through.
        error: Code and message where it didn't.
        content: `database.content.content_hash` of the file afterwards; None when it can't be
            told. By it a rollback sees whether anything was written since.
        row_counts: Rows of every table afterwards.
        chain: The chain of the code that ran: ids, parents, file hashes (`manifest`).
        seconds: How long it took.
        version_table: Alembic's table in this run; None in entries of old.
        run: What the entries of one run over several files have in common.
        image: Of a deploy, the id of the image that was to be put into service.
        place: The way from the journal's directory to the database; None in lines of old.
        at: When it ended, UTC, ISO 8601.
    """

    event: str
    database: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    revisions: tuple[str, ...] = ()
    snapshot: str | None = None
    restored: str | None = None
    ok: bool = True
    error: dict[str, Any] | None = None
    content: str | None = None
    row_counts: dict[str, int] = field(default_factory=dict)
    chain: dict[str, Any] | None = None
    seconds: float = 0.0
    version_table: str | None = None
    run: str | None = None
    image: str | None = None
    place: str | None = None
    at: str = ""


class Journal:
    """The journal of one database, beside its snapshots.

    Args:
        directory: The snapshot directory; several databases may share it.
        database: The database file.

    Attributes:
        path: The journal's file.
        database: The database file.
    """

    def __init__(self, directory: Path, database: Path) -> None:
        self.path = directory / FILE_NAME
        self.database = database
        self._real = os.path.realpath(database)
        self._place = os.path.relpath(self._real, os.path.realpath(directory))

    def begin(self, beginning: Beginning, *, durable: bool = False) -> None:
        """Write down that a run begins; to be followed by an `append` that says how it ended.

        Args:
            beginning: The run.
            durable: Whether the line must outlive a power cut. Where all that follows is one
                transaction it need not: without that line the database is as before.

        Raises:
            OSError: The directory can't be written.
        """
        self._write(asdict(beginning), durable=durable)

    def append(self, entry: Entry) -> None:
        """Write down how a run ended, and make it durable.

        Raises:
            OSError: The directory can't be written.
        """
        self._write(asdict(entry), durable=True)

    def _write(self, data: dict[str, Any], *, durable: bool) -> None:
        data["at"] = data["at"] or datetime.now(UTC).isoformat(timespec="milliseconds")
        data["place"] = self._place
        # A path may hold bytes that are no UTF-8: escaped, they come back as they were.
        line = json.dumps(data).encode() + b"\n"
        make_directory(self.path.parent, like=self._owner())
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give(descriptor, self._owner())
            if not _ends_with_a_line(descriptor):
                line = b"\n" + line  # else what a full disk cut off would spoil this one too
            # One write with O_APPEND: lines of two processes never mix.
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _owner(self) -> os.stat_result | None:
        for place in (self.database, self.database.parent):
            with suppress(OSError):
                return place.stat()
        return None

    def unfinished(self) -> Beginning | None:
        """The run that began last, when nothing says how it ended: it runs, or it was killed.

        Raises:
            OSError: There is a journal, but it can't be read.
        """
        last = self._last()
        return last if isinstance(last, Beginning) else None

    def failed_last(self) -> bool:
        """Whether the last run failed, and says so.

        Raises:
            OSError: There is a journal, but it can't be read.
        """
        last = self._last()
        return isinstance(last, Entry) and not last.ok

    def _last(self) -> Beginning | Entry | None:
        length, whole = _TAIL, False
        while not whole:
            lines, whole = self._last_lines(length)
            for line in reversed(lines):
                if found := self._about_this(line):
                    return found
            length *= 8
        return None

    def _last_lines(self, length: int) -> tuple[list[str], bool]:
        """The whole lines among the last bytes, and whether they are all there are."""
        try:
            with self.path.open("rb") as stream:
                start = max(0, stream.seek(0, os.SEEK_END) - length)
                stream.seek(start)
                lines = stream.read().decode(errors="replace").split("\n")
        except FileNotFoundError:
            return [], True
        return (lines[1:], False) if start else (lines, True)

    def _about_this(self, line: str) -> Beginning | Entry | None:
        found = _beginning(line) or _entry(line)
        return found if found and self.is_about_this(found.database, found.place) else None

    def is_about_this(self, database: object, place: object) -> bool:
        """Whether a line is about this database.

        Args:
            database: The path in the line.
            place: The way to the database in it; None in lines of old.
        """
        if isinstance(place, str):
            return place == self._place
        return isinstance(database, str) and (
            database == str(self.database) or os.path.realpath(database) == self._real
        )

    def entries(self) -> list[Entry]:
        """All lines about this database, oldest first; a torn last line is passed over.

        Raises:
            Refused: `cannot-open`: there is a journal, but it can't be read.
        """
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise inaccessible(self.path, "read") from error
        found = (_entry(line) for line in lines)
        return [each for each in found if each and self.is_about_this(each.database, each.place)]

    def last_change(self, version_table: str | None = None) -> Entry | None:
        """The run whose snapshot `rollback` would put back: the last upgrade or downgrade.

        None when there is none, or when it was rolled back already.

        Args:
            version_table: Of the chain in question, several can live in one file; None for any.
        """
        for entry in reversed(self.entries()):
            if not entry.ok or (version_table and entry.version_table not in (None, version_table)):
                continue
            if entry.event in ("rollback", "restore"):
                return None
            if entry.event not in ("upgrade", "downgrade"):
                continue
            if entry.revisions or entry.before != entry.after:
                return entry
        return None


_Line = TypeVar("_Line", Beginning, Entry)


def _ends_with_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return not size or os.pread(descriptor, 1, size - 1) == b"\n"


def _beginning(line: str) -> Beginning | None:
    return _read(line, Beginning, ("before",)) if '"began"' in line else None


def _entry(line: str) -> Entry | None:
    found = _read(line, Entry, ("before", "after", "revisions"))
    return found if found is None or found.event not in _MARKS else None


def _read(line: str, kind: type[_Line], lists: tuple[str, ...]) -> _Line | None:
    try:
        data = json.loads(line)
        known = {name: data[name] for name in kind.__dataclass_fields__ if name in data}
        for name in lists:
            known[name] = tuple(known.get(name) or ())
        return kind(**known)
    except (ValueError, TypeError, KeyError):
        return None
