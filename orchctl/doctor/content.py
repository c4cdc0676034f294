"""What SQLite itself says about the file: whether it opens, whether it is whole, how it is set."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from orchctl.database.header import Header
from orchctl.database.inspect import (
    foreign_key_violations,
    integrity_check,
    leftover_tables,
    quick_check,
    tables,
    unreadable,
)
from orchctl.database.open import ask
from orchctl.doctor.findings import Finding, found
from orchctl.doctor.subject import Subject
from orchctl.errors import OrchctlError, typed

_SHOWN = 5
_FIRST_WAL, _FIRST_MENDED = (3, 7, 0), (3, 51, 3)
_BACKPORTS = ((3, 44, 6), (3, 50, 7))


def check_opening(subject: Subject) -> Iterator[Finding]:
    """Whether the database can be opened and its schema read."""
    if not subject.real.is_file():
        return
    try:
        ask(subject.file, lambda connection, _: tables(connection))
    except OrchctlError as error:
        yield found(
            "cannot-open",
            error.message,
            evidence=tuple(filter(None, (error.code, error.state))),
            command=error.hint,
            # Whoever holds it longer than we wait may just be at work.
            level="warning" if error.code == "database-locked" else None,
        )


def check_content(subject: Subject) -> Iterator[Finding]:
    """What the checks complain about, and what a batch operation left.

    Raises:
        OrchctlError: The database can't be opened.
    """
    if not subject.real.is_file():
        return

    def question(connection: sqlite3.Connection, _: Header | None) -> list[Finding]:
        return [
            *_damage(connection, subject),
            *_leftovers(connection, subject),
            *(_orphans(connection, subject) if subject.full else ()),
        ]

    yield from ask(subject.file, question)


def check_sqlite(subject: Subject) -> Iterator[Finding]:
    """The SQLite library of this process, and the journal mode."""
    yield from judge_version(sqlite3.sqlite_version, wal=subject.wal, where="orchctl's own")
    yield from judge_options({row[0] for row in _compile_options()})
    if subject.real.is_file() and subject.real.stat().st_size and not subject.wal:
        yield found(
            "rollback-journal",
            f"{subject.real.name} is not in WAL mode: readers and writers wait for each other",
            evidence=("journal mode delete",),
            command=f"sqlite3 {typed(subject.real)} 'PRAGMA journal_mode=WAL', "
            "on a local disk only",
        )


def judge_version(version: str, *, wal: bool, where: str) -> Iterator[Finding]:
    """Whether a SQLite has the WAL-reset bug (https://www.sqlite.org/wal.html#walresetbug).

    Args:
        version: As `3.40.1`.
        wal: Whether the database is in WAL mode.
        where: Whose library it is.
    """
    number = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if len(number) < 3 or not _FIRST_WAL <= number < _FIRST_MENDED:
        return
    if any(number[:2] == one[:2] and number >= one for one in _BACKPORTS):
        return
    yield found(
        "wal-reset-bug",
        f"SQLite {version} ({where}) can, in rare cases, damage a database in WAL mode when one "
        "connection writes while another one checkpoints",
        evidence=("3.7.0 to 3.51.2 have it; mended in 3.51.3, 3.50.7 and 3.44.6",),
        command="Use a Python or system library with SQLite 3.51.3 or later",
        level="warning" if wal else "note",
    )


def judge_options(options: Collection[str]) -> Iterator[Finding]:
    """What a build's own settings mean.

    Args:
        options: From `PRAGMA compile_options`.
    """
    off = {"DEFAULT_SYNCHRONOUS=0", "DEFAULT_WAL_SYNCHRONOUS=0"}.intersection(options)
    if off:
        yield found(
            "synchronous-off",
            "This SQLite is built with synchronous=OFF: a power cut damages databases",
            evidence=tuple(sorted(off)),
            command="Use another build, or PRAGMA synchronous=NORMAL on each connection",
        )


def _compile_options() -> list[tuple[str]]:
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute("PRAGMA compile_options").fetchall()
    finally:
        connection.close()


def _damage(connection: sqlite3.Connection, subject: Subject) -> Iterator[Finding]:
    name = "integrity_check" if subject.full else "quick_check"
    complaints = integrity_check(connection) if subject.full else quick_check(connection)
    if not complaints:
        return
    disk = unreadable(complaints)
    yield found(
        "damaged",
        f"{subject.real.name} is damaged"
        if not disk
        else f"The disk under {subject.real.name} can't be read",
        evidence=(f"PRAGMA {name}: {len(complaints)} complaints", *complaints[:_SHOWN]),
        command="orchctl backup restore latest",
    )


def _leftovers(connection: sqlite3.Connection, subject: Subject) -> Iterator[Finding]:
    known = {name.lower() for name in tables(connection)}
    for name in leftover_tables(connection):
        original = name.removeprefix("_alembic_tmp_")
        alone = original.lower() not in known
        yield found(
            "leftover-tables",
            f"{name} is left of an interrupted batch operation"
            + (f", and {original} is gone: its rows are there alone" if alone else ""),
            evidence=(f"{original} is {'not ' if alone else ''}there",),
            command=f'sqlite3 {typed(subject.real)} \'ALTER TABLE "{name}" RENAME TO "{original}"\''
            if alone
            else f"Compare it with {original}, then: "
            f"sqlite3 {typed(subject.real)} 'DROP TABLE \"{name}\"'",
            level="error" if alone else "warning",
        )


def _orphans(connection: sqlite3.Connection, subject: Subject) -> Iterator[Finding]:
    by_table: dict[str, int] = {}
    for table, *_ in foreign_key_violations(connection):
        by_table[table] = by_table.get(table, 0) + 1
    if by_table:
        yield found(
            "foreign-key-violations",
            f"{sum(by_table.values())} rows refer to rows that are not there",
            evidence=tuple(f"{table}: {count}" for table, count in sorted(by_table.items())),
            command=f"sqlite3 {typed(subject.real)} 'PRAGMA foreign_key_check'",
        )
