"""The chain as it was agreed on: `chain.lock`, and what changed since (C13).

One line a revision, in chain order, so that two branches that both add a head change the same place
and git stops at it: id, parents, fingerprint.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from orchctl.chain.file_rules import at
from orchctl.chain.findings import Finding
from orchctl.chain.fingerprint import fingerprint
from orchctl.chain.graph import Graph
from orchctl.chain.read import read_file
from orchctl.chain.regular_file import read_regular
from orchctl.chain.revision_file import RevisionFile
from orchctl.chain.source import decode
from orchctl.errors import ConfigurationError

NAME = "chain.lock"
_HEADER = (
    "# The revisions of this chain: id, parents, hash of the code.\n"
    "# Written by `orchctl verify-chain --lock`, held against the files by `--frozen`.\n"
)
_BASE = "-"


@dataclass(frozen=True)
class Locked:
    """One line.

    Attributes:
        revision: The id.
        parents: The ids of its parents.
        fingerprint: See `fingerprint`.
        line: Its line in the lockfile, from 1.
    """

    revision: str
    parents: tuple[str, ...]
    fingerprint: str
    line: int = 0


@dataclass(frozen=True)
class LockChange:
    """How writing the lockfile changes it: ids in chain order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def locked_now(graph: Graph) -> tuple[Locked, ...]:
    """What a lockfile of this chain holds; files that cannot be parsed are left out."""
    found = []
    for id_ in graph.order():
        file = graph.revisions[id_]
        if (mark := _fingerprint(file)) is not None:
            found.append(Locked(id_, tuple(sorted(file.down_revisions)), mark))
    return tuple(found)


def read_lock(path: Path) -> tuple[Locked, ...]:
    """What a lockfile holds.

    Raises:
        ConfigurationError: It isn't there, or is none.
    """
    try:
        lines = read_regular(path).decode().splitlines()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no {path}",
            code="no-lockfile",
            hint="orchctl verify-chain --lock writes it; put it under version control",
        ) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, str(error)) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        one = _locked(line, number)
        if one is None:
            raise _unreadable(path, f"line {number} is {line[:40]!r}")
        found.append(one)
    seen: set[str] = set()
    for one in found:
        # Both sides of a conflict kept: the second line would hide what the first one locked.
        if one.revision in seen:
            raise _unreadable(path, f"line {one.line} locks {one.revision} again")
        seen.add(one.revision)
    return tuple(found)


def _locked(line: str, number: int) -> Locked | None:
    """What one line locks; None when it is none of ours, such as what git puts into conflicts."""
    parts = line.split()
    if len(parts) != 3 or line.startswith(("<<<<<<<", "|||||||", "=======", ">>>>>>>", "#")):
        return None
    parents = () if parts[1] == _BASE else tuple(map(unquote, parts[1].split(",")))
    return Locked(unquote(parts[0]), parents, parts[2], number)


def _legible(path: Path) -> dict[str, list[Locked]]:
    """What a lockfile holds of each revision, by its lines: of a conflict both sides."""
    found: dict[str, list[Locked]] = {}
    with contextlib.suppress(OSError):
        text = read_regular(path).decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            if (one := _locked(line, number)) is not None:
                found.setdefault(one.revision, []).append(one)
    return found


def _unreadable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is no lockfile: {reason}",
        code="bad-lockfile",
        hint="After a merge: bring the heads together (orchctl merge heads), then "
        "orchctl verify-chain --lock",
    )


def write_lock(path: Path, locked: Sequence[Locked]) -> LockChange:
    """Write a lockfile, whole or not at all.

    Returns:
        How it differs from what was there.

    Raises:
        ConfigurationError: The folder cannot be written to.
    """
    before = _legible(path)
    now = {one.revision: one for one in locked}
    text = _HEADER + "".join(_line(one) for one in locked)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or error}", code="lockfile-unwritable"
        ) from error
    return LockChange(
        tuple(id_ for id_ in now if id_ not in before),
        tuple(id_ for id_ in now if id_ in before and _differs(now[id_], before[id_])),
        tuple(id_ for id_ in before if id_ not in now),
    )


def _line(one: Locked) -> str:
    parents = ",".join(map(_quoted, one.parents)) or _BASE
    return f"{_quoted(one.revision)} {parents} {one.fingerprint}\n"


def _quoted(id_: str) -> str:
    # A lone "-" stands for no parent, a "#" begins a comment.
    return quote(id_, safe="@+:/().~!*'" + ("-" if id_ != _BASE else "")) if id_ else "%00"


def _differs(now: Locked, before: Sequence[Locked]) -> bool:
    known = [(one.parents, one.fingerprint) for one in before]
    return (now.parents, now.fingerprint) not in known


def frozen(graph: Graph, path: Path, locked: Iterable[Locked]) -> Iterator[Finding]:
    """C13: what is not as it was locked, and what is not locked yet.

    Args:
        graph: The chain.
        path: The lockfile, for findings about what is gone.
        locked: What it holds.

    Yields:
        An error for each difference: whoever has applied the revision has something else.
    """
    known: Mapping[str, Locked] = {one.revision: one for one in locked}
    for one in known.values():
        file = graph.revisions.get(one.revision)
        if file is None:
            yield _gone(path, one)
            continue
        parents = tuple(sorted(file.down_revisions))
        if parents != one.parents and "down_revision" not in file.unknown:
            yield _changed(
                file,
                "down_revision",
                f"{one.revision} was locked as following {_told(one.parents)}, "
                f"and now follows {_told(parents)}",
            )
        mark = _fingerprint(file)
        if mark is not None and mark != one.fingerprint:
            yield _changed(file, "revision", f"{one.revision} was edited after it was locked")
    for id_ in graph.order():
        unlocked = graph.revisions[id_]
        if id_ not in known and unlocked.path.suffix == ".py":
            yield _changed(unlocked, "revision", f"{id_} is not in {path.name}", missing=True)


def _told(parents: Sequence[str]) -> str:
    return " and ".join(parents) or "nothing"


def _gone(path: Path, one: Locked) -> Finding:
    return Finding(
        "C13",
        "error",
        f"The locked revision {one.revision} is gone",
        path=path,
        line=one.line,
        column=1,
        revision=one.revision,
        suggestion=f"Bring its file back: databases at {one.revision} cannot be upgraded without",
        alembic=f"Can't locate revision identified by {one.revision!r}",
    )


def _changed(file: RevisionFile, name: str, message: str, *, missing: bool = False) -> Finding:
    again = "orchctl verify-chain --lock, and commit it"
    return Finding(
        "C13",
        "error",
        message,
        suggestion=again if missing else f"Undo it and add a revision; never applied: {again}",
        alembic="nothing: it keeps no record of what was applied",
        **at(file, name),
    )


def _fingerprint(file: RevisionFile) -> str | None:
    if file.path.suffix != ".py":
        return None
    _, data = read_file(file.path, bodies=False)
    return fingerprint(file, decode(data).text) if data else None
