"""A container that was set aside for a new one, and what became of the two. See `recreate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import WorkloadFailed
from orchctl.workloads.docker.find import SET_ASIDE, look
from orchctl.workloads.docker.restart import let_go

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


@dataclass(frozen=True)
class Unfinished:
    """A replacement that was begun and never brought to an end.

    Attributes:
        name: The container's name.
        old: What was set aside.
        new: What stands in its place; None when there is nothing yet.
    """

    name: str
    old: ContainerFacts
    new: ContainerFacts | None


def unfinished(engine: Engine, name: str) -> Unfinished | None:
    """The replacement of a container of that name that was never brought to an end, if any."""
    name = name.removesuffix(SET_ASIDE)
    try:
        old = look(engine, name + SET_ASIDE)
    except WorkloadFailed as error:
        if error.code == "no-such-container":
            return None
        raise
    try:
        return Unfinished(name, old, look(engine, name))
    except WorkloadFailed as error:
        if error.code == "no-such-container":
            return Unfinished(name, old, None)
        raise


def is_replacement(left: Unfinished) -> bool:
    """Whether what stands in its place has the same files: only then was it made of the old one."""
    if left.new is None:
        return False
    old, new = ({(one.source, one.target) for one in c.mounts} for c in (left.old, left.new))
    return old == new


def finish(engine: Engine, left: Unfinished) -> None:
    """Keep the new container and remove the old one."""
    engine.remove(left.old.id)


def put_back(engine: Engine, left: Unfinished, *, run: bool = True) -> None:
    """Remove the new container, if there is one, and give the old one its name again.

    Args:
        engine: The engine.
        left: What was found.
        run: Whether to start the old one.
    """
    if left.new is not None:
        # First the policy, which from now on only the old one knows.
        let_go(engine, left.old.id, left.new.restart_policy)
        engine.remove(left.new.id, force=True)
    engine.rename(left.old.id, left.name)
    if run:
        engine.start(left.old.id)
