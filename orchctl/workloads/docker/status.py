"""How a container is, all that one screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchctl.errors import WorkloadFailed
from orchctl.workloads.docker.database import HeldDatabase, find_database
from orchctl.workloads.docker.find import find
from orchctl.workloads.docker.set_aside import Unfinished, unfinished
from orchctl.workloads.docker.stoppage import Stoppage, stoppages
from orchctl.workloads.docker.writers import writers_of

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target


@dataclass(frozen=True)
class ContainerStatus:
    """One container.

    Attributes:
        facts: What its engine says of it.
        digests: Of its image in registries: `name@sha256:…`; none for one that was only built.
        up_for: Seconds since it was started; None when it doesn't run.
        database: The database its variables name; None when they name none.
        writers: Names of others that run and may write to that database.
        unfinished: A replacement of it that was killed half-way.
        stoppage: The upgrade that it is stopped for, at work or killed.
    """

    facts: ContainerFacts
    digests: tuple[str, ...]
    up_for: float | None
    database: HeldDatabase | None
    writers: tuple[str, ...]
    unfinished: Unfinished | None
    stoppage: Stoppage | None

    @property
    def good(self) -> bool:
        """Whether it runs and its own check, if it has one, does not say otherwise."""
        return self.facts.state == "running" and self.facts.health != "unhealthy"


def read_statuses(engine: Engine, target: Target) -> tuple[ContainerStatus, ...]:
    """The status of every container of a target; raises as `find` does."""
    found = find(engine, target)
    stopped = stoppages(engine)
    return tuple(_status(engine, facts, stopped) for facts in found)


def _status(
    engine: Engine, facts: ContainerFacts, stopped: tuple[Stoppage, ...]
) -> ContainerStatus:
    database = find_database(engine, facts)
    writers: tuple[str, ...] = ()
    if database is not None and database.mount is not None:
        outside = database.mount.outside(database.inside)
        others = writers_of(engine, str(outside), but=[facts.id]) if outside else ()
        writers = tuple(one.name for one in others)
    return ContainerStatus(
        facts,
        _digests(engine, facts.image_id),
        _up_for(facts),
        database,
        writers,
        unfinished(engine, facts.name),
        next((one for one in stopped if one.concerns(facts.name)), None),
    )


def _digests(engine: Engine, image: str) -> tuple[str, ...]:
    try:
        return tuple(engine.image(image).get("RepoDigests") or ())
    except WorkloadFailed as error:
        if error.code in ("no-such-image", "engine-refused"):
            return ()
        raise


def _up_for(facts: ContainerFacts) -> float | None:
    if not facts.running or not facts.started_at:
        return None
    # The engine gives nanoseconds; Python reads microseconds.
    text = facts.started_at.rstrip("Z")
    began = datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - began).total_seconds())
