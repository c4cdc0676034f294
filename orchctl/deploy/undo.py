"""A deploy undone: database and image together back to where they were."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchctl.deploy import containers, record
from orchctl.deploy.database import put_database_back, write_journal
from orchctl.deploy.images import keep_previous
from orchctl.errors import (
    Interrupted,
    OperationFailed,
    OrchctlError,
    Refused,
    RestoreFailed,
    UpgradeRestored,
    WorkloadFailed,
)

if TYPE_CHECKING:
    from orchctl.deploy.means import Means
    from orchctl.deploy.record import Deployment

_AWAY = ("engine-away", "engine-permission")


def undo(means: Means, deployment: Deployment) -> str:
    """Undo what a deploy has done so far, from its record; can be done again after a kill.

    Args:
        means: What it works with.
        deployment: As its record says; not yet `healthy`.

    Returns:
        What is where now, one sentence.

    Raises:
        WorkloadFailed: The engine went away, or a container can't be put back.
        LockHeld, Refused, RestoreFailed: The snapshot can't be put back.
    """
    containers.stop_all(means, deployment)
    aside = put_database_back(means.settings, means.listener, deployment)
    trouble = containers.bring_back(means, deployment)
    _keep_previous_of_last(means, deployment)
    unwritten = _written_down(means, deployment)
    held = next(one for one in deployment.containers if one.replaced)
    now = f"{held.name} is back with the image it had ({held.image}), {_told(deployment)}"
    if aside is not None:
        now += f"; what was in the database until then is snapshot {aside}"
    now += unwritten
    return f"{now}. But it is not well: {trouble}" if trouble else now


def _keep_previous_of_last(means: Means, deployment: Deployment) -> None:
    """Give the name that prune spares back to what `rollback --image` would go back to."""
    last = record.read_records(Path(deployment.database)).last
    if last is None or last.id == deployment.id:
        return
    for held in last.containers:
        if held.replaced:
            with contextlib.suppress(WorkloadFailed):  # gone before: told by who goes back
                keep_previous(means.engine, held.name, held.image_id)


def _written_down(means: Means, deployment: Deployment) -> str:
    """Write that it is over; what is to be told where that can't be done, else nothing.

    A disk that is full must not make what was put back look as if it were not.
    """
    ended = replace(deployment, ended=datetime.now(UTC).isoformat(timespec="seconds"))
    try:
        write_journal(means.settings, ended)
        record.end(ended, went_through=False)
    except (OperationFailed, Refused) as error:
        mends = f"{deployment.command} --abort mends it"
        return f". That is not on record ({error.message}): {mends}"
    return ""


def _being_undone(found: Deployment, failure: dict[str, Any]) -> Deployment:
    """A deploy on record as being undone; a full disk is no reason to leave the service down."""
    try:
        return record.advance(found, "undoing", failure=failure)
    except (OperationFailed, Refused):
        return replace(found, stage="undoing", failure=failure)


def undo_to_the_end(means: Means, deployment: Deployment) -> str:
    """Undo a deploy, also when that is interrupted: half-way the service would be down.

    Interrupted once more, it is left to the next run.

    Raises:
        Interrupted: It is undone all the same.
        KeyboardInterrupt, OrchctlError: As `undo`.
    """
    try:
        return undo(means, deployment)
    except KeyboardInterrupt:
        means.listener.warning(
            "Interrupted; half-way nothing would run, so it is brought to its end"
        )
        now = undo(means, deployment)
    raise Interrupted("Interrupted, but brought to its end", state=now)


def undo_after(error: OrchctlError, means: Means, deployment: Deployment) -> OrchctlError:
    """Undo a deploy that failed; the error that says so, with what is where now.

    Args:
        error: What went wrong.
        means: What the deploy works with.
        deployment: As it was begun; how far it came is read from its record.
    """
    found = record.read_records(Path(deployment.database)).running
    if found is None:
        return error
    failed_at = found.stage
    failure = {"exit": int(error.exit_code), "code": error.code, "message": error.message}
    means.listener.warning(f"{error.message}; undoing the deploy")
    try:
        found = _being_undone(found, failure)
        now = undo(means, found)
    except (OrchctlError, OSError, KeyboardInterrupt) as second:
        return half_way(error, second, found)
    if hook := _after_hook(means, found):
        now += f". {hook}"
    return _explained(error, failed_at, now)


def half_way(error: OrchctlError, second: BaseException, deployment: Deployment) -> OrchctlError:
    """The error of a deploy that failed, and that could not be undone either."""
    told = getattr(second, "message", None) or str(second) or "interrupted"
    details = {**error.details, "cause": error.code, "second": getattr(second, "code", "")}
    kind = WorkloadFailed if getattr(second, "code", "") in _AWAY else RestoreFailed
    return kind(
        f"{error.message}; and the deploy could not be undone: {told}",
        code="deploy-half-way",
        state="The deploy is not over; its snapshot is whole, what it has done is on record",
        hint=f"Mend that, then {deployment.command} --abort undoes the rest",
        details=details,
    )


def _explained(error: OrchctlError, failed_at: str, now: str) -> OrchctlError:
    details = {**error.details, "cause": error.code, "stage": failed_at}
    if isinstance(error, Interrupted):
        return Interrupted("Interrupted, and the deploy was undone", state=now, details=details)
    if isinstance(error, RestoreFailed) or error.code == "hook-failed":
        error.state = now
        return error
    if failed_at == "starting":
        # What was said of the old container is of a moment that is over.
        of_the_new = (error.state or "").rpartition("The new one: ")[2]
        return WorkloadFailed(
            f"The new image did not come up, and the deploy was undone: {error.message}",
            code="deploy-put-back",
            state=f"{now}. The new one: {of_the_new}" if of_the_new else now,
            hint=error.hint,
            details=details,
        )
    if failed_at == "upgrading":
        return UpgradeRestored(
            f"The upgrade failed, and the deploy was undone: {error.message}",
            code="deploy-upgrade-failed",
            state=now,
            hint=error.hint,
            details=details,
        )
    error.state = now
    return error


def _after_hook(means: Means, deployment: Deployment) -> str:
    try:
        means.run_hook("post-undo", deployment)
    except (WorkloadFailed, Refused) as error:
        return error.message
    return ""


def _told(deployment: Deployment) -> str:
    return f"the database at {','.join(deployment.before) or 'base'}"
