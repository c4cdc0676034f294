"""The plan of a deploy: data that `--dry-run` shows and the run carries out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchctl.config import Origin
from orchctl.database.inspect import inspect
from orchctl.deploy.chain import pending_here, require_sound_chain
from orchctl.deploy.images import require_image
from orchctl.deploy.place import DeployedDatabase, find_deployed
from orchctl.deploy.record import HeldContainer
from orchctl.errors import Refused
from orchctl.workloads.docker.database import unmounted_databases
from orchctl.workloads.docker.find import SET_ASIDE, find
from orchctl.workloads.docker.guests import require_no_guests
from orchctl.workloads.docker.restart import require_awake, require_lasting
from orchctl.workloads.docker.writers import sharers_of

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.upgrade.plan import UpgradePlan
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts
    from orchctl.workloads.target import Target


@dataclass(frozen=True)
class DeployPlan:
    """What a deploy will do.

    Attributes:
        target: As it was typed.
        database: The SQLite file, on this machine.
        inside: Where the container has it.
        version_table: Alembic's table in it.
        before: The heads it is at.
        revision: Where to, in Alembic's notation.
        pending: The revisions that will run, with their messages; None where only the new image
            knows them.
        chain: `here` or `image`: whose revision files count.
        image: The new image as it was named.
        image_id: The image itself.
        containers: What will be stopped, those that get the new image first.
        snapshot_directory: Where the snapshot goes.
        nothing_to_do: Whether image and revision are there already, and run.
    """

    target: str
    database: Path
    inside: str
    version_table: str
    before: tuple[str, ...]
    revision: str
    pending: tuple[tuple[str, str], ...] | None
    chain: str
    image: str
    image_id: str
    containers: tuple[HeldContainer, ...]
    snapshot_directory: Path
    nothing_to_do: bool = False

    @property
    def replaced(self) -> tuple[HeldContainer, ...]:
        """The containers that get the new image."""
        return tuple(one for one in self.containers if one.replaced)

    @property
    def others(self) -> tuple[HeldContainer, ...]:
        """The other writers: stopped, and started again as they are."""
        return tuple(one for one in self.containers if not one.replaced)


def plan_deploy(
    settings: Settings,
    engine: Engine,
    target: Target,
    *,
    image: str | None = None,
    revision: str = "head",
    chain: str | None = None,
) -> tuple[DeployPlan, Settings]:
    """Plan a deploy, without changing anything.

    Args:
        settings: The run's settings.
        engine: Where the containers are.
        target: Which of them get the new image.
        image: The new image; None takes what the containers' own name means by now.
        revision: Where to, in Alembic's notation.
        chain: `here` or `image`; None takes the project here, if there is one.

    Returns:
        The plan, and the settings with the database that the containers use.

    Raises:
        Refused, UsageError, ConfigurationError: It can't be done this way, and why.
        WorkloadFailed: As Engine does.
    """
    found = find(engine, target)
    for one in found:
        _require_replaceable(engine, one)
    place = find_deployed(settings, engine, found)
    settings = settings_for(settings, place)
    reference = image or found[0].image
    image_id = require_image(engine, reference)
    chain = chain or ("here" if settings.project else "image")
    upgrade = _pending(settings, chain, revision)
    held = held_containers(engine, found, place)
    same = all(one.image_id == image_id for one in found)
    serves = all(one.state == "running" for one in found)
    version_table = upgrade.version_table if upgrade else place.version_table
    plan = DeployPlan(
        target=str(target),
        database=place.file,
        inside=str(place.inside),
        version_table=version_table,
        before=upgrade.before
        if upgrade
        else inspect(place.file, version_table=version_table).heads,
        revision=revision,
        pending=tuple((one.revision, one.message) for one in upgrade.steps) if upgrade else None,
        chain=chain,
        image=reference,
        image_id=image_id,
        containers=held,
        snapshot_directory=place.snapshots,
        nothing_to_do=same and serves and upgrade is not None and not upgrade.steps,
    )
    return plan, settings


def settings_for(settings: Settings, place: DeployedDatabase) -> Settings:
    """The settings with the containers' database in them."""
    origin = Origin(f"the container's {place.inside}")
    return replace(
        settings,
        url=f"sqlite:///{place.file}",
        snapshot_directory=place.snapshots,
        origins={**settings.origins, "url": origin},
    )


def _pending(settings: Settings, chain: str, revision: str) -> UpgradePlan | None:
    if chain != "here":
        return None
    require_sound_chain(settings)
    return pending_here(settings, revision)


def _require_replaceable(engine: Engine, one: ContainerFacts) -> None:
    if one.name.endswith(SET_ASIDE):
        raise Refused(
            f"{one.name} was set aside by a replacement that did not come to its end",
            code="recreate-unfinished",
            state="Nothing was changed",
            hint=f"orchctl docker restart {one.name.removesuffix(SET_ASIDE)} brings it to an end",
        )
    require_lasting(one)
    require_awake(one)
    require_no_guests(engine, one)
    if lost := unmounted_databases(engine, one):
        raise Refused(
            f"{', '.join(map(str, lost))} is on no volume or folder mounted into {one.name}: with "
            "the old container it would be gone",
            code="database-on-layer",
            state="Nothing was changed",
            hint=f"docker cp {one.name}:{lost[0]} . saves it (not from a tmpfs); mount a volume "
            "there",
        )


def held_containers(
    engine: Engine, found: Sequence[ContainerFacts], place: DeployedDatabase
) -> tuple[HeldContainer, ...]:
    """Containers that are replaced, and every other one that may write to the same database.

    Raises:
        Refused: `removed-at-end`: one of the others would be gone once it is stopped.
        WorkloadFailed: As Engine does.
    """
    own = {one.id for one in found}
    others: dict[str, ContainerFacts] = {}
    for source in place.sources:
        for sharer in sharers_of(engine, source, but=own):
            one = sharer.container
            # One that is down stays down, unless its engine would revive it.
            if sharer.writable and (one.running or one.state == "restarting" or one.revived):
                others[one.id] = one
    for one in others.values():
        require_lasting(one)
    return (
        *(as_held(one, replaced=True) for one in found),
        *(as_held(one, replaced=False) for one in sorted(others.values(), key=lambda c: c.name)),
    )


def as_held(one: ContainerFacts, *, replaced: bool) -> HeldContainer:
    """A container as it is before it is stopped for a deploy."""
    ran = one.running or one.state == "restarting"
    return HeldContainer(
        one.name, one.id, one.restart_policy, ran, replaced, one.image, one.image_id
    )
