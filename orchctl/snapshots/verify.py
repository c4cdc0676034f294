"""Is a snapshot what it was when it was taken, and a database that could go back?"""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from orchctl.database.digest import dump_digest
from orchctl.database.failure import explain, inaccessible
from orchctl.database.inspect import Violation, foreign_key_violations, integrity_check
from orchctl.database.space import require
from orchctl.errors import Refused
from orchctl.snapshots.durable import TRIAL, in_use
from orchctl.snapshots.frozen import frozen
from orchctl.snapshots.manifest import Snapshot, not_writable, require_known_format, update
from orchctl.snapshots.rebuild import rebuild
from orchctl.snapshots.seal import Progress, hash_file

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Verification:
    """What verifying a snapshot found.

    Attributes:
        snapshot: As it is now: `verified` or `damaged`.
        ok: Whether it may be restored.
        problems: What is wrong with it, a sentence each; empty when ok.
        foreign_keys: Violations in it. They were in the database when it was taken, so they
            don't make a snapshot bad.
        full: Whether a trial restore was part of it.
        recorded: Whether the manifest says so now; not when it can't be written.
    """

    snapshot: Snapshot
    ok: bool
    problems: tuple[str, ...]
    foreign_keys: frozenset[Violation]
    full: bool
    recorded: bool


def verify(
    snapshot: Snapshot, *, full: bool = False, progress: Progress | None = None
) -> Verification:
    """Verify a snapshot: its hash, then integrity and foreign keys, then a trial restore.

    The hash comes first and alone finds a flipped bit: integrity_check says "ok" to most. The
    result goes into the manifest as status `verified` or `damaged`.

    Args:
        snapshot: From the catalog.
        full: Restore it into a temporary file in its directory as well, and compare the content.
        progress: Called with (bytes hashed, bytes in all).

    Raises:
        Refused: `snapshot-format`, `snapshot-partial`, `no-space` (for the trial restore).
    """
    require_known_format(snapshot)
    if snapshot.status == "partial":
        raise Refused(
            f"Snapshot {snapshot.id} is not finished: {snapshot.note}",
            code="snapshot-partial",
            hint="orchctl backup create takes a new one",
        )
    violations: frozenset[Violation] = frozenset()
    problems = file_problems(snapshot, progress)
    if not problems:
        with in_use(snapshot.path):
            problems, violations = _content_problems(snapshot)
            if full and not problems:
                problems = _trial_problems(snapshot)
    return _recorded(snapshot, problems, violations, full)


def file_problems(snapshot: Snapshot, progress: Progress | None = None) -> tuple[str, ...]:
    """Whether a snapshot's file is, byte for byte, the one that was taken.

    Args:
        snapshot: From the catalog.
        progress: Called with (bytes hashed, bytes in all).

    Returns:
        What is wrong; empty when nothing is.

    Raises:
        Refused: `cannot-open`: this user may not read it, which says nothing against it.
    """
    if not snapshot.sha256:
        return (snapshot.note or "its manifest tells no hash",)
    try:
        size = snapshot.path.stat().st_size
        if size != snapshot.size:
            return (f"its file has {size} bytes instead of {snapshot.size}",)
        digest = hash_file(snapshot.path, progress)
    except PermissionError as error:
        raise inaccessible(snapshot.path, "read") from error
    except OSError as error:
        return (f"its file cannot be read: {error.strerror}",)
    if digest != snapshot.sha256:
        return (f"its content changed: sha256 is {digest} instead of {snapshot.sha256}",)
    return ()


def _content_problems(snapshot: Snapshot) -> tuple[tuple[str, ...], frozenset[Violation]]:
    try:
        with frozen(snapshot.path) as connection:
            return integrity_check(connection), foreign_key_violations(connection)
    except sqlite3.Error as error:
        return (f"its content cannot be read: {error}",), frozenset()


def _trial_problems(snapshot: Snapshot) -> tuple[str, ...]:
    folder = snapshot.path.parent
    require(folder, snapshot.size, f"a trial restore of {snapshot.id}")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=TRIAL, dir=folder) as temporary,
            in_use(Path(temporary)),
        ):
            trial = Path(temporary) / "restored.db"
            rebuild(snapshot, trial)
            if _same_pages(snapshot.path, trial):
                return ()
            with frozen(snapshot.path) as before, frozen(trial) as after:
                if dump_digest(before) == dump_digest(after):
                    return ()
    except sqlite3.Error as error:
        raise explain(error, folder, doing="restore on trial into") from error
    except PermissionError as error:
        raise not_writable(folder) from error
    return ("a trial restore does not give back the same content",)


def _same_pages(one: Path, other: Path) -> bool:
    """Whether two closed databases are equal to the byte, but for what every commit changes.

    It is the quick answer: equal pages are equal content, and reading all rows in Python takes
    twenty times as long. Unequal ones may be equal content all the same.
    """
    with one.open("rb") as left, other.open("rb") as right:
        if _header(left) != _header(right):
            return False
        while piece := left.read(_CHUNK):
            if piece != right.read(_CHUNK):
                return False
        return not right.read(1)


def _header(stream: BinaryIO) -> bytes:
    # Journal mode, change counter, version-valid-for and the library's version.
    header = bytearray(stream.read(100))
    for start, end in ((18, 20), (24, 28), (92, 100)):
        header[start:end] = bytes(end - start)
    return bytes(header)


def _recorded(
    snapshot: Snapshot, problems: tuple[str, ...], violations: frozenset[Violation], full: bool
) -> Verification:
    def result(one: Snapshot) -> Snapshot:
        if problems:
            return replace(one, status="damaged", note=problems[0])
        return replace(one, status="verified", note=one.note if one.usable else "")

    recorded = True
    try:
        # Only what once was a whole manifest can be written back.
        now = update(snapshot, result) if snapshot.sha256 else result(snapshot)
    except Refused:
        now, recorded = result(snapshot), False
    return Verification(now, not problems, problems, violations, full, recorded)
