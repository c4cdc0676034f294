"""What a writer left beside the database: a hot journal, a WAL that was never taken in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchctl.database.holders import holders
from orchctl.database.open import sidecars
from orchctl.database.space import readable
from orchctl.doctor.findings import Finding, Mend, found
from orchctl.doctor.subject import Subject
from orchctl.errors import typed

# https://www.sqlite.org/fileformat2.html#the_rollback_journal; a journal without it is a done one.
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_WAL_HEADER = 32
_LARGE = 64 << 20


def check_journals(subject: Subject) -> Iterator[Finding]:
    """Whether somebody died with the database open, or keeps its WAL from being taken in.

    Raises:
        OSError: A file can't be read.
    """
    real = subject.real
    if not real.is_file():
        return
    beside = sidecars(real)
    in_use = bool(holders(real))
    mend = Mend("recover", real)
    if not in_use and is_hot(beside["-journal"]):
        yield found(
            "hot-journal",
            f"A writer of {real.name} died half-way; what it did is undone when next opened",
            evidence=(
                f"{beside['-journal']} has {_size(beside['-journal'])} bytes, nobody seen has it",
                "Until then the database is not to be copied without it",
            ),
            command=f"sqlite3 {typed(real)} 'SELECT count(*) FROM sqlite_schema'",
            mend=mend,
        )
    size = _size(beside["-wal"])
    if not in_use and size > _WAL_HEADER:
        yield found(
            "wal-left",
            f"The last commits are in {beside['-wal'].name} alone, and nobody has it open",
            evidence=(f"{beside['-wal']} has {size} bytes",),
            command=f"sqlite3 {typed(real)} 'PRAGMA wal_checkpoint(TRUNCATE)'",
            mend=mend,
        )
    if size > max(_LARGE, 2 * real.stat().st_size):
        yield found(
            "wal-large",
            f"{beside['-wal'].name} is as large as {readable(size)}",
            evidence=(f"{real.name} has {readable(real.stat().st_size)}",),
            command=f"sqlite3 {typed(real)} 'PRAGMA wal_checkpoint(TRUNCATE)'",
        )


def is_hot(journal: Path) -> bool:
    """Whether a rollback journal has something to undo, as far as its header tells."""
    if not _size(journal):
        return False
    with journal.open("rb") as stream:
        return stream.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
