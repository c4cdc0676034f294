"""Making a filled file a snapshot: self-contained, on the disk, hashed and measured."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchctl.database.inspect import DatabaseFacts, facts_of, row_counts
from orchctl.errors import OrchctlError
from orchctl.snapshots.claim import Claim
from orchctl.snapshots.frozen import frozen

Progress = Callable[[int, int], None]

_CHUNK = 1 << 20
_WAL_VERSIONS, _ROLLBACK_VERSIONS = b"\x02\x02", b"\x01\x01"
_VERSIONS_AT = 18


@dataclass(frozen=True)
class Sealed:
    """What was measured in the finished file.

    Attributes:
        sha256: Of the file.
        size: Bytes.
        wal: Whether the database it was copied from is in WAL mode.
        facts: See `database.inspect`.
        row_counts: Table to rows.
    """

    sha256: str
    size: int
    wal: bool
    facts: DatabaseFacts
    row_counts: dict[str, int]


def seal(claimed: Claim, version_table: str, progress: Progress | None) -> Sealed:
    """Sync a claimed file to the disk, hash it, and measure what the manifest tells.

    Args:
        claimed: Its file filled, and no connection to it open.
        version_table: Name of Alembic's table.
        progress: Called with (bytes hashed, bytes in all).

    Raises:
        OSError, sqlite3.Error, OrchctlError: As they come.
    """
    wal = _leave_wal_mode(claimed.descriptor)
    measured: list[tuple[DatabaseFacts, dict[str, int]]] = []
    failed: list[BaseException] = []

    def sync_and_measure() -> None:
        try:
            os.fsync(claimed.descriptor)
            with frozen(claimed.partial) as connection:
                facts = facts_of(connection, claimed.partial, version_table=version_table)
                measured.append((facts, row_counts(connection)))
        except (OSError, sqlite3.Error, OrchctlError) as error:
            failed.append(error)

    # fsync waits for the disk and sha256 for the processor, so they go side by side.
    beside = threading.Thread(target=sync_and_measure)
    beside.start()
    try:
        digest = hash_file(claimed.partial, progress)
    finally:
        beside.join()
    if failed:
        raise failed[0]
    facts, counts = measured[0]
    return Sealed(digest, os.fstat(claimed.descriptor).st_size, wal, facts, counts)


def hash_file(path: Path, progress: Progress | None = None) -> str:
    """sha256 of a closed file (never a live database), telling bytes done and in all."""
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            done += count
            if progress:
                progress(done, total)
    return digest.hexdigest()


def _leave_wal_mode(descriptor: int) -> bool:
    """Mark the copy as being in rollback mode; whether it was marked as WAL.

    The copy takes the mark of its source along, and a WAL file can't be opened without files
    beside it. These two bytes are the whole difference once the WAL is empty
    (https://www.sqlite.org/fileformat2.html#file_format_version_numbers).
    """
    if os.pread(descriptor, 2, _VERSIONS_AT) != _WAL_VERSIONS:
        return False
    os.pwrite(descriptor, _ROLLBACK_VERSIONS, _VERSIONS_AT)
    return True
