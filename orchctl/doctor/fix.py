"""What the doctor may mend by itself: nothing that could lose a row."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from orchctl.database import lock
from orchctl.database.header import read_header
from orchctl.database.holders import holders
from orchctl.database.inspect import quick_check
from orchctl.database.open import ask, sidecars, writing
from orchctl.doctor.findings import Finding, Mend
from orchctl.errors import OrchctlError, Refused
from orchctl.snapshots.claim import sweep
from orchctl.upgrade.scratch_folder import REHEARSAL, remove_leftovers


@dataclass(frozen=True)
class Mended:
    """What was done about a finding.

    Attributes:
        id: Of the finding.
        done: Whether it was.
        told: What was done, or why it was not.
    """

    id: str
    done: bool
    told: str


def mend(findings: Iterable[Finding], *, timeout: float) -> tuple[Mended, ...]:
    """Do the safe mends that findings name, each once.

    Args:
        findings: Those of a diagnosis.
        timeout: Seconds to wait for orchctl's lock and for SQLite's.
    """
    done: dict[Mend, Mended] = {}
    for finding in findings:
        if finding.mend is not None and finding.mend not in done:
            done[finding.mend] = _mended(finding.id, finding.mend, timeout)
    return tuple(done.values())


def _mended(id_: str, what: Mend, timeout: float) -> Mended:
    try:
        told = _do(what, timeout)
    except OrchctlError as error:
        return Mended(id_, False, error.message)
    except OSError as error:
        return Mended(id_, False, f"{error.strerror}: {error.filename or what.path}")
    except sqlite3.Error as error:
        return Mended(id_, False, f"SQLite: {error}")
    return Mended(id_, told.done, told.told)


@dataclass(frozen=True)
class _Told:
    done: bool
    told: str


def _do(what: Mend, timeout: float) -> _Told:
    if what.kind == "unfinished":
        return _removed(sweep(what.path))
    if what.kind == "rehearsals":
        before = sorted(what.path.glob(f"{REHEARSAL}*"))
        remove_leftovers(what.path, REHEARSAL)
        return _removed([path for path in before if not path.exists()])
    with lock.hold(what.path, timeout=timeout, purpose="doctor"):
        if what.kind == "sidecars":
            return _give_sidecars(what.path)
        return _recover(what.path, timeout)


def _removed(paths: Sequence[Path]) -> _Told:
    names = ", ".join(path.name for path in paths)
    return _Told(bool(paths), f"removed {names}" if paths else "there was nothing left to remove")


def _give_sidecars(database: Path) -> _Told:
    like = database.stat()
    given = [path.name for path in sidecars(database).values() if _give(path, like)]
    whose = f"{like.st_uid}:{like.st_gid}, mode {stat.S_IMODE(like.st_mode):04o}"
    if not given:  # root has only to open a database: SQLite gives them to its owner
        return _Told(True, f"what is left beside {database.name} is now {whose}")
    return _Told(True, f"{' and '.join(given)} now {whose}, as {database.name}")


def _give(path: Path, like: os.stat_result) -> bool:
    """Give one file its owner: through a descriptor, so that no link can lead elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise OSError(0, "is no regular file with one name", str(path))
        wanted = (like.st_uid, like.st_gid, stat.S_IMODE(like.st_mode))
        if (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == wanted:
            return False
        if (facts.st_uid, facts.st_gid) != wanted[:2]:
            os.fchown(descriptor, *wanted[:2])
        os.fchmod(descriptor, wanted[2])
        return True
    finally:
        os.close(descriptor)


def _recover(database: Path, timeout: float) -> _Told:
    """Have SQLite take in a journal or WAL, as the next one to open it would.

    Tried on a copy first: a journal or WAL of another database, left beside this one by a `cp`,
    would damage it (https://www.sqlite.org/howtocorrupt.html, section 1.4).
    """
    if there := holders(database):
        return _Told(False, f"{there[0]} has it open, and will do it")
    beside = sidecars(database)
    left = [beside[end].name for end in ("-journal", "-wal") if _holds_something(beside[end])]
    if not left:
        return _Told(False, "there is nothing left to take in")
    for path in beside.values():  # SQLite follows links, and gives what it finds the owner
        if os.path.lexists(path) and not _is_plain(path):
            return _Told(False, f"{path.name} is a link, or no file with one name")
    if complaint := _complaint_about_copy(database):
        return _Told(
            False,
            f"taking in {' and '.join(left)} would damage {database.name} ({complaint}): "
            "it may belong to another database",
        )
    header = read_header(database)
    with closing(writing(database, timeout=timeout)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if header is not None and header.wal:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if busy:
                return _Told(False, "somebody else uses the database")
    return _Told(True, f"SQLite took in {' and '.join(left)}, as whoever opens it next would have")


def _complaint_about_copy(database: Path) -> str:
    """What is wrong with the database once the journal or WAL is taken in; empty for nothing."""
    try:
        return next(iter(ask(database, lambda connection, _: quick_check(connection))), "")
    except Refused as error:
        if error.code not in ("database-damaged", "not-a-database"):
            raise
        return error.message


def _is_plain(path: Path) -> bool:
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
