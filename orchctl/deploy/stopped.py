"""An upgrade inside, where the database can't be reached from here; its users stopped meanwhile."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchctl.deploy.inside import run_inside
from orchctl.errors import OperationFailed, OrchctlError, Refused
from orchctl.snapshots.durable import write_durably
from orchctl.workloads.docker.database import database_inside
from orchctl.workloads.docker.restart import stop
from orchctl.workloads.docker.writers import writers_of

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts


@dataclass(frozen=True)
class UpgradedInside:
    """An upgrade in a one-off container.

    Attributes:
        container: The service's.
        image: What the one-off was made of.
        told: What `orchctl upgrade --json` said there; without it `text`, its last word.
        started: The containers that were stopped, and run again.
        copied: The snapshot here; None when it wasn't asked for, or there is none.
    """

    container: str
    image: str
    told: dict[str, Any]
    started: tuple[str, ...]
    copied: Path | None


def upgrade_stopped(
    engine: Engine,
    service: ContainerFacts,
    words: Sequence[str],
    tell: Callable[[str], None],
    *,
    image: str | None = None,
    copy_to: Path | None = None,
    grace: float | None = None,
) -> UpgradedInside:
    """Upgrade in a one-off container of an image, with all that uses the database stopped.

    Args:
        engine: The engine.
        service: The service's container.
        words: What follows `orchctl upgrade` inside. With `--json` among them it answers with an
            object, and says nothing meanwhile.
        tell: Called with every line of its log.
        image: What the one-off is made of; None takes the service's.
        copy_to: A folder here that gets the snapshot, too.
        grace: Seconds that a container has to end; None leaves that to it.

    Raises:
        Refused: `database-on-layer`, `removed-at-end`.
        OrchctlError: As `run_inside` says; what was stopped runs again.
    """
    reference = image or service.image_id
    engine.image(reference)
    users = _users(engine, service)
    with _stopped(engine, users, tell, grace) as started:
        told = run_inside(engine, service, reference, ["orchctl", "upgrade", *words], tell)
        copied = _copied(engine, service, told, copy_to) if copy_to else None
    return UpgradedInside(service.name, image or service.image, told, started, copied)


def _users(engine: Engine, service: ContainerFacts) -> list[ContainerFacts]:
    """The service, and every other container that may write to the same place."""
    inside = database_inside(service)
    sources = [one.name or one.source for one in service.mounts if one.writable and one.source]
    if inside is not None:
        mount = service.mount_of(inside)
        if mount is None:
            raise Refused(
                f"The database of {service.name}, {inside}, is on the container's own layer: no "
                "other container can reach it",
                code="database-on-layer",
                state="Nothing was changed",
                hint=f"docker exec {service.name} orchctl upgrade; and mount a volume there",
            )
        sources = [mount.source]
    others = {
        one.id: one for source in sources for one in writers_of(engine, source, but=[service.id])
    }
    users = [service, *sorted(others.values(), key=lambda one: one.name)]
    return [one for one in users if one.running or one.state == "restarting"]


@contextmanager
def _stopped(
    engine: Engine,
    users: Sequence[ContainerFacts],
    tell: Callable[[str], None],
    grace: float | None,
) -> Iterator[tuple[str, ...]]:
    """Containers that are stopped in the block, and run again after it, whatever happens there."""
    down: list[ContainerFacts] = []
    try:
        for one in users:
            tell(f"Stopping {one.name}")
            down.append(one)
            stop(engine, one, grace=grace)
        yield tuple(one.name for one in users)
    except OrchctlError as error:
        names = ", ".join(one.name for one in down)
        error.state = f"{error.state or ''}; {names} runs again as before".lstrip("; ")
        raise
    finally:
        for one in down:
            tell(f"Starting {one.name}")
            engine.start(one.id)


def _copied(
    engine: Engine, service: ContainerFacts, told: dict[str, Any], folder: Path
) -> Path | None:
    """The snapshot and its manifest, copied out of the volume; where it is here."""
    snapshot = told.get("snapshot")
    if not snapshot:
        return None
    inside = PurePosixPath(snapshot["path"])
    folder.mkdir(parents=True, exist_ok=True)
    for path in (inside, inside.with_suffix(".json")):
        stream, _ = engine.ask(engine.api.get_archive, service.id, str(path))
        content = io.BytesIO(b"".join(stream))
        with tarfile.open(fileobj=content) as archive:
            member = archive.extractfile(path.name)
            if member is None:
                raise OperationFailed(
                    f"{path} in {service.name} is no file",
                    code="copy-failed",
                    state="The upgrade is done; its snapshot is in the volume",
                )
            write_durably(folder / path.name, member.read())
    return folder / inside.name
