"""The containers of a target: which database each one uses, and where that is on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchctl.config import Settings
from orchctl.config.settings import Origin
from orchctl.database.location import is_sqlite, locate
from orchctl.doctor.examination import find_subjects
from orchctl.errors import OrchctlError
from orchctl.workloads.docker.database import database_inside

if TYPE_CHECKING:
    from orchctl.doctor.subject import Subject
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts, Mount


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
    # The engine may be in a virtual machine, or behind a forwarding: its paths are not ours then.
    here = engine.address.local and engine.machine() == socket.gethostname()
    return tuple(_patient(engine, facts, settings, here=here) for facts in containers)


def subjects_of(
    patients: Sequence[Patient], settings: Settings, *, alone: bool, full: bool
) -> tuple[Subject, ...]:
    """The databases to look at: the containers', and the settings' own.

    Args:
        patients: The containers.
        settings: The run's settings.
        alone: Leave out the settings' own.
        full: Whether checks may take long.

    Raises:
        OrchctlError: There is no container, and the settings name no database.
    """
    own: tuple[Subject, ...] = ()
    if not alone:
        try:
            own = find_subjects(settings, full=full)
        except OrchctlError:
            if not patients:
                raise
    known = {one.real for one in own}
    files = dict.fromkeys(one.outside for one in patients if one.outside is not None)
    more = [settings_of(settings, file) for file in files if file.resolve() not in known]
    return (*own, *(one for each in more for one in find_subjects(each, full=full)))


def settings_of(settings: Settings, database: Path) -> Settings:
    """The settings with a container's database as the URL."""
    origin = Origin("the container's environment")
    return replace(
        settings, url=f"sqlite:///{database}", origins={**settings.origins, "url": origin}
    )


def _patient(engine: Engine, facts: ContainerFacts, settings: Settings, *, here: bool) -> Patient:
    inside = database_inside(facts) or _mapped(facts, settings)
    found = Patient(engine, facts, inside, None)
    outside = found.mount.outside(inside) if inside and found.mount else None
    # Not through /proc/PID/root for its own layer: what resolves links would end up in our root.
    if outside is None or not here:
        return found
    place = Path(outside)
    there = os.path.lexists(place) or place.parent.is_dir()
    return replace(found, outside=place) if there else found


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
