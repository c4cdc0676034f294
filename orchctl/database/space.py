"""Room on the filesystem, asked before it is needed."""

from __future__ import annotations

import os
from pathlib import Path

from orchctl.errors import Refused

# What a filesystem should keep beyond the bytes asked for: the -journal header, directory blocks.
SPARE = 1 << 20


def free(path: Path) -> int:
    """Bytes that this process may still write where a path is, or will be.

    Args:
        path: A file or directory; when it doesn't exist, its nearest existing parent counts.
    """
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    facts = os.statvfs(place)
    return facts.f_bavail * facts.f_frsize


def require(path: Path, bytes_needed: int, purpose: str) -> None:
    """Refuse work that would fill the disk.

    Args:
        path: Where the bytes will go.
        bytes_needed: How many.
        purpose: What for, as in "a snapshot of app.db".

    Raises:
        Refused: `no-space`.
    """
    there = free(path)
    if there >= bytes_needed + SPARE:
        return
    raise Refused(
        f"Not enough room for {purpose} in {path}: {readable(bytes_needed)} needed, "
        f"{readable(there)} free",
        code="no-space",
        state="Nothing was changed",
        hint="Free some space (orchctl backup prune removes old snapshots), or name another place",
        details={"needed": bytes_needed, "free": there, "path": str(path)},
    )


def readable(size: int) -> str:
    """A number of bytes as people write it: 512 B, 1.4 MiB."""
    if size < 1024:
        return f"{size} B"
    amount = size / 1024
    for unit in ("KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
