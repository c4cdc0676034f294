"""A database that is ahead of the code: which code it comes from, which snapshot fits this one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from orchctl.errors import Refused
from orchctl.snapshots.catalog import Catalog
from orchctl.upgrade.journal import Journal


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
    snapshots = [one for one in Catalog(directory, file).list() if one.usable]
    recorded = [(one.created_at, one.chain) for one in snapshots]
    recorded += [(entry.at, entry.chain) for entry in Journal(directory, file).entries()]
    origin = _origin(recorded, unknown)
    fitting = [one for one in snapshots if one.heads and set(one.heads) <= set(known)]
    ids = ", ".join(unknown)
    story = ", or belongs to another chain"
    if origin:
        at, revisions, heads = origin
        story = f"; a chain of {len(revisions)} revisions up to {heads} was there on {at}"
    back = (
        f"or go back to snapshot {fitting[-1].id} (at {', '.join(fitting[-1].heads)}): "
        f"orchctl rollback --to {fitting[-1].id} --accept-data-loss"
        if fitting
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
            "chain_recorded_at": origin[0] if origin else None,
            "fitting_snapshot": fitting[-1].id if fitting else None,
        },
    )


def _origin(
    recorded: Iterable[tuple[str, dict[str, Any] | None]], unknown: Sequence[str]
) -> tuple[str, list[str], str] | None:
    """When a chain that has the unknown revisions was last recorded, its ids and its heads."""
    found = None
    for at, chain in sorted(recorded, key=lambda one: one[0]):
        ids = [one.get("revision", "") for one in (chain or {}).get("revisions", ())]
        if set(unknown) <= set(ids):
            found = at, ids, ", ".join((chain or {}).get("heads", ()))
    return found
