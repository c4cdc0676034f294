"""Shapes of a workload that let two processes write to one database. Pure but for the claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.errors import OrchctlError
from orchctl.workloads.kubernetes.kinds import (
    CLAIM,
    DAEMON_SET,
    DEPLOYMENT,
    POD,
    STATEFUL_SET,
    Kind,
    Object,
    claims_of,
    desired,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchctl.workloads.kubernetes.client import Cluster


@dataclass(frozen=True)
class Hazard:
    """A way in which two writers can meet.

    Attributes:
        id: `rolling-update`, `several-writers`, `several-databases` or `read-write-many`.
        told: One line for a person.
    """

    id: str
    told: str


@dataclass(frozen=True)
class ClaimFacts:
    """A claim that a workload mounts.

    Attributes:
        name: Its name.
        access_modes: `ReadWriteOnce`, `ReadWriteOncePod`, `ReadWriteMany` …
        phase: `Bound`, `Pending` or `Lost`; "" where it may not be read.
        size: As asked for: `1Gi`.
    """

    name: str
    access_modes: tuple[str, ...] = ()
    phase: str = ""
    size: str = ""


def hazards(kind: Kind, workload: Object, claims: Collection[ClaimFacts]) -> tuple[Hazard, ...]:
    """In which ways two processes can come to write to one database.

    Args:
        kind: Of the workload.
        workload: The workload.
        claims: What it mounts.
    """
    if kind is POD:
        return ()
    name, wanted = f"{kind.name}/{name_of(workload)}", desired(kind, workload)
    shared = sorted(set(claims_of(workload).values()))
    found = []
    if shared and (kind is DAEMON_SET or wanted > 1):
        many = "a pod on every node" if kind is DAEMON_SET else f"{wanted} replicas"
        told = f"{name}: {many} write to one claim, {', '.join(shared)}"
        found.append(Hazard("several-writers", told))
    if shared and kind is DEPLOYMENT and _rolling(workload):
        told = (
            f"{name}: strategy RollingUpdate starts the new pod while the old one still writes to "
            f"{', '.join(shared)}; strategy Recreate, or a StatefulSet, does not"
        )
        found.append(Hazard("rolling-update", told))
    if kind is STATEFUL_SET and wanted > 1 and workload["spec"].get("volumeClaimTemplates"):
        told = f"{name}: {wanted} replicas with a claim, and so a database, each of its own"
        found.append(Hazard("several-databases", told))
    for claim in claims:
        if "ReadWriteMany" in claim.access_modes:
            told = (
                f"{name}: claim {claim.name} is ReadWriteMany, any number of pods may write to it"
            )
            found.append(Hazard("read-write-many", told))
    return tuple(found)


def read_claims(cluster: Cluster, kind: Kind, workload: Object) -> tuple[ClaimFacts, ...]:
    """The claims that a workload's pods mount; without the right to read them their names alone."""
    names = dict.fromkeys([*claims_of(workload).values(), *_own_claims(kind, workload)])
    return tuple(_read(cluster, name) for name in names)


def _own_claims(kind: Kind, workload: Object) -> list[str]:
    if kind is not STATEFUL_SET:
        return []
    templates = workload["spec"].get("volumeClaimTemplates") or ()
    first = int((workload["spec"].get("ordinals") or {}).get("start", 0))
    numbers = range(first, first + max(desired(kind, workload), 1))
    named = [one["metadata"]["name"] for one in templates]
    return [f"{one}-{name_of(workload)}-{number}" for number in numbers for one in named]


def _read(cluster: Cluster, name: str) -> ClaimFacts:
    try:
        claim = cluster.find(CLAIM, name)
    except OrchctlError as error:
        if error.code != "no-rights":
            raise
        return ClaimFacts(name)
    if claim is None:
        return ClaimFacts(name, phase="Missing")
    spec, status = claim["spec"], claim.get("status", {})
    return ClaimFacts(
        name,
        tuple(spec.get("accessModes") or ()),
        status.get("phase", ""),
        str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "")),
    )


def _rolling(workload: Object) -> bool:
    strategy = workload["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")
