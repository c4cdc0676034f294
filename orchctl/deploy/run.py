"""Carrying out a deploy, step by step; whatever fails, all that was done is undone.

Every step can be done again: a deploy that was killed is taken up where its record says.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.deploy import containers, record
from orchctl.deploy.chain import rehearse_here
from orchctl.deploy.database import (
    heads_now,
    require_room,
    take_snapshot,
    upgrade_here,
    write_journal,
)
from orchctl.deploy.images import keep_previous
from orchctl.deploy.record import Deployment
from orchctl.deploy.undo import undo_after
from orchctl.errors import Interrupted, OrchctlError, WorkloadFailed

if TYPE_CHECKING:
    from orchctl.deploy.means import Means
    from orchctl.deploy.plan import DeployPlan

RETURN = 20.0  # seconds that an engine has to come back
_PAUSE = 0.5
_AWAY = ("engine-away", "engine-permission")


@dataclass(frozen=True)
class DeployReport:
    """What a deploy did.

    Attributes:
        deployment: The deploy, as it was written down last.
        stopped: Seconds from the stop until the new containers were up.
        seconds: The whole.
        trouble: What did not go well afterwards, though the deploy stands; None when all did.
    """

    deployment: Deployment
    stopped: float
    seconds: float
    trouble: OrchctlError | None = None


def begun(plan: DeployPlan, means: Means, *, timeout: float, grace: float | None) -> Deployment:
    """The deploy that a plan describes, at its first step; nothing is written yet."""
    return Deployment(
        id=datetime.now(UTC).strftime("%Y%m%dT%H%M%S-%fZ"),
        target=plan.target,
        database=str(plan.database),
        version_table=plan.version_table,
        before=plan.before,
        revision=plan.revision,
        image=plan.image,
        image_id=plan.image_id,
        containers=plan.containers,
        chain=plan.chain,
        health=means.check.url if means.check else None,
        timeout=timeout,
        grace=grace,
    )


def deploy(means: Means, deployment: Deployment) -> DeployReport:
    """Carry out a deploy from its beginning; the lock is held.

    Raises:
        Refused, UpgradeFailed: Nothing was changed.
        UpgradeRestored: The upgrade failed; database and containers are as before.
        WorkloadFailed: The new image did not come up; database and containers are as before. Or
            the engine went away; the record says where that was.
        RestoreFailed: It could not be undone; says what to type.
    """
    began = time.monotonic()
    means.run_hook("pre-deploy", deployment)
    if means.settings.rehearse:
        if deployment.chain == "here":
            rehearse_here(means.settings, deployment.revision, means.listener)
        else:
            from orchctl.deploy.inside import rehearse_inside

            rehearse_inside(means, deployment)
    require_room(means.settings, deployment)
    for held in deployment.containers:
        if held.replaced:
            keep_previous(means.engine, held.name, held.image_id)
    report = carry_on(means, record.begin(deployment))
    return replace(report, seconds=time.monotonic() - began)


def carry_on(means: Means, deployment: Deployment) -> DeployReport:
    """Carry out what is left of a deploy; raises as `deploy`."""
    began = time.monotonic()
    until: float | None = None
    while True:
        try:
            stopped = time.monotonic()
            deployment, trouble = _forward(means, deployment)
            stopped = time.monotonic() - stopped
            break
        except OrchctlError as error:
            if error.code not in _AWAY:
                raise undo_after(error, means, deployment) from error
            # One that is on its way down may answer again and again before it is gone.
            until = until or time.monotonic() + RETURN
            if not came_back(means, error, until):
                raise left_unfinished(error, deployment) from error
            means.listener.warning("The engine was away; taking up where that was")
            deployment = where_it_is(deployment)
        except KeyboardInterrupt as error:
            raise undo_after(Interrupted("Interrupted"), means, deployment) from error
    try:
        trouble = _finish(means, deployment) or trouble
    except OrchctlError as error:
        error.state = f"{deployment.image} is in service; the rest of the deploy is not done"
        error.hint = f"{error.hint or ''}. {deployment.command} --resume does the rest".lstrip(". ")
        raise
    return DeployReport(deployment, stopped, time.monotonic() - began, trouble)


def where_it_is(deployment: Deployment) -> Deployment:
    """A deploy as its record says, at the step from which it can be taken up.

    Where the upgrade was not committed, others may have written since the snapshot (somebody
    started a container by hand): everything is stopped and a new one taken.
    """
    found = record.read_records(Path(deployment.database)).running or deployment
    if found.stage == "upgrading" and heads_now(found) == found.before:
        return record.advance(found, "stopping")
    return found


def came_back(means: Means, error: OrchctlError, until: float) -> bool:
    """Wait for an engine that went away; whether it is there again.

    One that takes connections and says nothing is not being started anew: it hangs.

    Args:
        means: What the deploy works with.
        error: By which it showed that the engine is away.
        until: How long to wait at most, of the monotonic clock.
    """
    if error.code != "engine-away" or "no answer within" in error.message:
        return False
    means.listener.running("The engine went away; waiting for it to come back")
    while time.monotonic() < until:
        time.sleep(_PAUSE)
        try:
            means.engine.machine()
        except WorkloadFailed:
            continue
        return True
    return False


def left_unfinished(error: OrchctlError, deployment: Deployment) -> OrchctlError:
    """The error of an engine that is gone, with what stands where."""
    found = record.read_records(Path(deployment.database)).running or deployment
    error.state = f"The deploy is not over: {found.told}"
    error.hint = (
        f"{error.hint}. Then {found.command} --resume goes on, {found.command} --abort undoes it"
    )
    error.details = {**error.details, "stage": found.stage, "deploy": found.id}
    return error


def _forward(means: Means, deployment: Deployment) -> tuple[Deployment, OrchctlError | None]:
    """Everything up to the moment when the new image serves; what went wrong beside it."""
    trouble = None
    if deployment.stage == "stopping":
        deployment = _stopped(means, deployment)
        snapshot = take_snapshot(means, deployment)
        deployment = record.advance(deployment, "upgrading", snapshot=snapshot.id)
    if deployment.stage == "upgrading":
        containers.stop_all(means, deployment)
        means.run_hook("pre-upgrade", deployment)
        deployment = _stopped(means, deployment)
        _upgrade(means, deployment)
        deployment = record.advance(deployment, "starting", after=heads_now(deployment))
        trouble = _after(means, deployment, "post-upgrade")
    if deployment.stage == "starting":
        containers.put_into_service(means, deployment)
        deployment = record.advance(deployment, "healthy")
    return deployment, trouble


def _stopped(means: Means, deployment: Deployment) -> Deployment:
    """The deploy, everything on its database stopped, what was started since the plan too."""
    deployment = containers.with_newcomers(means, deployment)
    containers.stop_all(means, deployment)
    return deployment


def _upgrade(means: Means, deployment: Deployment) -> None:
    if deployment.chain == "here":
        upgrade_here(means, deployment)
        return
    from orchctl.deploy.inside import upgrade_inside

    upgrade_inside(means, deployment)


def _finish(means: Means, deployment: Deployment) -> OrchctlError | None:
    """What is done once the new image serves; from here on nothing is undone."""
    containers.start_others(means, deployment)
    write_journal(means.settings, deployment)
    ended = replace(deployment, ended=datetime.now(UTC).isoformat(timespec="seconds"))
    record.end(ended, went_through=True)
    return _after(means, deployment, "post-deploy")


def _after(means: Means, deployment: Deployment, moment: str) -> OrchctlError | None:
    try:
        means.run_hook(moment, deployment)
    except WorkloadFailed as error:
        means.listener.warning(error.message)
        return error
    return None
