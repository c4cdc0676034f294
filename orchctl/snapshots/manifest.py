"""What is known about one snapshot, and the JSON file beside it that says so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from orchctl.errors import OrchctlError, Refused, typed
from orchctl.snapshots.durable import directory_locked, write_durably

FORMAT = 1
Status = Literal["partial", "complete", "verified", "damaged"]
Reason = Literal[
    "pre-upgrade", "pre-downgrade", "pre-rollback", "pre-deploy", "manual", "scheduled"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
_STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot: one self-contained SQLite file, and what its manifest says.

    Attributes:
        id: Sortable by time, unique in its directory for one database.
        created_at: UTC, ISO-8601, when the state was read.
        reason: What it was taken for.
        database: The database file, symbolic links resolved.
        path: The snapshot's file.
        size: Bytes.
        sha256: Of the file.
        page_size: Bytes in a page.
        page_count: Pages.
        journal_mode: Of the database: `wal` or `delete`. (The snapshot itself is never in WAL
            mode: it must open without a file beside it.)
        user_version: `PRAGMA user_version`.
        application_id: `PRAGMA application_id`.
        heads: Alembic revisions it is stamped with, sorted.
        schema_hash: See `orchctl.database.inspect.schema_hash`.
        row_counts: Table to rows, measured in the snapshot.
        versions: `sqlite` and `orchctl` that took it.
        status: `partial` is being taken, or never was finished; `complete`; `verified`; `damaged`.
        pinned: Never pruned.
        chain: What the caller wants to find again at a rollback; opaque here.
        note: What is wrong with it, or what a person wrote.
        owner: (uid, gid, mode) of the database file; None when unknown.
        format: Version of the manifest's format.
    """

    id: str
    created_at: str
    reason: str
    database: Path
    path: Path
    size: int = 0
    sha256: str = ""
    page_size: int = 0
    page_count: int = 0
    journal_mode: str = "delete"
    user_version: int = 0
    application_id: int = 0
    heads: tuple[str, ...] = ()
    schema_hash: str = ""
    row_counts: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    status: Status = "complete"
    pinned: bool = False
    chain: dict[str, Any] | None = None
    note: str = ""
    owner: tuple[int, int, int] | None = None
    format: int = FORMAT

    @property
    def usable(self) -> bool:
        """Whether it may be offered for a restore."""
        return self.status in ("complete", "verified")

    @property
    def manifest(self) -> Path:
        """The JSON file beside it."""
        return self.path.with_suffix(".json")


def write_manifest(snapshot: Snapshot) -> None:
    """Write a snapshot's manifest, durably, with the owner of its file.

    Raises:
        OSError: It can't be written.
    """
    known = {one.name: getattr(snapshot, one.name) for one in fields(snapshot)}
    known["database"] = str(snapshot.database)
    known["file"] = known.pop("path").name
    content = json.dumps({"format": known.pop("format"), **known}, indent=2) + "\n"
    write_durably(snapshot.manifest, content.encode(), like=snapshot.path.stat())


