"""The database's part of a deploy: its snapshot, its upgrade, and the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.failure import explain_os
from orchctl.database.inspect import inspect
from orchctl.database.lock import hold
from orchctl.database.open import sidecars
from orchctl.database.space import require
from orchctl.errors import OrchctlError
from orchctl.snapshots.catalog import Catalog
from orchctl.snapshots.take import take
from orchctl.upgrade.journal import Entry, Journal
from orchctl.upgrade.plan import snapshot_directory

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.deploy.means import Means
    from orchctl.deploy.record import Deployment
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.upgrade.course import Arrival
    from orchctl.upgrade.report import Listener


def require_room(settings: Settings, deployment: Deployment) -> None:
    """See that there is room for the snapshot of a deploy, as long as nothing is stopped.

    Raises:
        Refused: `no-space`.
    """
    file = Path(deployment.database).resolve()
    size = sum(one.stat().st_size for one in (file, sidecars(file)["-wal"]) if one.exists())
    require(snapshot_directory(settings, file), size, f"a snapshot of {file.name}")


def take_snapshot(means: Means, deployment: Deployment) -> Snapshot:
    """The state that a failed deploy goes back to; everything that may write is stopped.

    Raises:
        LockHeld, Refused, OperationFailed: As `take` does.
    """
    file, settings = Path(deployment.database), means.settings
    with (
        hold(file, timeout=settings.lock_timeout, purpose="snapshot for a deploy"),
        means.listener.bar("Snapshot") as progress,
    ):
        snapshot = take(
            file,
            snapshot_directory(settings, file),
            reason="pre-deploy",
            version_table=deployment.version_table,
            progress=progress,
            timeout=settings.lock_timeout,
        )
    means.listener.step(f"Snapshot {snapshot.id}")
    return snapshot


def upgrade_here(means: Means, deployment: Deployment) -> Arrival:
    """Run the project's revisions; raises as `upgrade_databases`."""
    from orchctl.upgrade.course import upgrade_databases

    # It was rehearsed while the service went on; now every second counts.
    settings = replace(means.settings, rehearse=False)
    return upgrade_databases(settings, deployment.revision, means.listener)[0]


def heads_now(deployment: Deployment) -> tuple[str, ...]:
    """Where the database is."""
    return inspect(Path(deployment.database), version_table=deployment.version_table).heads


def write_journal(settings: Settings, deployment: Deployment, *, event: str = "deploy") -> None:
    """Write into the database's journal what was put into service, or taken out of it.

    Raises:
        Refused, OperationFailed: It can't be written.
    """
    file = Path(deployment.database)
    entry = Entry(
        event=event,
        database=str(file),
        before=deployment.before,
        after=deployment.after or deployment.before,
        snapshot=deployment.snapshot,
        ok=deployment.failure is None,
        error=dict(deployment.failure) if deployment.failure else None,
        version_table=deployment.version_table,
        image=deployment.image_id,
    )
    journal = Journal(snapshot_directory(settings, file), file)
    try:
        journal.append(entry)
    except OSError as error:
        raise explain_os(error, journal.path, doing="write") from error


def put_database_back(settings: Settings, listener: Listener, deployment: Deployment) -> str | None:
    """The snapshot back into the live file, unless revision and schema are those of it still.

    What is in the file until then is snapshotted first.

    Returns:
        The id of the snapshot of what was put aside; None when nothing was done.

    Raises:
        LockHeld, Refused, RestoreFailed: As `roll_back` says.
    """
    if deployment.snapshot is None or not _differs(settings, deployment):
        return None
    from orchctl.upgrade.rollback import plan_rollback, roll_back

    file = Path(deployment.database)
    plan = plan_rollback(
        file,
        snapshot_directory(settings, file),
        deployment.version_table,
        to=deployment.snapshot,
    )
    report = roll_back(settings, plan, listener, accept_data_loss=True)
    return report.put_aside.id if report.put_aside else None


def _differs(settings: Settings, deployment: Deployment) -> bool:
    file = Path(deployment.database)
    snapshot = Catalog(snapshot_directory(settings, file), file).get(deployment.snapshot or "")
    return differs(deployment, snapshot)


def differs(deployment: Deployment, snapshot: Snapshot) -> bool:
    """Whether the database is at other revisions, or has another schema, than the snapshot."""
    file = Path(deployment.database)
    try:
        facts = inspect(file, version_table=deployment.version_table)
    except OrchctlError:
        return True  # too damaged to be looked at: all the more
    return (facts.heads, facts.schema_hash) != (snapshot.heads, snapshot.schema_hash)
