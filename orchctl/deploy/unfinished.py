"""A deploy that was killed: found again, whatever stands of it, and brought to an end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.deploy import record
from orchctl.deploy.place import DeployedDatabase, find_deployed
from orchctl.deploy.record import Deployment
from orchctl.deploy.run import (
    RETURN,
    DeployReport,
    came_back,
    carry_on,
    left_unfinished,
    where_it_is,
)
from orchctl.deploy.undo import half_way, undo, undo_to_the_end
from orchctl.errors import Interrupted, OrchctlError, Refused, UsageError, WorkloadFailed
from orchctl.workloads.docker.find import SET_ASIDE, find, look
from orchctl.workloads.target import ComposeService, LabelledContainers, NamedContainer

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.deploy.means import Means
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"


def find_place(settings: Settings, engine: Engine, target: Target) -> DeployedDatabase:
    """The database of a target, also when a killed deploy left only what it had set aside.

    Raises:
        WorkloadFailed: `no-such-container`; as Engine does.
        Refused, ConfigurationError: As `find_deployed` says.
    """
    try:
        found = find(engine, target)
    except WorkloadFailed as error:
        if error.code != "no-such-container":
            raise
        found = _set_aside(engine, target)
        if not found:
            raise
    return find_deployed(settings, engine, found)


def running_deploy(database: Path) -> Deployment | None:
    """The deploy of a database that was begun and is not over; None when there is none."""
    return record.read_records(database).running


def require_running(database: Path) -> Deployment:
    """The deploy that is not over.

    Raises:
        Refused: `no-deploy`: there is none.
    """
    found = running_deploy(database)
    if found is None:
        raise Refused(
            f"No deploy of {database} is unfinished",
            code="no-deploy",
            state="Nothing was changed",
            hint="orchctl deploy begins one; orchctl rollback --image takes back the last",
        )
    return found


def resume(means: Means, deployment: Deployment) -> DeployReport:
    """Finish a deploy that was killed; the lock is held.

    Raises:
        Refused: `being-undone`: it had failed, and was being undone.
        OrchctlError: As `deploy` does.
    """
    if deployment.stage == "undoing":
        raise Refused(
            f"{deployment.told} had failed and was being undone: {_why(deployment)}",
            code="being-undone",
            state="Nothing was changed",
            hint=f"{deployment.command} --abort undoes the rest of it",
        )
    means.listener.step(f"Taking up {deployment.told}")
    return carry_on(means, where_it_is(deployment))


def abort(means: Means, deployment: Deployment) -> str:
    """Undo a deploy that was killed; the lock is held. What is where now, one sentence.

    Raises:
        UsageError: `deploy-in-service`: its image serves already.
        Interrupted: It is undone all the same.
        RestoreFailed, WorkloadFailed: It can't be undone; says what to type.
    """
    if deployment.stage == "healthy":
        raise UsageError(
            f"{deployment.image} is in service already: there is only something left to tidy up",
            code="deploy-in-service",
            hint=f"{deployment.command} --resume does that; orchctl rollback --image --target "
            f"{deployment.target} takes it back",
        )
    means.listener.step(f"Undoing {deployment.told}")
    if deployment.stage != "undoing":
        failure = {"exit": 130, "code": "aborted", "message": "It was killed"}
        deployment = record.advance(deployment, "undoing", failure=failure)
    try:
        return undo_to_the_end(means, deployment)
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise half_way(WorkloadFailed(_why(deployment)), error, deployment) from error
    except OrchctlError as error:
        if error.code == "engine-away":
            if came_back(means, error, time.monotonic() + RETURN):
                return undo(means, deployment)
            raise left_unfinished(error, deployment) from error
        raise half_way(WorkloadFailed(_why(deployment)), error, deployment) from error


def _why(deployment: Deployment) -> str:
    return str((deployment.failure or {}).get("message", "it was killed"))


def _set_aside(engine: Engine, target: Target) -> tuple[ContainerFacts, ...]:
    match target:
        case NamedContainer(name):
            try:
                return (look(engine, name + SET_ASIDE),)
            except WorkloadFailed as error:
                if error.code != "no-such-container":
                    raise
                return ()
        case ComposeService(project, service):
            labels = [f"{_PROJECT}={project}", f"{_SERVICE}={service}"]
        case LabelledContainers(key, value):
            labels = [key if value is None else f"{key}={value}"]
        case _:
            return ()
    listed = engine.containers({"label": labels})
    return tuple(
        look(engine, one["Id"])
        for one in listed
        if any(name.endswith(SET_ASIDE) for name in one.get("Names") or ())
    )
