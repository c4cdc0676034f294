"""Who has the database open, in which container, and whether they really have it (D05, S10)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchctl.database import lock
from orchctl.database.holders import command_of, holders, lock_pids
from orchctl.database.open import sidecars
from orchctl.doctor.findings import Finding, found
from orchctl.doctor.subject import Subject
from orchctl.errors import typed

_PROC = Path("/proc")
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_DELETED = " (deleted)"


@dataclass(frozen=True)
class OpenFile:
    """A file of the database that another process has open.

    Attributes:
        pid: The process.
        descriptor: Its number there.
        name: The file's name, without its folder.
        deleted: Whether that file has no name any more.
    """

    pid: int
    descriptor: int
    name: str
    deleted: bool


def check_processes(subject: Subject) -> Iterator[Finding]:
    """Other holders, their containers, files that were deleted under them, locks they lost.

    Raises:
        OSError: There is no /proc.
    """
    real = subject.real
    opened = open_files(real)
    yield from _held(real)
    yield from _deleted(real, opened)
    if subject.wal:
        yield from _unlocked(real, opened)
    if holder := lock.holder(real):
        told = f"orchctl's lock on {real.name} is held by {holder}"
        yield found("locked-by-orchctl", told, command="Wait for it, or stop it")


def open_files(real: Path) -> tuple[OpenFile, ...]:
    """The files of a database that other processes have open, deleted ones included.

    Nothing but /proc is opened.

    Args:
        real: The database, symbolic links followed; need not exist any more.
    """
    names = {path.name for path in (real, *sidecars(real).values())}
    present = {_identity(path) for path in (real, *sidecars(real).values())} - {None}
    found_: list[OpenFile] = []
    for pid in sorted(int(one.name) for one in _PROC.iterdir() if one.name.isdigit()):
        if pid == os.getpid():
            continue
        for descriptor, target, facts in _descriptors(pid):
            folder, _, name = target.removesuffix(_DELETED).rpartition("/")
            gone = target.endswith(_DELETED) and facts.st_nlink == 0 and name in names
            gone = gone and _is_folder(real.parent, pid, folder)
            if gone or (facts.st_dev, facts.st_ino) in present:
                found_.append(OpenFile(pid, descriptor, name, gone))
    return tuple(found_)


def container_of(pid: int) -> str:
    """The short id of the container that a process is in; empty for none, or one not seen."""
    try:
        text = (_PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return ""
    ids = _CONTAINER.findall(text)
    return str(ids[-1])[:12] if ids else ""


def _held(real: Path) -> Iterator[Finding]:
    by_container: dict[str, list[str]] = {}
    for holder in holders(real):
        container = container_of(holder.pid)
        where = f" in container {container}" if container else ""
        by_container.setdefault(container, []).append(f"{holder}{where}")
    told = tuple(line for lines in by_container.values() for line in lines)
    if told:
        count = "one other process" if len(told) == 1 else f"{len(told)} other processes"
        yield found("held", f"{count} has {real.name} open", evidence=told)
    containers = [one for one in by_container if one]
    if len(containers) > 1:
        yield found(
            "two-containers",
            f"{len(containers)} containers have {real.name} open",
            evidence=told,
            command=f"docker stop {containers[-1]}, if only one is meant to write",
        )


def _deleted(real: Path, opened: tuple[OpenFile, ...]) -> Iterator[Finding]:
    # A journal is deleted at every commit; what counts is the database and its WAL.
    gone = [one for one in opened if one.deleted and not one.name.endswith("-journal")]
    for pid in dict.fromkeys(one.pid for one in gone):
        own = [one for one in gone if one.pid == pid and not one.name.endswith("-shm")]
        if not own:
            continue
        names = " and ".join(dict.fromkeys(one.name for one in own))
        copies = {
            f"cp /proc/{pid}/fd/{one.descriptor} {typed(real.parent / one.name)}.rescued": one.name
            for one in reversed(own)
        }
        once = {name: command for command, name in copies.items()}
        container = container_of(pid)
        where = f" in container {container}" if container else ""
        yield found(
            "deleted-but-open",
            f"Process {pid}{where} works on a {names} that has been deleted or replaced",
            evidence=(
                f"{pid}: {command_of(pid)}",
                *(f"/proc/{pid}/fd/{one.descriptor} -> {one.name}{_DELETED}" for one in own),
                "What is in it is gone for good when that process ends",
            ),
            command=f"kill -STOP {pid} && " + " && ".join(once[name] for name in sorted(once)),
        )


def _unlocked(real: Path, opened: tuple[OpenFile, ...]) -> Iterator[Finding]:
    """A connection in WAL mode keeps a lock on the database from its first read to its end."""
    by_pid: dict[int, set[str]] = {}
    for one in opened:
        if not one.deleted:
            by_pid.setdefault(one.pid, set()).add(one.name)
    connected = [pid for pid, names in by_pid.items() if {real.name, f"{real.name}-shm"} <= names]
    for pid in connected:
        # It may have closed meanwhile: only who has it open still, without a lock, counts.
        if pid in lock_pids(real) or not _has_both(pid, real) or pid in lock_pids(real):
            continue
        yield found(
            "locks-dropped",
            f"Process {pid} has {real.name} open in WAL mode, but no lock on it: others may take "
            "its WAL away under it",
            evidence=(
                f"{pid}: {command_of(pid)}",
                "/proc/locks has none of that process on the file",
                "It opened and closed the file beside its connection, or was forked with one",
            ),
            command=f"Restart process {pid}; then keep it from opening the file by other means",
        )


def _has_both(pid: int, real: Path) -> bool:
    wanted = {_identity(real), _identity(sidecars(real)["-shm"])}
    return wanted <= {(facts.st_dev, facts.st_ino) for _, _, facts in _descriptors(pid)}


def _descriptors(pid: int) -> Iterator[tuple[int, str, os.stat_result]]:
    folder = _PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 names only
    except OSError:  # gone in the meantime, or somebody else's
        return
    for name in names:
        try:
            yield int(name), os.readlink(folder / name), (folder / name).stat()  # noqa: PTH115
        except OSError:
            continue


def _is_folder(folder: Path, pid: int, named: str) -> bool:
    """Whether what a process calls a folder is this one; in a container it has another name."""
    if named == str(folder):
        return True
    there = _identity(_PROC / str(pid) / "root" / named.lstrip("/"))
    return there is not None and there == _identity(folder)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
