"""What others would do to a container while it is being deployed, or after that was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchctl.deploy.lock import deployer
from orchctl.deploy.record import read_records
from orchctl.errors import LockHeld, Refused
from orchctl.workloads.docker.database import reachable_database
from orchctl.workloads.docker.find import SET_ASIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchctl.deploy.record import Deployment
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


def unfinished_deploy(engine: Engine, facts: ContainerFacts) -> Deployment | None:
    """The deploy of a container that is at work, or was killed; None where that can't be seen.

    Raises:
        WorkloadFailed: As Engine does.
    """
    file = reachable_database(engine, facts)
    try:
        found = read_records(file).running if file is not None else None
    except Refused:  # another user's, or damaged: the next deploy tells
        return None
    name = facts.name.removesuffix(SET_ASIDE)
    return found if found and any(one.name == name for one in found.containers) else None


def require_no_deploy(engine: Engine, containers: Iterable[ContainerFacts]) -> None:
    """See that no deploy of these containers is at work, or half-way.

    Started now, the old image would meet a database that is being upgraded, or that is already.

    Raises:
        LockHeld: `deploy-running`.
        Refused: `deploy-unfinished`.
        WorkloadFailed: As Engine does.
    """
    for facts in containers:
        found = unfinished_deploy(engine, facts)
        if found is None:
            continue
        file = reachable_database(engine, facts)
        if file is not None and (who := deployer(file)) is not None:
            raise LockHeld(
                f"{facts.name} is being deployed: {who}",
                code="deploy-running",
                state="Nothing was changed",
                hint=f"orchctl deploy lock status {found.target} shows it; wait for its end",
            )
        raise Refused(
            f"A deploy is not over: {found.told}",
            code="deploy-unfinished",
            state="Nothing was changed",
            hint=f"{found.command} --abort undoes it, --resume finishes it",
        )
