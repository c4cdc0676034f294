"""The containers of a target: which database each one uses, and where that is on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchctl.config import Settings
from orchctl.config.settings import Origin
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts, Mount

_URLS = ("ORCHCTL_URL", "DATABASE_URL")


@dataclass(frozen=True)
class Patient:
    """A container to examine.

    Attributes:
        engine: Its engine.
        facts: What the engine says of it.
        inside: Its database, as it sees it; None where that is not known.
        outside: The same on this machine; None where it can't be reached from here.
    """

    engine: Engine
    facts: ContainerFacts
    inside: PurePosixPath | None
    outside: Path | None

    @property
    def name(self) -> str:
        """As a target is written."""
        return f"docker:{self.facts.name}"

    @property
    def mount(self) -> Mount | None:
        """What its database is on; None for its own layer, or where the database isn't known."""
        return self.facts.mount_of(self.inside) if self.inside else None

    @property
    def process(self) -> Path | None:
        """Its first process in /proc; None where it doesn't run, or not on this machine."""
        place = Path("/proc", str(self.facts.pid))
        here = self.engine.address.local and self.facts.pid and self.facts.running
        # The engine may be in a virtual machine: then that number is nobody's, or another's here.
        return place if here and self.facts.id in _text(place / "cgroup") else None


def patients_of(
    engine: Engine, containers: Sequence[ContainerFacts], settings: Settings
) -> tuple[Patient, ...]:
    """The containers with their databases.

    Args:
        engine: Their engine.
        containers: Of the target.
        settings: Whose database counts where a container's variables name none.
    """
    return tuple(_patient(engine, facts, settings) for facts in containers)


def settings_of(settings: Settings, database: Path) -> Settings:
    """The settings with a container's database as the URL."""
    origin = Origin("the container's environment")
    return replace(
        settings, url=f"sqlite:///{database}", origins={**settings.origins, "url": origin}
    )


def _patient(engine: Engine, facts: ContainerFacts, settings: Settings) -> Patient:
    inside = _named(facts.environment, facts.working_folder) or _mapped(facts, settings)
    found = Patient(engine, facts, inside, None)
    outside = found.mount.outside(inside) if inside and found.mount else None
    # Not through /proc/PID/root for its own layer: what resolves links would end up in our root.
    if outside is None or not engine.address.local:
        return found
    place = Path(outside)
    there = os.path.lexists(place) or place.parent.is_dir()
    return replace(found, outside=place) if there else found


def _named(environment: Mapping[str, str], folder: str) -> PurePosixPath | None:
    for name in _URLS:
        url = environment.get(name, "")
        if is_sqlite(url):
            try:
                return PurePosixPath(locate(url, Path(folder)))
            except ConfigurationError:
                continue
    return None


def _mapped(facts: ContainerFacts, settings: Settings) -> PurePosixPath | None:
    """The settings' database as the container sees it, where it has it mounted."""
    if settings.url is None or not is_sqlite(settings.url):
        return None
    file = PurePosixPath(os.path.realpath(locate(settings.url, settings.folder)))
    for mount in facts.mounts:
        if mount.source and file.is_relative_to(mount.source):
            return PurePosixPath(mount.target) / file.relative_to(mount.source)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
