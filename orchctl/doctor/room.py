"""Bytes and inodes left where the database and its snapshots are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from orchctl.database.space import SPARE, free, readable
from orchctl.doctor.findings import Finding, found
from orchctl.doctor.subject import Subject
from orchctl.upgrade.plan import snapshot_directory

_INODES = 16  # a journal, a WAL with its index, a snapshot with its manifest, and a few


def check_room(subject: Subject) -> Iterator[Finding]:
    """Whether journals, a snapshot and a rehearsal fit.

    Raises:
        OSError: The directory can't be asked.
    """
    size = subject.real.stat().st_size if subject.real.is_file() else 0
    snapshots = snapshot_directory(subject.settings, subject.file)
    beside = _device(snapshots) == _device(subject.real.parent)
    # A snapshot and a rehearsal; the WAL or journal of the upgrade itself may be as large again.
    yield from _short(subject.real.parent, (3 if beside else 2) * size)
    if not beside:
        yield from _short(snapshots, size)


def _short(place: Path, wanted: int) -> Iterator[Finding]:
    there = _existing(place)
    left, inodes = free(there), os.statvfs(there)
    prune = "orchctl backup prune, or free some space by hand"
    evidence = (f"{readable(left)} free; an upgrade may need {readable(wanted + SPARE)}",)
    if left < SPARE:
        told = f"There are {readable(left)} left in {there}: the next commit may fail"
        yield found("no-space", told, evidence=evidence, command=prune)
    elif left < wanted + SPARE:
        told = f"An upgrade with its snapshot may not fit in {there}"
        yield found("little-space", told, evidence=evidence, command=prune)
    if inodes.f_files and inodes.f_favail < _INODES:
        yield found(
            "no-inodes",
            f"There are {inodes.f_favail} inodes left in {there}",
            evidence=(f"{inodes.f_files} in all",),
            command=prune,
        )


def _device(place: Path) -> int:
    return _existing(place).stat().st_dev


def _existing(place: Path) -> Path:
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
