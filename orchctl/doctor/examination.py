"""All checks of one database, each for itself: what one can't do keeps none from being done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from orchctl.config import Settings, masked_url
from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.location import is_sqlite, locate
from orchctl.doctor.chain_state import check_chain, check_runs, check_schema, check_stamp
from orchctl.doctor.content import check_content, check_opening, check_sqlite
from orchctl.doctor.files import check_files, check_rights
from orchctl.doctor.findings import LEVELS, Finding
from orchctl.doctor.journals import check_journals
from orchctl.doctor.mounts import check_place
from orchctl.doctor.processes import check_processes
from orchctl.doctor.room import check_room
from orchctl.doctor.snapshots_state import check_snapshots
from orchctl.doctor.subject import Subject
from orchctl.errors import OrchctlError
from orchctl.upgrade.target import verified_databases

Check = Callable[[Subject], Iterable[Finding]]

CHECKS: Mapping[str, Check] = {
    "place": check_place,
    "room": check_room,
    "files": check_files,
    "rights": check_rights,
    "journals": check_journals,
    "processes": check_processes,
    "opening": check_opening,
    "content": check_content,
    "sqlite": check_sqlite,
    "chain": check_chain,
    "stamp": check_stamp,
    "schema": check_schema,
    "runs": check_runs,
    "snapshots": check_snapshots,
}
# What is not tried where the database can't be opened: each would wait for a lock anew.
_ON_CONTENT = ("content", "stamp", "schema")
_OPENING = ("opening", *_ON_CONTENT, "runs")


@dataclass(frozen=True)
class Checked:
    """One check, done or not.

    Attributes:
        name: Which.
        subject: The database or container.
        findings: What it found.
        obstacle: Why it could not be done; None when it was.
    """

    name: str
    subject: str
    findings: tuple[Finding, ...]
    obstacle: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What all checks found.

    Attributes:
        checks: One for each check of each database.
    """

    checks: tuple[Checked, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, the worst first."""
        every = [finding for one in self.checks for finding in one.findings]
        return tuple(sorted(every, key=lambda finding: LEVELS.index(finding.level)))

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return all(one.level != "error" for one in self.findings)


def find_subjects(settings: Settings, *, full: bool) -> tuple[Subject, ...]:
    """The databases to look at, as far as they can be told.

    Where env.py can't be run (it may fail on the very fault that is looked for), what the settings
    name is taken.

    Args:
        settings: The run's settings.
        full: Whether checks may take long.

    Raises:
        OrchctlError: No database is named, or it is no SQLite file.
    """
    try:
        databases = verified_databases(settings)
    except OrchctlError:
        if settings.url is None or not is_sqlite(settings.url):
            raise
        file = locate(settings.url, settings.folder)
        return (Subject(settings, file, VERSION_TABLE, full),)
    return tuple(
        Subject(settings, one.require_file("doctor"), table, full)
        for one in databases
        for table in (one.version_table, *one.further_tables)
    )


def examine(
    subjects: Sequence[Subject], on_check: Callable[[str], None] = lambda name: None
) -> Diagnosis:
    """Do all checks; changes no byte.

    Args:
        subjects: The databases.
        on_check: Called with the name of each check as it begins.
    """
    return Diagnosis(tuple(one for each in subjects for one in _examined(each, on_check)))


def _examined(subject: Subject, on_check: Callable[[str], None]) -> list[Checked]:
    done: list[Checked] = []
    odd = subject.odd
    closed = f"{odd} is no regular file" if odd else None
    for name, check in CHECKS.items():
        if closed and name in (_OPENING if odd else _ON_CONTENT):
            done.append(Checked(name, str(subject.file), (), closed))
            continue
        on_check(name)
        done.append(run_check(name, str(subject.file), lambda: check(subject)))  # noqa: B023
        if name == "opening":
            closed = done[-1].obstacle or next((one.what for one in done[-1].findings), None)
    return done


class Examinee(Protocol):
    """What checks are about, as it is called in what they find."""

    @property
    def name(self) -> str:
        """As a target is written."""


T = TypeVar("T", bound=Examinee)


def examine_each(
    checks: Mapping[str, Callable[[T], Iterable[Finding]]],
    patients: Iterable[T],
    on_check: Callable[[str], None],
) -> tuple[Checked, ...]:
    """Do all checks of each of several; changes nothing.

    Args:
        checks: By name.
        patients: What they are about.
        on_check: Called with the name of each check as it begins.
    """
    done = []
    for patient in patients:
        for name, check in checks.items():
            on_check(f"{name} of {patient.name}")
            done.append(run_check(name, patient.name, partial(check, patient)))
    return tuple(done)


def run_check(name: str, subject: str, check: Callable[[], Iterable[Finding]]) -> Checked:
    """Do one check; where it can't be done, say why.

    Args:
        name: Which.
        subject: The database or container.
        check: Finds.
    """
    kept: list[Finding] = []
    obstacle = None
    try:
        for finding in check():
            kept.append(_shown(finding, subject))  # noqa: PERF401 what was found stays found
    except OrchctlError as error:
        obstacle = error.message
    except OSError as error:
        obstacle = f"{error.strerror or error}: {error.filename or subject}"
    except sqlite3.Error as error:
        obstacle = f"SQLite: {error}"
    return Checked(name, subject, tuple(kept), obstacle and masked_url(obstacle))


def _shown(finding: Finding, subject: str) -> Finding:
    return replace(
        finding,
        what=masked_url(finding.what),
        evidence=tuple(masked_url(line) for line in finding.evidence),
        command=finding.command and masked_url(finding.command),
        subject=subject,
    )
