"""Containers stopped while a one-off works on what they share: on record before it is done.

The record is the one-off itself: it is created before anything is stopped, with labels that say
what will be, and removed after all of that runs again. So it is where the containers are, whoever
comes next and from wherever, and what stands of the work is what the engine says of it:

    created                 the work has not begun; some may be stopped
    running                 it is at work, with or without whoever began it
    exited                  it is over; some may be stopped still
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from orchctl.errors import LockHeld, Refused, WorkloadFailed
from orchctl.workloads.docker.attached import Attached
from orchctl.workloads.docker.ending import is_being_stopped
from orchctl.workloads.docker.engine import has_closed
from orchctl.workloads.docker.find import ONE_OFF_LABEL, STOPPED_LABEL, look
from orchctl.workloads.docker.restart import hold, let_go, stop
from orchctl.workloads.docker.waiting import RETURN
from orchctl.workloads.docker.worker import Worker, is_alive, this_one

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts

Done = TypeVar("Done")
_BY = f"{ONE_OFF_LABEL}.by"
_PAUSE = 0.5


@dataclass(frozen=True)
class Stopped:
    """A container that is stopped meanwhile, as it was before: its restart policy, its id."""

    name: str
    id: str
    policy: str


@dataclass(frozen=True)
class Stoppage:
    """One stoppage.

    Attributes:
        one_off: Id of the one-off container.
        name: Its name.
        service: Whose mounts it has.
        stopped: What is stopped.
        by: Who began it.
        state: Of the one-off.
        exit_code: Of the one-off, once it has ended.
    """

    one_off: str
    name: str
    service: str
    stopped: tuple[Stopped, ...]
    by: Worker
    state: str
    exit_code: int

    @property
    def names(self) -> str:
        """What is stopped, in one text."""
        return ", ".join(one.name for one in self.stopped) or "nothing"

    @property
    def afterwards(self) -> str:
        """How things are once it is over."""
        return f"{self.names} runs again as before" if self.stopped else "nothing had to be stopped"

    def concerns(self, name: str) -> bool:
        """Whether it is about a container of that name."""
        return name == self.service or any(one.name == name for one in self.stopped)

    @property
    def told(self) -> str:
        """How far it came, one sentence without a period."""
        if self.state == "created":
            how = "had not begun"
        elif self.state == "exited":
            how = f"ended with exit code {self.exit_code}"
        else:
            how = f"is at work still, in {self.name}"
        return f"The upgrade of {self.service} by {self.by} {how}"


def labels_of(users: Sequence[ContainerFacts]) -> dict[str, str]:
    """The labels that make a one-off the record of what is stopped for it, by this process."""
    stopped = [asdict(Stopped(one.name, one.id, one.restart_policy)) for one in users]
    return {STOPPED_LABEL: json.dumps(stopped), _BY: json.dumps(asdict(this_one()))}


def stoppages(engine: Engine) -> tuple[Stoppage, ...]:
    """Every stoppage on record: those at work, and those of an orchctl that was killed.

    Raises:
        Refused: `one-off-record`: a record can't be read.
        WorkloadFailed: As Engine does.
    """
    listed = engine.containers({"label": [STOPPED_LABEL]})
    found = []
    for one in listed:
        try:
            found.append(stoppage_from(look(engine, one["Id"])))
        except WorkloadFailed as error:
            if error.code != "no-such-container":  # it came to its end just now
                raise
    return tuple(found)


def stoppage_from(facts: ContainerFacts) -> Stoppage:
    """What the labels of a one-off say; raises Refused as `stoppages`."""
    labels: Mapping[str, str] = facts.labels
    try:
        stopped = tuple(Stopped(**one) for one in json.loads(labels[STOPPED_LABEL]))
        by = Worker(**json.loads(labels[_BY]))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"The labels of {facts.name} can't be read: {error}",
            code="one-off-record",
            state="Nothing was changed",
            hint=f"Start by hand what is stopped; docker rm {facts.name} forgets the record",
        ) from error
    return Stoppage(
        facts.id,
        facts.name,
        labels.get(ONE_OFF_LABEL, ""),
        stopped,
        by,
        facts.state,
        facts.exit_code,
    )


def stoppage_of(engine: Engine, names: Sequence[str]) -> Stoppage | None:
    """The stoppage that one of these containers is, or may be, stopped for; raises as above."""
    found = stoppages(engine)
    return next((one for one in found if any(one.concerns(name) for name in names)), None)


def require_over(stoppage: Stoppage, *, local: bool, take_over: bool = False) -> None:
    """See that whoever began it is at it no more.

    Args:
        stoppage: What was found.
        local: Whether the engine is on this machine.
        take_over: Believe that, where it can't be seen from here.

    Raises:
        LockHeld: `upgrade-running`.
    """
    alive = is_alive(stoppage.by)
    if alive is False or (alive is None and take_over):
        return
    why = "" if alive else ", or was killed: that can't be seen from here"
    end = f"kill {stoppage.by.pid} stops it; " if alive and local else ""
    take = f"; --take-over, if {stoppage.by} is no more" if alive is None else ""
    raise LockHeld(
        f"An upgrade of {stoppage.service} is at work ({stoppage.by}){why}",
        code="upgrade-running",
        state="Nothing was changed",
        hint=f"{end}docker logs -f {stoppage.name} shows what it does{take}",
    )


def stop_users(
    engine: Engine, stoppage: Stoppage, grace: float | None, tell: Callable[[str], None]
) -> None:
    """Stop all, and keep the engine from reviving any; can be done again.

    Raises:
        Refused, WorkloadFailed: As `stop` does.
    """
    # All policies first: an engine that is started anew meanwhile would revive the others.
    found = [look(engine, one.id) for one in stoppage.stopped]
    for facts in found:
        hold(engine, facts)
    for facts in found:
        if facts.running or facts.state == "restarting":
            tell(f"Stopping {facts.name}")
            stop(engine, facts, grace=grace)


def start_users(engine: Engine, stoppage: Stoppage, tell: Callable[[str], None]) -> None:
    """Start all again, with the restart policy that they had; can be done again.

    What was removed since, or made again, is whoever's that did it.

    Raises:
        WorkloadFailed: As Engine does.
    """
    for one in stoppage.stopped:
        try:
            facts = look(engine, one.id)
            let_go(engine, one.id, one.policy)
            if facts.running and is_being_stopped(engine, facts):
                facts = stop(engine, facts)  # it would end once it was "started"
            if not facts.running:
                tell(f"Starting {one.name}")
                engine.start(one.id)
        except WorkloadFailed as error:
            if error.code != "no-such-container":
                raise
            tell(f"{one.name} is gone: somebody else removed it")


def forget(engine: Engine, stoppage: Stoppage) -> None:
    """Remove the record, all being as it was; raises as Engine does."""
    try:
        engine.remove(stoppage.one_off, force=True)
    except WorkloadFailed as error:
        if error.code != "no-such-container":
            raise


def bring_to_an_end(engine: Engine, stoppage: Stoppage, tell: Callable[[str], None]) -> str:
    """End what a killed orchctl has begun: its work is waited for, what it stopped runs again.

    Args:
        engine: The engine.
        stoppage: What was found, and is over (`require_over`).
        tell: Called with what is done, and with what the one-off prints.

    Returns:
        What was done, one sentence.

    Raises:
        WorkloadFailed: As Engine does.
    """
    told = stoppage.told
    if stoppage.state not in ("created", "exited", "dead"):
        tell(f"{told}; waiting for its end")
        ran = Attached(engine, stoppage.one_off, tell, begun=True).until_end()
        told = f"The upgrade of {stoppage.service} by {stoppage.by} ended with exit code "
        told += str(ran.exit_code)
    start_users(engine, stoppage, tell)
    forget(engine, stoppage)
    return f"{told}; {stoppage.afterwards}"


def settle(
    engine: Engine,
    names: Sequence[str],
    tell: Callable[[str], None],
    *,
    take_over: bool = False,
) -> str | None:
    """Bring to an end what an orchctl that was killed has stopped.

    Args:
        engine: The engine.
        names: Of the containers that matter.
        tell: Called with what is done.
        take_over: Also where it can't be seen whether it was killed.

    Returns:
        What was done, one sentence; None when there was nothing.

    Raises:
        LockHeld: `upgrade-running`: it was not killed.
        WorkloadFailed, Refused: As `bring_to_an_end` and `stoppages` do.
    """
    left = stoppage_of(engine, names)
    if left is None:
        return None
    require_over(left, local=engine.address.local, take_over=take_over)
    return bring_to_an_end(engine, left, tell)


def across_restart(action: Callable[[], Done], tell: Callable[[str], None]) -> Done:
    """Do what can be done again, also when the engine is started anew in the middle.

    Args:
        action: What to do.
        tell: Called when the engine is waited for.

    Raises:
        WorkloadFailed: `engine-away`: it stands still, or is not back in time; as `action` does.
    """
    until: float | None = None
    while True:
        try:
            return action()
        except WorkloadFailed as error:
            if not has_closed(error):
                raise
            if until is None:
                until = time.monotonic() + RETURN
                tell("The engine went away; waiting for it to come back")
            elif time.monotonic() > until:
                raise
        time.sleep(_PAUSE)
