"""Containers that live in another's network: its id is written into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.errors import Refused
from orchctl.workloads.docker.find import all_containers

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


def require_no_guests(engine: Engine, facts: ContainerFacts) -> None:
    """See that nothing lives in the network (IPC, processes) of a container that is replaced.

    An engine writes the id of the old one into such a container, which can't be changed: it would
    be cut off at once, and could never be started again.

    Raises:
        Refused: `network-shared`.
        WorkloadFailed: As Engine does.
    """
    guests = [
        one.name
        for one in all_containers(engine)
        if facts.id in one.guest_of and (one.running or one.revived)
    ]
    if guests:
        names = " ".join(guests)
        raise Refused(
            f"{', '.join(guests)} shares the network of {facts.name}: with a new container in its "
            "place it could not be started again",
            code="network-shared",
            state="Nothing was changed",
            hint=f"docker rm --force {names} (volumes stay), then again; afterwards make it anew, "
            "with Compose: docker compose up --detach",
        )
