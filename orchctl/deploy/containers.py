"""The containers of a deploy: stopped for sure, replaced, and put back as they were."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from orchctl.deploy import record
from orchctl.deploy.plan import as_held
from orchctl.errors import OrchctlError, WorkloadFailed
from orchctl.workloads.docker.find import ONE_OFF_LABEL, look
from orchctl.workloads.docker.recreate import recreate
from orchctl.workloads.docker.restart import hold, let_go, start, stop
from orchctl.workloads.docker.set_aside import put_back, unfinished
from orchctl.workloads.docker.waiting import wait_until_healthy
from orchctl.workloads.docker.writers import writers_of

if TYPE_CHECKING:
    from orchctl.deploy.means import Means
    from orchctl.deploy.record import Deployment, HeldContainer
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


def stop_all(means: Means, deployment: Deployment) -> None:
    """Stop every container of a deploy, and keep the engine from reviving any.

    All policies first: an engine that is started anew meanwhile would revive the others.

    Raises:
        WorkloadFailed: As `stop` does.
    """
    present = [
        (held, facts)
        for held in deployment.containers
        for facts in _present(means.engine, held.name)
    ]
    for _, facts in present:
        hold(means.engine, facts)
    for held, facts in present:
        if facts.running or facts.state == "restarting":
            means.listener.running(f"Stopping {facts.name}")
            stop(means.engine, facts, grace=deployment.grace)
            means.listener.step(f"Stopped {held.name}")


def with_newcomers(means: Means, deployment: Deployment) -> Deployment:
    """A deploy with what was started on its database since the plan, on record to be stopped.

    One that removes itself when it is stopped is only told of.

    Raises:
        OrchctlError: As Engine does, and writing the record.
    """
    file, listener = deployment.database, means.listener
    known = [one for held in deployment.containers for one in _present(means.engine, held.name)]
    running = {
        one.id: one
        for source in (file, os.path.realpath(file))
        for one in writers_of(means.engine, source, but=[one.id for one in known])
        if ONE_OFF_LABEL not in one.labels
    }
    for one in running.values():
        what = "it removes itself, so it is left alone" if one.removed_at_end else "stopped as well"
        listener.warning(f"{one.name} was started on this database meanwhile; {what}")
    held = [as_held(one, replaced=False) for one in running.values() if not one.removed_at_end]
    if not held:
        return deployment
    return record.advance(deployment, deployment.stage, containers=(*deployment.containers, *held))


def put_into_service(means: Means, deployment: Deployment) -> None:
    """Start the target's containers with the new image, one after the other, each until it is up.

    Raises:
        WorkloadFailed, TimedOut: As `recreate` does.
    """
    for held in deployment.containers:
        if held.replaced:
            _renew(means, deployment, held)


def start_others(means: Means, deployment: Deployment) -> None:
    """Give every container its restart policy again, and start what else ran.

    Raises:
        WorkloadFailed: As Engine does.
    """
    for held in deployment.containers:
        if not held.replaced:
            _start_again(means, held)
            continue
        for facts in _named(means.engine, held.name):
            let_go(means.engine, facts.id, held.policy)


def bring_back(means: Means, deployment: Deployment) -> str | None:
    """Start the old containers again as they were, with the image they had.

    Returns:
        What is not well with them; None when all of them came up.

    Raises:
        WorkloadFailed, Refused: A container could not be put back.
    """
    trouble = None
    for held in deployment.containers:
        if not held.replaced:
            _start_again(means, held)
            continue
        facts = _old(means, deployment, held)
        let_go(means.engine, facts.id, held.policy)
        if not held.ran:
            continue
        try:
            start(means.engine, facts, means.waiting(deployment))
        except OrchctlError as error:
            if error.code in ("engine-away", "engine-permission"):
                raise
            trouble = error.message
        else:
            means.listener.step(f"{held.name} runs again with {held.image}")
    return trouble


def _start_again(means: Means, held: HeldContainer) -> None:
    """One that was only stopped; what somebody removed meanwhile is whoever's that did it."""
    for facts in _named(means.engine, held.name):
        let_go(means.engine, facts.id, held.policy)
        if held.ran and not facts.running:
            means.engine.start(facts.id)
            means.listener.step(f"Started {held.name}")


def _renew(means: Means, deployment: Deployment, held: HeldContainer) -> None:
    """One container with the new image; what an earlier run has done of it is taken up."""
    engine, waiting = means.engine, means.waiting(deployment)
    if left := unfinished(engine, held.name):
        put_back(engine, left, run=False)
    facts = look(engine, held.name)
    if facts.id != held.id and facts.image_id == deployment.image_id:
        engine.start(facts.id)
        wait_until_healthy(
            engine, facts.id, waiting.check, timeout=waiting.timeout, on_wait=waiting.on_wait
        )
        return
    means.listener.running(f"Starting {held.name} with {deployment.image}")
    recreate(
        engine,
        facts,
        waiting,
        image=_reference(engine, deployment),
        grace=deployment.grace,
        accept_loss=True,  # the plan has looked
    )
    means.listener.step(f"{held.name} runs with {deployment.image}")


def _reference(engine: Engine, deployment: Deployment) -> str:
    """The new image by its name, as long as that means the image that was planned."""
    try:
        known = str(engine.image(deployment.image)["Id"])
    except WorkloadFailed as error:
        if error.code != "no-such-image":
            raise
        known = ""
    return deployment.image if known == deployment.image_id else deployment.image_id


def _old(means: Means, deployment: Deployment, held: HeldContainer) -> ContainerFacts:
    """The old container, or one made again of its image; stopped, under its name."""
    engine = means.engine
    if left := unfinished(engine, held.name):
        put_back(engine, left, run=False)
    facts = look(engine, held.name)
    if facts.id == held.id or facts.image_id == held.image_id:
        return facts
    reference = _tag_or_id(engine, held)
    return _made_again(means, deployment, facts, reference)


def _made_again(
    means: Means, deployment: Deployment, facts: ContainerFacts, reference: str
) -> ContainerFacts:
    """A container of another image in place of one, not waited for."""
    waiting = replace(means.waiting(deployment), wait=False)
    done = recreate(
        means.engine,
        facts,
        waiting,
        image=reference,
        grace=deployment.grace,
        accept_loss=True,  # of what the new one wrote outside its mounts
    )
    return done.container


def _tag_or_id(engine: Engine, held: HeldContainer) -> str:
    try:
        known = str(engine.image(held.image)["Id"])
    except WorkloadFailed:
        known = ""
    return held.image if known == held.image_id else held.image_id


def _present(engine: Engine, name: str) -> list[ContainerFacts]:
    """What there is of a container: itself, what was set aside, what stands in its place."""
    if left := unfinished(engine, name):
        return [left.old, *([left.new] if left.new else [])]
    return _named(engine, name)


def _named(engine: Engine, name: str) -> list[ContainerFacts]:
    try:
        return [look(engine, name)]
    except WorkloadFailed as error:
        if error.code == "no-such-container":
            return []
        raise
