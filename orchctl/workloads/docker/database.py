"""The database that a container uses: where it lies inside and outside, and its revision."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchctl.database.inspect import stamped
from orchctl.database.location import is_sqlite, locate
from orchctl.database.open import reading
from orchctl.errors import ConfigurationError, OrchctlError

if TYPE_CHECKING:
    from orchctl.workloads.docker.engine import Engine
    from orchctl.workloads.facts import ContainerFacts, Mount

# As `orchctl run` in the container reads them.
_VARIABLES = ("ORCHCTL_URL", "DATABASE_URL")
_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")


@dataclass(frozen=True)
class HeldDatabase:
    """The database of a container.

    Attributes:
        inside: Its path in the container.
        mount: What it lies on; None for the container's own layer, which goes with it.
        outside: Its path on this machine; None where it can't be reached from here.
        revisions: What its version table holds; None when unknown or without one.
        unknown: Why the revisions are not known; None when they are.
        read_by: `file` or `exec`: how they were read.
    """

    inside: PurePosixPath
    mount: Mount | None
    outside: Path | None = None
    revisions: tuple[str, ...] | None = None
    unknown: str | None = None
    read_by: str | None = None


def database_inside(facts: ContainerFacts) -> PurePosixPath | None:
    """Where a container's variables say that its SQLite database is; None when they don't."""
    for name in _VARIABLES:
        url = facts.environment.get(name, "")
        if not is_sqlite(url):
            continue
        try:
            return PurePosixPath(locate(url, Path(facts.working_folder)))
        except ConfigurationError:  # in memory, or no URL
            continue
    return None


def find_database(engine: Engine, facts: ContainerFacts) -> HeldDatabase | None:
    """The database of a container, where it lies, and its revision where that can be read.

    It is read from the file when that can be reached from here, else by `orchctl current` in the
    container. Nothing is changed.

    Returns:
        None when the container's variables name no SQLite database.
    """
    inside = database_inside(facts)
    if inside is None:
        return None
    mount = facts.mount_of(inside)
    held = HeldDatabase(inside, mount, _reachable(engine, mount, inside))
    if held.outside is not None:
        try:
            with reading(held.outside) as connection:
                return replace(held, revisions=stamped(connection), read_by="file")
        except (OrchctlError, OSError) as error:
            held = replace(held, unknown=getattr(error, "message", str(error)))
    return _by_exec(engine, facts, held)


def reachable_database(engine: Engine, facts: ContainerFacts) -> Path | None:
    """The file of a container's database on this machine; None where there is none.

    Raises:
        WorkloadFailed: As Engine does.
    """
    inside = database_inside(facts)
    return _reachable(engine, facts.mount_of(inside), inside) if inside else None


def unmounted_databases(engine: Engine, facts: ContainerFacts) -> tuple[PurePosixPath, ...]:
    """SQLite databases on a container's own layer, or in its memory: gone when it is removed.

    What its variables name, and files on its layer that are called like one.
    """
    written = [PurePosixPath(one["Path"]) for one in engine.changes(facts.id) if one["Kind"] != 2]
    named = database_inside(facts)
    lost = [
        path
        for path in written
        if (path == named or path.suffix in _SUFFIXES) and facts.mount_of(path) is None
    ]
    mount = facts.mount_of(named) if named else None
    if named is not None and mount is not None and mount.kind == "tmpfs" and facts.running:
        lost.append(named)
    return tuple(lost)


def _reachable(engine: Engine, mount: Mount | None, inside: PurePosixPath) -> Path | None:
    """The path on this machine, if the engine runs here (not in a VM, nor behind a forwarding)."""
    outside = mount.outside(inside) if mount else None
    if outside is None or not engine.address.local or engine.machine() != socket.gethostname():
        return None
    try:
        return Path(outside) if Path(outside).exists() else None
    except OSError:
        return None


def _by_exec(engine: Engine, facts: ContainerFacts, held: HeldDatabase) -> HeldDatabase:
    """Ask the orchctl in the container, if it runs and has one."""
    if facts.state != "running":
        why = held.unknown or "it can't be reached from here, and the container does not run"
        return replace(held, unknown=why)
    try:
        code, said = engine.execute(facts.id, ("orchctl", "current", "--json"))
        current = json.loads(said) if code == 0 else {}
        revisions = tuple(str(one) for one in current["revisions"])
    except (OrchctlError, ValueError, LookupError, TypeError):
        why = held.unknown or "it can't be reached from here, and the container has no orchctl"
        return replace(held, unknown=why)
    return replace(held, revisions=revisions, unknown=None, read_by="exec")
