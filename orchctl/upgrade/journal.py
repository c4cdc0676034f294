"""The journal: one JSON line for every run that changed (or tried to change) a database."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE_NAME = "journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        event: upgrade, downgrade, rollback, restore or stamp.
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
    at: str = ""


class Journal:
    """The journal of one database, beside its snapshots.

    Args:
        directory: The snapshot directory; several databases may share it.
        database: The database file.
    """

    def __init__(self, directory: Path, database: Path) -> None:
        self.path = directory / FILE_NAME
        self._database = database

    def append(self, entry: Entry) -> None:
        """Write one line and make it durable.

        Raises:
            OSError: The directory can't be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = asdict(entry)
        data["at"] = data["at"] or datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps(data, ensure_ascii=False) + "\n"
        # One write with O_APPEND: lines of two processes never mix.
        descriptor = os.open(
            self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """All lines about this database, oldest first; a torn last line is passed over."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found = (_entry(line) for line in lines)
        return [entry for entry in found if entry and entry.database == str(self._database)]

    def last_change(self) -> Entry | None:
        """The run whose snapshot `rollback` would put back: the last upgrade or downgrade.

        None when there is none, or when it was rolled back already.
        """
        for entry in reversed(self.entries()):
            if not entry.ok:
                continue
            if entry.event in ("rollback", "restore"):
                return None
            if entry.event in ("upgrade", "downgrade") and entry.revisions:
                return entry
        return None


def _entry(line: str) -> Entry | None:
    try:
        data = json.loads(line)
        known = {key: data[key] for key in Entry.__dataclass_fields__ if key in data}
        for key in ("before", "after", "revisions"):
            known[key] = tuple(known.get(key) or ())
        return Entry(**known)
    except (ValueError, TypeError, KeyError):
        return None
