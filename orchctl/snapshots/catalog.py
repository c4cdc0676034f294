"""The snapshots of one database in one directory.

Files are called `<database>.<id>.snapshot` and `<database>.<id>.json`; where the directory is not
the database's own `backups/`, a hash of the way from one to the other stands between, so that
databases of the same name can share a directory.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from orchctl.errors import Refused, UsageError, typed
from orchctl.snapshots.durable import is_in_use
from orchctl.snapshots.manifest import (
    Snapshot,
    read_manifest,
    require_known_format,
    update,
    when,
)

__all__ = ["Catalog", "Snapshot", "default_directory"]

DEFAULT_DIRECTORY = "backups"
LATEST = "latest"
_NAME = re.compile(r"(?P<prefix>.+)\.(?P<id>\d{8}T\d{6}-\d{3})\.(?P<kind>snapshot|json|partial)")


def is_partial(name: str) -> bool:
    """Whether a file has the name of a snapshot that is being taken, or never was finished."""
    match = _NAME.fullmatch(name)
    return match is not None and match["kind"] == "partial"


def default_directory(database: Path) -> Path:
    """`backups/` beside the (real) database file."""
    return Path(os.path.realpath(database)).parent / DEFAULT_DIRECTORY


class Catalog:
    """The snapshots of a database.

    Args:
        directory: Where they are; need not exist.
        database: Whose; None means all that are in the directory.
    """

    def __init__(self, directory: Path, database: Path | None) -> None:
        self.directory = directory.absolute()
        self.database = Path(os.path.realpath(database)) if database else None

    @classmethod
    def beside(cls, database: Path, directory: Path | None = None) -> Catalog:
        """The catalog of a database, in a directory or, with None, the default one."""
        return cls(directory or default_directory(database), database)

    def list(self) -> tuple[Snapshot, ...]:
        """All snapshots, oldest first, unfinished and damaged ones with their status.

        Costs one small file each; only sizes are compared, so a flipped bit is for `verify`.

        Raises:
            Refused: `cannot-open`: the directory can't be read.
        """
        found: dict[tuple[str, str], set[str]] = {}
        for name in self._names():
            match = _NAME.fullmatch(name)
            if match and (self.database is None or match["prefix"] == self._prefix()):
                found.setdefault((match["id"], match["prefix"]), set()).add(match["kind"])
        return tuple(
            snapshot
            for (identifier, prefix), kinds in sorted(found.items())
            if (snapshot := self._one(prefix, identifier, kinds))
        )

    def get(self, text: str) -> Snapshot:
        """The snapshot with an id, with the unique beginning of one, or `latest`.

        Raises:
            UsageError: `unknown-snapshot` (with ids that are near) or `ambiguous-snapshot`.
            Refused: `snapshot-format`: a newer orchctl wrote it.
        """
        known = self.list()
        if text == LATEST and (newest := self.latest()):
            return newest
        found = [one for one in known if text and one.id.startswith(text)]
        exact = [one for one in found if one.id == text]
        found = exact or found
        if len(found) > 1:
            raise UsageError(
                f"{text} is the beginning of {len(found)} snapshots",
                code="ambiguous-snapshot",
                hint="One of: " + ", ".join(one.id for one in found[-5:]),
            )
        if not found:
            raise self._unknown(text, known)
        require_known_format(found[0])
        return found[0]

    def latest(self) -> Snapshot | None:
        """The newest that may be restored."""
        return next((one for one in reversed(self.list()) if one.usable), None)

    def pin(self, text: str) -> Snapshot:
        """Keep a snapshot out of every prune.

        Raises:
            UsageError, Refused: As `get`; `not-writable`.
        """
        return update(self.get(text), lambda one: replace(one, pinned=True))

    def unpin(self, text: str) -> Snapshot:
        """Undo `pin`.

        Raises:
            UsageError, Refused: As `get`; `not-writable`.
        """
        return update(self.get(text), lambda one: replace(one, pinned=False))

    def path_of(self, identifier: str) -> Path:
        """Where the file of a snapshot with an id is, or would be."""
        return self.directory / f"{self._prefix()}.{identifier}.snapshot"

    def _names(self) -> tuple[str, ...]:
        try:
            return tuple(os.listdir(self.directory))  # noqa: PTH208 names only
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Refused(
                f"Cannot read {self.directory}: {error.strerror}",
                code="cannot-open",
                hint=f"ls -lad {typed(self.directory)}; or set snapshot-directory",
            ) from error

    def _prefix(self) -> str:
        if self.database is None:
            raise ValueError("a catalog of all databases has no file names of its own")
        way = os.path.relpath(self.database, os.path.realpath(self.directory))
        if way == os.path.join(os.pardir, self.database.name):  # noqa: PTH118 compared as text
            return self.database.name
        import hashlib

        return f"{self.database.name}.{hashlib.sha256(os.fsencode(way)).hexdigest()[:8]}"

    def _one(self, prefix: str, identifier: str, kinds: set[str]) -> Snapshot | None:
        file = self.directory / f"{prefix}.{identifier}.snapshot"
        database = self.database or Path(prefix)
        if "json" in kinds:
            return read_manifest(
                file.with_suffix(".json"), database=database, identifier=identifier
            )
        snapshot = Snapshot(identifier, when(identifier), "unknown", database, file)
        if "snapshot" not in kinds:
            snapshot = replace(snapshot, path=file.with_suffix(".partial"))
        try:
            size, taking = snapshot.path.stat().st_size, is_in_use(snapshot.path)
        except OSError:  # finished or removed in the meantime
            return None
        if taking:
            return replace(snapshot, status="partial", size=size, note="being taken")
        if "snapshot" in kinds:
            return replace(snapshot, status="damaged", size=size, note="it has no manifest")
        return replace(snapshot, status="partial", size=size, note="it was never finished")

    def _unknown(self, text: str, known: tuple[Snapshot, ...]) -> UsageError:
        from difflib import get_close_matches

        ids = [one.id for one in known if one.usable]
        near = get_close_matches(text, ids, n=3, cutoff=0.5) or ids[-3:]
        hint = "Near it: " + ", ".join(near) if near else "There is none: orchctl backup create"
        return UsageError(
            f"There is no snapshot {text} in {self.directory}",
            code="unknown-snapshot",
            hint=f"{hint}; orchctl backup list shows all" if near else hint,
        )
