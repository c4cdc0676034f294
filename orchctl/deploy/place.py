"""The database that a deploy is about: the one its containers use, as it is reached from here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchctl.database.inspect import VERSION_TABLE
from orchctl.database.location import is_sqlite, locate
from orchctl.errors import ConfigurationError, Refused
from orchctl.snapshots.catalog import default_directory
from orchctl.workloads.docker.database import find_database

if TYPE_CHECKING:
    from orchctl.config import Settings
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


@dataclass(frozen=True)
class DeployedDatabase:
    """The database of the containers of a deploy.

    Attributes:
        file: On this machine.
        inside: In the container.
        snapshots: Where its snapshots are.
        sources: Paths by which other containers may have it, too.
        version_table: Alembic's table, as long as no env.py says otherwise.
    """

    file: Path
    inside: PurePosixPath
    snapshots: Path
    sources: tuple[str, ...]
    version_table: str = VERSION_TABLE


def find_deployed(
    settings: Settings, engine: Engine, containers: Sequence[ContainerFacts]
) -> DeployedDatabase:
    """The database that containers use.

    `--url` and ORCHCTL_URL name it as it is called here; else it is what the container's own
    variables say; else what the settings here say, if that lies on one of its mounts.

    Raises:
        ConfigurationError: `no-database`: nothing says which.
        Refused: `not-on-a-mount`, `unreachable-database`, `database-on-layer`.
    """
    found = [_of(settings, engine, one) for one in containers]
    if len({one.file for one in found}) > 1:
        files = ", ".join(str(one.file) for one in found)
        raise Refused(
            f"The containers use different databases: {files}",
            code="several-databases",
            state="Nothing was changed",
            hint="Deploy them one by one: docker:NAME",
        )
    return found[0]


def _of(settings: Settings, engine: Engine, one: ContainerFacts) -> DeployedDatabase:
    named = _named_here(settings)
    if named is None:
        held = find_database(engine, one)
        if held is not None and held.mount is None:
            raise Refused(
                f"The database of {one.name}, {held.inside}, is on the container's own layer: with "
                "the container it would be gone",
                code="database-on-layer",
                state="Nothing was changed",
                hint="Mount a volume there; orchctl doctor says how",
            )
        if held is not None and held.outside is None:
            raise _unreachable(one, held.inside)
        if held is not None and held.outside is not None:
            return _place(settings, held.outside, held.inside)
    file = named or _configured(settings, one)
    inside = _inside(file, one)
    if inside is None:
        raise Refused(
            f"{file} is on none of the mounts of {one.name}: it is not its database",
            code="not-on-a-mount",
            state="Nothing was changed",
            hint="Name its database as it is called here: orchctl --url sqlite:////PATH deploy …",
        )
    return _place(settings, file, inside)


def _named_here(settings: Settings) -> Path | None:
    origin = str(settings.origins["url"])
    if settings.url and origin in ("flag --url", "environment ORCHCTL_URL"):
        return locate(settings.url, settings.folder)
    return None


def _configured(settings: Settings, one: ContainerFacts) -> Path:
    if settings.url and is_sqlite(settings.url):
        return locate(settings.url, settings.folder)
    raise ConfigurationError(
        f"Nothing says which database {one.name} uses",
        code="no-database",
        hint="Set DATABASE_URL in the container, or: orchctl --url sqlite:////PATH deploy …",
    )


def _inside(file: Path, one: ContainerFacts) -> PurePosixPath | None:
    for path in dict.fromkeys((file, Path(os.path.realpath(file)))):
        for mount in one.mounts:
            source = os.path.realpath(mount.source) if mount.source else ""
            for folder in (mount.source, source):
                if folder and (path == Path(folder) or path.is_relative_to(folder)):
                    return PurePosixPath(mount.target) / path.relative_to(folder)
    return None


def _place(settings: Settings, file: Path, inside: PurePosixPath) -> DeployedDatabase:
    sources = tuple(dict.fromkeys((str(file), os.path.realpath(file))))
    folder = settings.snapshot_directory or default_directory(file)
    return DeployedDatabase(file, inside, folder, sources)


def _unreachable(one: ContainerFacts, inside: PurePosixPath) -> Refused:
    return Refused(
        f"The database of {one.name}, {inside}, can't be reached from here",
        code="unreachable-database",
        state="Nothing was changed",
        hint="Run orchctl as root on the engine's machine; or upgrade it inside: orchctl docker "
        f"upgrade docker:{one.name} --image NEW",
    )
