"""The snapshots: whether there is one to go back to, how old, and on which disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from orchctl.doctor.findings import Finding, Mend, found
from orchctl.doctor.subject import Subject
from orchctl.errors import typed
from orchctl.snapshots.catalog import Catalog, Snapshot
from orchctl.upgrade.plan import snapshot_directory

_OLD = timedelta(days=7)


def check_snapshots(subject: Subject) -> Iterator[Finding]:
    """What the catalog says.

    Raises:
        Refused: The directory can't be read.
        OSError: …
    """
    if not subject.real.is_file():
        return
    directory = snapshot_directory(subject.settings, subject.file)
    known = Catalog(directory, subject.file).list()
    usable = [one for one in known if one.usable]
    if not usable:
        yield found(
            "no-snapshot",
            f"There is no snapshot of {subject.real.name}",
            evidence=(f"{directory} has none",),
            command="orchctl backup create",
        )
    else:
        yield from _newest(usable[-1])
        if directory.stat().st_dev == subject.real.parent.stat().st_dev:
            yield found(
                "snapshots-same-disk",
                "The snapshots are on the database's own filesystem",
                evidence=(str(directory),),
                command="snapshot-directory in [tool.orchctl], on another disk; "
                "or copy them away (rsync, restic)",
            )
    yield from _unusable(known)


def _newest(snapshot: Snapshot) -> Iterator[Finding]:
    age = datetime.now(UTC) - datetime.fromisoformat(snapshot.created_at)
    evidence = (f"{snapshot.id}, {snapshot.reason}, {snapshot.status}",)
    if age > _OLD:
        yield found(
            "snapshot-old",
            f"The newest snapshot is {age.days} days old",
            evidence=evidence,
            command="orchctl backup create; examples/backups/ has schedules",
        )
    if snapshot.status != "verified":
        yield found(
            "snapshot-unverified",
            f"The newest snapshot, {snapshot.id}, was never verified",
            evidence=evidence,
            command=f"orchctl backup verify {snapshot.id}",
        )


def _unusable(known: tuple[Snapshot, ...]) -> Iterator[Finding]:
    for one in known:
        if one.status == "damaged":
            yield found(
                "snapshot-damaged",
                f"Snapshot {one.id} can't be restored: {one.note or 'damaged'}",
                evidence=(str(one.path),),
                command=f"orchctl backup verify {one.id}",
            )
        elif one.status == "partial" and one.note != "being taken":
            yield found(
                "snapshot-unfinished",
                f"{one.path.name} is left of a snapshot that was never finished",
                evidence=(str(one.path),),
                command=f"rm {typed(one.path)}",
                mend=Mend("unfinished", one.path.parent),
            )
