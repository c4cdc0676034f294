"""Stopping, starting and restarting a container as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError, Refused, WorkloadFailed
from orchctl.workloads.docker.engine import has_closed
from orchctl.workloads.docker.find import look
from orchctl.workloads.docker.listening import Check, watching
from orchctl.workloads.docker.waiting import Up, after_return, wait_until_healthy

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

DEFAULT_GRACE = 10.0  # seconds: the engine's own
_KILLED = 137  # the exit code of what ends by SIGKILL


def _silent(text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Waiting:
    """What a start is followed by.

    Attributes:
        wait: Whether to wait until it is up at all.
        timeout: Seconds for that.
        check: A URL that must answer, too.
        on_wait: Called with what is waited for, whenever that changes.
    """

    wait: bool = True
    timeout: float = 60.0
    check: Check | None = None
    on_wait: Callable[[str], None] = field(default=_silent, repr=False)


@dataclass(frozen=True)
class Restarted:
    """A restart that went well.

    Attributes:
        container: How it is now.
        up: What was waited for; None when nothing was.
        killed: Whether it did not end within its grace, and was killed.
        seconds: How long everything took.
    """

    container: ContainerFacts
    up: Up | None
    killed: bool
    seconds: float


def grace_of(facts: ContainerFacts, grace: float | None) -> float:
    """The seconds a container gets to end: those asked for, its own, or the engine's ten."""
    if grace is not None:
        return grace
    return DEFAULT_GRACE if facts.stop_timeout is None else float(facts.stop_timeout)


def restart(
    engine: Engine, facts: ContainerFacts, waiting: Waiting, *, grace: float | None = None
) -> Restarted:
    """Stop a container with grace, start it again, and wait until it is up.

    Stop and start are one call, which the engine finishes also when we are killed. A restart policy
    can't revive it in between, and is as it was afterwards.

    Args:
        engine: The engine.
        facts: The container.
        waiting: What to wait for.
        grace: Seconds until SIGKILL; None takes the container's own.

    Raises:
        WorkloadFailed: As `wait_until_healthy` and Engine do; `container-paused`.
        TimedOut: As `wait_until_healthy` does.
    """
    began = time.monotonic()
    require_awake(facts)
    allowed = grace_of(facts, grace)
    if not waiting.wait:
        with state_told(engine, facts):
            engine.restart(facts.id, allowed)
        return Restarted(look(engine, facts.id), None, False, time.monotonic() - began)
    with watching(engine, facts.id) as watch:
        with state_told(engine, facts):
            _stop_and_start(engine, facts, allowed, waiting.timeout)
        killed = watch.exit_codes[:1] == [_KILLED]
        up = wait_until_healthy(
            engine,
            facts.id,
            waiting.check,
            timeout=waiting.timeout,
            watch=watch,
            on_wait=waiting.on_wait,
        )
    return Restarted(up.container, up, killed, time.monotonic() - began)


def _stop_and_start(engine: Engine, facts: ContainerFacts, grace: float, timeout: float) -> None:
    """Restart it; an engine that goes away meanwhile may have done it all the same."""
    try:
        engine.restart(facts.id, grace)
    except WorkloadFailed as error:
        if not has_closed(error):
            raise
        after = after_return(engine, facts.id, timeout)
        if after.started_at == facts.started_at:
            error.state = f"{facts.name} is {after.state}; it was not restarted"
            raise


def stop(engine: Engine, facts: ContainerFacts, *, grace: float | None = None) -> ContainerFacts:
    """Stop a container; what it is afterwards.

    The engine's restart policy does not revive it until the engine itself is started anew: whoever
    needs it down for longer holds the policy off with `hold`.

    Raises:
        Refused: `removed-at-end`: it would be removed, being started with --rm.
        WorkloadFailed: As Engine does; `still-running`.
    """
    require_lasting(facts)
    allowed = grace_of(facts, grace)
    with state_told(engine, facts):
        try:
            engine.stop(facts.id, allowed)
        except KeyboardInterrupt:
            # The engine goes on with it. Whoever starts it again now would find that it runs, and
            # leave it to end a moment later.
            engine.stop(facts.id, allowed)
            raise
    after = look(engine, facts.id)
    if after.running or after.state == "restarting":
        raise WorkloadFailed(
            f"{facts.name} was stopped, and runs again: somebody else starts it",
            code="still-running",
            hint="Stop what supervises it (systemd, a cron job, an autohealer) first",
        )
    return after


def require_lasting(facts: ContainerFacts) -> None:
    """See that a container is there still when it is stopped.

    Raises:
        Refused: `removed-at-end`: it would be removed, being started with --rm.
    """
    if facts.removed_at_end:
        raise Refused(
            f"{facts.name} was started with --rm: stopping it removes it and its own volumes",
            code="removed-at-end",
            state="Nothing was changed",
            hint="Start it without --rm",
        )


def require_awake(facts: ContainerFacts) -> None:
    """See that a container can hear that it should end.

    Raises:
        WorkloadFailed: `container-paused`.
    """
    if facts.state == "paused":
        raise WorkloadFailed(
            f"{facts.name} is paused, so it would not hear that it should end",
            code="container-paused",
            state="Nothing was changed",
            hint=f"docker unpause {facts.name}, then again",
        )


def start(engine: Engine, facts: ContainerFacts, waiting: Waiting) -> Restarted:
    """Start a container and wait until it is up; raises as `restart` does."""
    began = time.monotonic()
    if not waiting.wait:
        with state_told(engine, facts):
            engine.start(facts.id)
        return Restarted(look(engine, facts.id), None, False, time.monotonic() - began)
    with watching(engine, facts.id) as watch:
        with state_told(engine, facts):
            engine.start(facts.id)
        up = wait_until_healthy(
            engine,
            facts.id,
            waiting.check,
            timeout=waiting.timeout,
            watch=watch,
            on_wait=waiting.on_wait,
        )
    return Restarted(up.container, up, False, time.monotonic() - began)


def hold(engine: Engine, facts: ContainerFacts) -> str:
    """Keep the engine from reviving a container, also when the engine is started anew.

    Returns:
        Its restart policy until now, for `let_go`; whoever holds it must write that down first
        where the next run finds it.
    """
    if facts.revived:
        engine.set_restart_policy(facts.id, "no")
    return facts.restart_policy


def let_go(engine: Engine, container: str, policy: str) -> None:
    """Put back the restart policy that `hold` returned."""
    if policy != "no":
        engine.set_restart_policy(container, policy)


@contextmanager
def state_told(engine: Engine, facts: ContainerFacts) -> Iterator[None]:
    """Say in every error of the block how the container is now."""
    try:
        yield
    except OrchctlError as error:
        if error.state is None:
            try:
                error.state = f"{facts.name} is {look(engine, facts.id).state} now"
            except OrchctlError:
                error.state = f"Whether {facts.name} runs is not known"
        raise
