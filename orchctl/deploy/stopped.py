"""An upgrade inside, where the database can't be reached from here; its users stopped meanwhile."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchctl.database.failure import inaccessible
from orchctl.deploy.inside import inside_answer
from orchctl.errors import LockHeld, OperationFailed, OrchctlError, Refused, WorkloadFailed
from orchctl.snapshots.durable import make_directory, write_durably
from orchctl.workloads.docker.database import database_inside
from orchctl.workloads.docker.find import ONE_OFF_LABEL, look
from orchctl.workloads.docker.one_off import create_one_off, run_one_off
from orchctl.workloads.docker.restart import require_lasting
from orchctl.workloads.docker.stoppage import (
    Stoppage,
    across_restart,
    forget,
    labels_of,
    require_over,
    start_users,
    stop_users,
    stoppage_from,
    stoppages,
)
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

    Killed at any moment, `stoppage.settle` brings it to an end.

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
        Refused: `database-on-layer`, `removed-at-end`, `not-writable`.
        LockHeld: `one-off-running`.
        OperationFailed: `copy-failed`.
        OrchctlError: As `inside_answer` says; what was stopped runs again. `engine-away`: where
            that could not be done, the record stays.
    """
    reference, named = image or service.image_id, image or service.image
    engine.image(reference)
    if copy_to is not None:
        _require_folder(copy_to)
    users = _users(engine, service)
    command = ["orchctl", "upgrade", *words]
    one_off = create_one_off(engine, service, reference, command, labels_of(users))
    stoppage = stoppage_from(look(engine, one_off))
    _require_alone(engine, stoppage)
    try:
        across_restart(lambda: stop_users(engine, stoppage, grace, tell), tell)
        told = inside_answer(
            lambda heard: run_one_off(engine, one_off, named, command, heard),
            named,
            command,
            tell,
        )
    except BaseException as error:
        _end_after(error, engine, stoppage, tell)
        raise
    _end(engine, stoppage, tell, "The upgrade is done")
    copied = _copied(engine, service, told, copy_to) if copy_to else None
    started = tuple(one.name for one in users)
    return UpgradedInside(service.name, image or service.image, told, started, copied)


def _end(engine: Engine, stoppage: Stoppage, tell: Callable[[str], None], so_far: str) -> None:
    """Start what was stopped, and forget the record."""

    def end() -> None:
        start_users(engine, stoppage, tell)
        forget(engine, stoppage)

    try:
        across_restart(end, tell)
    except WorkloadFailed as error:
        error.state = f"{so_far}; {stoppage.names} may be stopped still, which is on record"
        error.hint = (
            f"{error.hint or ''}. Then orchctl docker upgrade {stoppage.service} brings it to an "
            "end"
        ).lstrip(". ")
        raise


def _end_after(
    error: BaseException, engine: Engine, stoppage: Stoppage, tell: Callable[[str], None]
) -> None:
    """The same after a failure, whose error says how things are then."""
    state = getattr(error, "state", None) or ""
    if isinstance(error, WorkloadFailed) and error.code == "engine-away":
        state = "An upgrade that is cut off is undone when the database is next opened"
        if error.details.get("silent"):
            state = f"The upgrade may go on, in {stoppage.name}"
            error.state = f"{state}; {stoppage.names} may be stopped, which is on record"
            error.hint = f"{error.hint}. Then orchctl docker upgrade {stoppage.service} again"
            return
    _end(engine, stoppage, tell, state or "The upgrade was ended")
    if isinstance(error, OrchctlError):
        error.state = f"{state}; {stoppage.afterwards}".lstrip("; ")


def _require_alone(engine: Engine, stoppage: Stoppage) -> None:
    """See that nobody began the same at the same moment; else give way, nothing being stopped."""
    ours = [stoppage.service, *(one.name for one in stoppage.stopped)]
    for one in stoppages(engine):
        if one.one_off != stoppage.one_off and any(map(one.concerns, ours)):
            forget(engine, stoppage)
            require_over(one, local=engine.address.local)


def _users(engine: Engine, service: ContainerFacts) -> list[ContainerFacts]:
    """The service, and every other container that may write to the same place."""
    inside = database_inside(service)
    sources = [one.name or one.source for one in service.mounts if one.writable and one.source]
    if inside is not None:
        mount = service.mount_of(inside)
        if mount is None or not mount.source:  # a tmpfs has none
            raise Refused(
                f"The database of {service.name}, {inside}, is on the container's own layer, or in "
                "its memory: no other container can reach it",
                code="database-on-layer",
                state="Nothing was changed",
                hint=f"docker exec {service.name} orchctl upgrade; and mount a volume there",
            )
        sources = [mount.source]
    others = {
        one.id: one for source in sources for one in writers_of(engine, source, but=[service.id])
    }
    users = [service, *sorted(others.values(), key=lambda one: one.name)]
    running = [one for one in users if one.running or one.state == "restarting"]
    for one in running:
        _require_service(one)
        require_lasting(one)
    return running


def _require_service(one: ContainerFacts) -> None:
    if ONE_OFF_LABEL in one.labels:
        raise LockHeld(
            f"{one.name} is at work on the same files",
            code="one-off-running",
            state="Nothing was changed",
            hint=f"docker logs -f {one.name} shows what it does",
        )


def _require_folder(folder: Path) -> None:
    """Make the folder that gets the copy, as long as nothing is stopped."""
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file of that name is there")
        make_directory(folder, like=None)
    except OSError as error:
        raise Refused(
            f"{folder} can't be made: {(error.strerror or str(error)).lower()}",
            code="not-writable",
            state="Nothing was changed",
            hint="--copy-to names a folder here",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise inaccessible(folder / "snapshot", "write", writing=True)


def _copied(
    engine: Engine, service: ContainerFacts, told: dict[str, Any], folder: Path
) -> Path | None:
    """The snapshot and its manifest, copied out of the volume; where it is here."""
    if "snapshot" not in told:
        raise OperationFailed(
            "The snapshot was not copied: the answer that names it was lost",
            code="copy-failed",
            state=f"The upgrade is done; its snapshot is in the volume of {service.name}",
            hint=f"docker exec {service.name} orchctl backup list",
        )
    snapshot = told["snapshot"]
    if not snapshot:
        return None
    inside = PurePosixPath(snapshot["path"])
    for path in (inside, inside.with_suffix(".json")):
        try:
            _copy(engine, service, path, folder)
        except (OSError, tarfile.TarError, OrchctlError) as error:
            why = getattr(error, "message", None) or getattr(error, "strerror", None) or error
            raise OperationFailed(
                f"{path} of {service.name} could not be copied to {folder}: {why}",
                code="copy-failed",
                state="The upgrade is done, the service runs; its snapshot is in the volume",
                hint=f"docker cp {service.name}:{path} {folder}",
            ) from error
    return folder / inside.name


def _copy(engine: Engine, service: ContainerFacts, path: PurePosixPath, folder: Path) -> None:
    pieces, _ = engine.ask(engine.api.get_archive, service.id, str(path))
    # As it comes: a snapshot may be larger than this machine's memory.
    with tarfile.open(fileobj=io.BufferedReader(_Pieces(pieces)), mode="r|") as archive:
        first = archive.next()
        member = archive.extractfile(first) if first else None
        if member is None:
            raise OperationFailed("it is no file")
        write_durably(folder / path.name, member)


class _Pieces(io.RawIOBase):
    """Bytes that come in pieces, as a stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
