"""A database that is ahead of the code: which code it comes from, which snapshot fits this one."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from orchctl.chain.stamp import Memory
from orchctl.errors import OrchctlError, Refused
from orchctl.snapshots.catalog import Catalog
from orchctl.upgrade.journal import Entry, Journal


def remembered(
    file: Path, directory: Path, unknown: Sequence[str], known: Collection[str]
) -> Memory:
    """What manifests and the journal say about revisions that the chain lacks.

    Args:
        file: The database.
        directory: Its snapshot directory.
        unknown: The revisions it is stamped with that the chain lacks.
        known: The revisions of the chain.

    Raises:
        Refused: The snapshot directory can't be read.
    """
    snapshots = [one for one in Catalog(directory, file).list() if one.usable]
    entries: list[Entry] = []
    with contextlib.suppress(OrchctlError):  # somebody else's journal: the manifests may do
        entries = Journal(directory, file).entries()
    recorded = [(one.created_at, one.chain) for one in snapshots]
    recorded += [(entry.at, entry.chain) for entry in entries]
    fitting = [one for one in snapshots if one.heads and set(one.heads) <= set(known)]
    last = fitting[-1] if fitting else None
    at, chain = _last_with(recorded, unknown) or (None, {})
    return Memory(
        at=at,
        parents={one["revision"]: one.get("down_revisions", ()) for one in _revisions(chain)},
        heads=tuple(chain.get("heads", ())),
        snapshot=last.id if last else None,
        snapshot_heads=last.heads if last else (),
    )


def ahead_of_code(
    file: Path, directory: Path, unknown: Sequence[str], known: Collection[str]
) -> Refused:
    """The refusal to work on a database whose revision this code doesn't have.

    Args:
        file: The database.
        directory: Its snapshot directory: manifests and the journal tell where it comes from.
        unknown: The revisions it is stamped with that the chain lacks.
        known: The revisions of the chain.
    """
    memory = remembered(file, directory, unknown, known)
    ids = ", ".join(unknown)
    story = ", or belongs to another chain"
    if memory.at:
        story = (
            f"; a chain of {len(memory.parents)} revisions up to {', '.join(memory.heads)} "
            f"was there on {memory.at}"
        )
    back = (
        f"or go back to snapshot {memory.snapshot} (at {', '.join(memory.snapshot_heads)}): "
        f"orchctl rollback --to {memory.snapshot} --accept-data-loss"
        if memory.snapshot
        else "no snapshot in the catalog fits this code (orchctl backup list)"
    )
    return Refused(
        f"{file} is at revision {ids}, which this chain does not have: "
        f"the database is ahead of this code{story}",
        code="unknown-to-chain",
        state="Nothing was changed",
        hint=f"Run the newer code that has {ids}; {back}",
        details={
            "unknown": list(unknown),
            "chain_recorded_at": memory.at,
            "fitting_snapshot": memory.snapshot,
        },
    )


def _last_with(
    recorded: Iterable[tuple[str, dict[str, Any] | None]], unknown: Sequence[str]
) -> tuple[str, dict[str, Any]] | None:
    """The chain that has the unknown revisions and was recorded last, and when that was."""
    found = None
    for at, chain in sorted(recorded, key=lambda one: one[0]):
        if set(unknown) <= {one["revision"] for one in _revisions(chain)}:
            found = at, chain or {}
    return found


def _revisions(chain: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [one for one in (chain or {}).get("revisions", ()) if one.get("revision")]
