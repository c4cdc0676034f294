"""The last deploy taken back: database and image together to where it began."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.database.inspect import inspect
from orchctl.deploy import record
from orchctl.deploy.database import differs
from orchctl.deploy.plan import held_containers
from orchctl.deploy.record import Deployment
from orchctl.deploy.undo import half_way, undo_to_the_end
from orchctl.errors import Interrupted, OrchctlError, Refused, WorkloadFailed
from orchctl.snapshots.catalog import Catalog
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.guests import require_no_guests

if TYPE_CHECKING:
    from orchctl.deploy.means import Means
    from orchctl.deploy.place import DeployedDatabase
    from orchctl.deploy.record import HeldContainer
    from orchctl.snapshots.manifest import Snapshot
    from orchctl.workloads.docker.engine import Engine


def last_deploy(database: Path) -> Deployment:
    """The last deploy of a database that went through.

    Raises:
        Refused: `deploy-unfinished`, `no-deploy`.
    """
    records = record.read_records(database)
    if records.running is not None:
        raise Refused(
            f"A deploy is not over: {records.running.told}",
            code="deploy-unfinished",
            state="Nothing was changed",
            hint=f"{records.running.command} --abort undoes it, --resume finishes it",
        )
    if records.last is None:
        raise Refused(
            f"No deploy of {database} is on record",
            code="no-deploy",
            state="Nothing was changed",
            hint="orchctl rollback takes back an upgrade; orchctl docker restart --recreate "
            "--image OLD the image",
        )
    return records.last


@dataclass(frozen=True)
class BackPlan:
    """What taking a deploy back does.

    Attributes:
        deployment: The deploy.
        containers: What is stopped, those whose image goes back first; as they are now, but with
            the image from before.
        restores: Whether the database goes back, too: it does when revision or schema is another.
    """

    deployment: Deployment
    containers: tuple[HeldContainer, ...]
    restores: bool


def plan_back(engine: Engine, place: DeployedDatabase, last: Deployment) -> BackPlan:
    """Plan how to take a deploy back, without changing anything.

    Raises:
        WorkloadFailed: `no-such-image`, `no-such-container`; as Engine does.
        Refused: `snapshot-unusable`, `network-shared`; as `held_containers` says.
    """
    before = {one.name: one for one in last.containers if one.replaced}
    for held in before.values():
        _require_image(engine, held)
    found = [look(engine, name) for name in before]
    for one in found:
        require_no_guests(engine, one)
    now = held_containers(engine, found, place)
    containers = tuple(
        replace(before[one.name], policy=one.policy, ran=one.ran) if one.replaced else one
        for one in now
    )
    snapshot = _snapshot(place, last)
    if snapshot is None:  # nothing that it would be needed for
        return BackPlan(replace(last, snapshot=None), containers, False)
    return BackPlan(last, containers, differs(last, snapshot))


def take_back(means: Means, plan: BackPlan, *, accept_data_loss: bool) -> str:
    """Put database and image back to where a deploy began; the lock is held.

    Killed half-way, `deploy --abort` does the rest.

    Args:
        means: What it works with.
        plan: What to do.
        accept_data_loss: Whether writes made since may be put aside.

    Returns:
        What is where now, one sentence.

    Raises:
        Refused: `would-discard-writes`.
        Interrupted: It is done all the same.
        WorkloadFailed, RestoreFailed: It came only so far; says what to type.
    """
    last = plan.deployment
    if plan.restores and not accept_data_loss:
        raise Refused(
            f"What was written to {last.database} since the deploy would be put aside",
            code="would-discard-writes",
            state="Nothing was changed",
            hint="--accept-data-loss goes on (the present is kept as a snapshot)",
        )
    failure = {"exit": 0, "code": "rolled-back", "message": "It was taken back"}
    back = replace(last, stage="undoing", containers=plan.containers, failure=failure)
    record.begin(back)
    try:
        return undo_to_the_end(means, back)
    except Interrupted:
        raise
    except (OrchctlError, KeyboardInterrupt) as error:
        trouble = WorkloadFailed(f"{last.image} was being taken back")
        raise half_way(trouble, error, back) from error


def _snapshot(place: DeployedDatabase, last: Deployment) -> Snapshot | None:
    """What the database would be put back from; None where it is not there, and not needed."""
    file = Path(last.database)
    known = Catalog(place.snapshots, file).list()
    found = next((one for one in known if one.id == last.snapshot and one.usable), None)
    held = next(one for one in last.containers if one.replaced)
    if found is None and inspect(file, version_table=last.version_table).heads != last.before:
        raise Refused(
            f"Snapshot {last.snapshot}, from before the last deploy, is gone or damaged",
            code="snapshot-unusable",
            state="Nothing was changed",
            hint=f"orchctl backup list shows the others; orchctl docker restart {held.name} "
            f"--recreate --image {held.image_id[:19]} takes back the image alone",
        )
    return found


def _require_image(engine: Engine, held: HeldContainer) -> None:
    try:
        engine.image(held.image_id)
    except WorkloadFailed as error:
        if error.code != "no-such-image":
            raise
        raise WorkloadFailed(
            f"The engine no longer has the image that {held.image} was ({held.image_id[:19]})",
            code="no-such-image",
            state="Nothing was changed",
            hint="orchctl rollback takes back the database alone",
        ) from error
