"""The files: what is there, whose it is, and who may use it (D03)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchctl.database.open import sidecars
from orchctl.doctor.findings import Finding, Mend, found
from orchctl.doctor.subject import Subject, User, present_user
from orchctl.errors import typed

_READ_WRITE = os.R_OK | os.W_OK
_ENTER_WRITE = os.W_OK | os.X_OK


def check_files(subject: Subject) -> Iterator[Finding]:
    """Whether there is a file, and one that can be a database."""
    real = subject.real
    if not real.parent.is_dir():
        yield found(
            "no-directory",
            f"{real.parent} does not exist",
            evidence=(f"{subject.file} is the database",),
            command=f"mkdir -p {typed(real.parent)}",
        )
        return
    if not os.path.lexists(real):
        yield from _absent(real)
        return
    if (odd := subject.odd) is not None:
        yield _no_file(odd)
    if not real.is_file():
        return
    facts = real.stat()
    if facts.st_nlink > 1:
        yield found(
            "hard-links",
            f"{real} has {facts.st_nlink} names",
            evidence=("Whoever opens it by another one doesn't see its journal",),
            command=f"find {typed(real.parent)} -xdev -samefile {typed(real)}",
        )
    if facts.st_mode & stat.S_IWOTH:
        yield found(
            "world-writable",
            f"Every user may write to {real}",
            evidence=(_owned(real),),
            command=f"chmod o-w {typed(real)}",
        )


def _no_file(path: Path) -> Finding:
    folder = path.is_dir()
    return found(
        "not-a-file",
        f"{path} is {'a directory' if folder else 'no regular file'}",
        evidence=("An engine makes a directory where the source of a bind mount is missing",)
        if folder
        else (),
        command=f"rmdir {typed(path)}"
        if folder
        else f"ls -l {typed(path)}; rm {typed(path)}, if nobody misses it",
    )


def _absent(real: Path) -> Iterator[Finding]:
    left = [path for end, path in sidecars(real).items() if end != "-shm" and _size(path)]
    if left:
        names = " and ".join(path.name for path in left)
        yield found(
            "orphan-sidecars",
            f"There is no {real.name}, but {names} is there, with rows in it perhaps",
            evidence=tuple(f"{path} has {_size(path)} bytes" for path in left),
            command="Bring the database back beside it, or orchctl backup restore latest",
        )
    else:
        told = f"There is no database {real} yet"
        yield found("no-database", told, command="orchctl upgrade makes it")


def check_rights(subject: Subject) -> Iterator[Finding]:
    """Whether this user, and the database's owner, can use directory, database and sidecars.

    Raises:
        OSError: A file can't be looked at.
    """
    yield from judge_rights(subject.real, (present_user(),))


def judge_rights(real: Path, users: Sequence[User]) -> Iterator[Finding]:
    """What the modes mean for those who use the database.

    Args:
        real: The database, symbolic links followed; need not exist.
        users: Who shall be able to use it. Its owner counts as well.
    """
    if not real.parent.is_dir():
        return
    everybody = [*users]
    if real.is_file():
        facts = real.stat()
        if facts.st_uid not in {user.uid for user in users}:
            who = f"uid {facts.st_uid}, the database's owner,"
            everybody.append(User(facts.st_uid, frozenset([facts.st_gid]), who))
    yield from _directory(real.parent, everybody)
    if real.is_file():
        for user in everybody:
            if not user.may(real, _READ_WRITE):
                yield found(
                    "database-not-writable",
                    f"{user.who} can't write to {real}",
                    evidence=(_owned(real),),
                    command=f"chmod u+rw {typed(real)}"
                    if user.uid == real.stat().st_uid
                    else f"sudo chown {user.uid} {typed(real)}",
                )
        yield from _sidecars(real, everybody)


def _directory(folder: Path, users: Iterable[User]) -> Iterator[Finding]:
    for user in users:
        if user.may(folder, _ENTER_WRITE):
            continue
        own = folder.stat().st_uid == user.uid
        yield found(
            "directory-not-writable",
            f"{user.who} can't make files in {folder}, where journals must be",
            evidence=(_owned(folder),),
            command=f"chmod u+wx {typed(folder)}"
            if own
            else f"sudo chown {user.uid} {typed(folder)}",
        )


def _sidecars(real: Path, users: Sequence[User]) -> Iterator[Finding]:
    owner = real.stat()
    for path in sidecars(real).values():
        if not path.is_file() or path.is_symlink():
            continue
        facts = path.stat()
        shut_out = [user.who.removesuffix(",") for user in users if not user.may(path, _READ_WRITE)]
        if (facts.st_uid, facts.st_gid) == (owner.st_uid, owner.st_gid) and not shut_out:
            continue
        told = f"{path.name} is another's: " + _owned(path)
        if shut_out:
            told = f"{' and '.join(shut_out)} can't use {path.name}"
        yield found(
            "foreign-sidecar",
            told,
            evidence=(_owned(path), _owned(real)),
            command=" && ".join(
                f"sudo {program} --reference={typed(real)} {typed(path)}"
                for program in ("chown", "chmod")
            ),
            level="error" if shut_out else "warning",
            mend=Mend("sidecars", real),
        )


def _owned(path: Path) -> str:
    facts = path.stat()
    mode = stat.S_IMODE(facts.st_mode)
    return f"{path} belongs to {facts.st_uid}:{facts.st_gid}, mode {mode:04o}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
