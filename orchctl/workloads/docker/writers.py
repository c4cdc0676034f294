"""Who else has the same files mounted: containers on one volume or folder, whatever their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchctl.workloads.docker.find import all_containers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts, Mount


@dataclass(frozen=True)
class Sharer:
    """A container that has something in common with what was asked about.

    Attributes:
        container: The container.
        mount: The mount by which it reaches it.
        writable: Whether it may write there.
    """

    container: ContainerFacts
    mount: Mount
    writable: bool


def sharers_of(
    engine: Engine, source: str, *, ended: bool = True, but: Iterable[str] = ()
) -> tuple[Sharer, ...]:
    """The containers that can reach a file or folder of the engine's machine.

    A volume counts like the folder it is stored in, so that one container may have it as a volume
    and another as a bind; folders count when one lies in the other.

    Args:
        engine: The engine.
        source: A volume's name, or an absolute path on the engine's machine.
        ended: Also those that don't run: their restart policy, or Compose, may start them.
        but: Ids of containers that are left out.
    """
    left_out = set(but)
    containers = [one for one in all_containers(engine, ended=ended) if one.id not in left_out]
    found = ((one, _reaching(one, source)) for one in containers)
    return tuple(Sharer(one, mount, mount.writable) for one, mount in found if mount)


def writers_of(
    engine: Engine, source: str, *, but: Iterable[str] = ()
) -> tuple[ContainerFacts, ...]:
    """The containers that run, or that the engine may revive, and may write to a file or folder.

    Args:
        engine: The engine.
        source: A volume's name, or an absolute path on the engine's machine.
        but: Ids of containers that are left out.
    """
    found = sharers_of(engine, source, but=but)
    return tuple(
        one.container
        for one in found
        if one.writable and (one.container.running or one.container.state == "restarting")
    )


def _reaching(container: ContainerFacts, source: str) -> Mount | None:
    """The mount by which a container reaches a source; one it may write to before others."""
    reaching = [one for one in container.mounts if _overlap(one, source)]
    return max(reaching, key=lambda one: one.writable, default=None)


def _overlap(mount: Mount, source: str) -> bool:
    if not source or not mount.source:
        return False
    if not source.startswith("/"):
        return mount.name == source
    ours, theirs = PurePosixPath(source), PurePosixPath(mount.source)
    return ours == theirs or ours in theirs.parents or theirs in ours.parents