def read_manifest(path: Path, *, database: Path, identifier: str) -> Snapshot:
    """The snapshot of a manifest, its file compared in existence and size only.

    Args:
        path: The JSON file.
        database: What to call the database when the manifest can't tell.
        identifier: Its id, from the file's name.

    Returns:
        The snapshot; `damaged`, with a note that says why, when anything doesn't fit.
    """
    file = path.with_suffix(".snapshot")
    unknown = Snapshot(identifier, when(identifier), "unknown", database, file, status="damaged")
    try:
        content = json.loads(path.read_bytes())
        number = content["format"]
        if not isinstance(number, int):
            raise TypeError("format is not a number")
        if number > FORMAT:
            note = f"written by a newer orchctl (manifest format {number}, known is {FORMAT})"
            return replace(unknown, note=note, format=number, size=_size(file))
        snapshot = _decoded(content, file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return replace(unknown, note=f"its manifest is unreadable: {error!r}", size=_size(file))
    if snapshot.id != identifier:
        note = f"its manifest is that of {snapshot.id}"
        return replace(unknown, note=note, size=_size(file))
    return _compared(snapshot)


def update(snapshot: Snapshot, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
    """Change a manifest as it is on disk now, safe against other processes that do so too.

    Args:
        snapshot: Which.
        change: From what the manifest says to what it shall say.

    Raises:
        Refused: `snapshot-gone`, `snapshot-format`, `snapshot-unusable` (what it says can't be
            read), `not-writable`.
    """
    try:
        with directory_locked(snapshot.path.parent):
            now = read_manifest(
                snapshot.manifest, database=snapshot.database, identifier=snapshot.id
            )
            require_known_format(now)
            if not now.sha256:  # torn, or not for this user to read: written back, it would be lost
                raise Refused(
                    f"Snapshot {now.id} is {now.status}: {now.note}",
                    code="snapshot-unusable",
                    state="Nothing was changed",
                    hint="orchctl backup list shows the others",
                )
            changed = change(now)
            if changed != now:
                write_manifest(changed)
            return changed
    except FileNotFoundError as error:
        raise Refused(f"Snapshot {snapshot.id} is gone", code="snapshot-gone") from error
    except PermissionError as error:
        raise not_writable(snapshot.path.parent) from error


def require_known_format(snapshot: Snapshot) -> None:
    """Refuse a snapshot whose manifest is of a format that this orchctl doesn't know.

    Raises:
        Refused: `snapshot-format`.
    """
    if snapshot.format > FORMAT:
        raise Refused(
            f"Snapshot {snapshot.id} was {snapshot.note}",
            code="snapshot-format",
            hint="Use the orchctl that took it, or a newer one; its file is a plain SQLite "
            f"database: {snapshot.path}",
        )


def not_writable(folder: Path, wanted: Path | None = None) -> OrchctlError:
    """`not-writable`: the snapshot directory.

    Args:
        folder: What can't be written to.
        wanted: The directory that could not be made in it; None when it is there.
    """
    facts = folder.stat()
    user, group = os.geteuid(), os.getegid()
    return Refused(
        f"Cannot write to {folder} (it belongs to uid {facts.st_uid}, mode "
        f"{facts.st_mode & 0o7777:04o}; this process runs as uid {user})",
        code="not-writable",
        state="Nothing was changed",
        # Never with -R, and never what merely lies above: that may be /var, or /.
        hint=(
            f"sudo install -d -m 700 -o {user} -g {group} {typed(wanted)}"
            if wanted
            else f"sudo chown {user}:{group} {typed(folder)}"
        )
        + ", or set snapshot-directory",
    )


def when(identifier: str) -> str:
    """The time in an id, as UTC ISO-8601."""
    date, clock, milliseconds = identifier[:8], identifier[9:15], identifier[16:19]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}.{milliseconds}Z"


def _decoded(content: dict[str, Any], file: Path) -> Snapshot:
    if content["status"] not in _STATUSES:
        raise ValueError(f"unknown status {content['status']!r}")
    owner = content["owner"]
    return Snapshot(
        id=str(content["id"]),
        created_at=str(content["created_at"]),
        reason=str(content["reason"]),
        database=Path(content["database"]),
        path=file,
        size=int(content["size"]),
        sha256=str(content["sha256"]),
        page_size=int(content["page_size"]),
        page_count=int(content["page_count"]),
        journal_mode=str(content["journal_mode"]),
        user_version=int(content["user_version"]),
        application_id=int(content["application_id"]),
        heads=tuple(content["heads"]),
        schema_hash=str(content["schema_hash"]),
        row_counts={str(name): int(rows) for name, rows in content["row_counts"].items()},
        versions=dict(content["versions"]),
        status=cast("Status", content["status"]),
        pinned=bool(content["pinned"]),
        chain=content["chain"],
        note=str(content["note"]),
        owner=(int(owner[0]), int(owner[1]), int(owner[2])) if owner else None,
        format=int(content["format"]),
    )


def _compared(snapshot: Snapshot) -> Snapshot:
    """The snapshot, damaged when its file isn't what the manifest tells."""
    try:
        size = snapshot.path.stat().st_size
    except OSError:
        return replace(snapshot, status="damaged", note="its file is missing")
    if size != snapshot.size:
        note = f"its file has {size} bytes instead of {snapshot.size}"
        return replace(snapshot, status="damaged", note=note)
    return snapshot


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
