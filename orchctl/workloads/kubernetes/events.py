"""What the cluster says has happened to a workload and its pods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchctl.workloads.kubernetes.find import Found
from orchctl.workloads.kubernetes.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    POD,
    STATEFUL_SET,
    Object,
)
from orchctl.workloads.kubernetes.trouble import event_order, event_text, event_time

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster

# How controllers name what they make: events outlive what they are about, only names are left.
_OWN = {
    DEPLOYMENT: {"ReplicaSet": r"-[a-z0-9]+", "Pod": r"-[a-z0-9]+-[a-z0-9]{5}"},
    STATEFUL_SET: {"Pod": r"-\d+", "PersistentVolumeClaim": r"-\d+"},
    DAEMON_SET: {"Pod": r"-[a-z0-9]{5}"},
    POD: {},
}


@dataclass(frozen=True)
class EventFacts:
    """An event.

    Attributes:
        at: When it was last seen, ISO 8601, UTC.
        type: `Normal` or `Warning`.
        reason: Kubernetes' own word.
        about: `KIND/NAME`.
        message: One line, with how often it was seen.
    """

    at: str
    type: str
    reason: str
    about: str
    message: str


def events_about(
    cluster: Cluster, found: Found, *, warnings: bool = False
) -> tuple[EventFacts, ...]:
    """What happened to a workload, its ReplicaSets and its pods, the newest last.

    Args:
        cluster: The cluster.
        found: The workload or pod.
        warnings: Only warnings.

    Raises:
        OrchctlError: As Cluster does.
    """
    every, _ = cluster.every(EVENT, fields="type=Warning" if warnings else "")
    own = [one for one in every if _is_about(one, found)]
    own.sort(key=event_order)
    return tuple(_read(one) for one in own)


def _is_about(event: Object, found: Found) -> bool:
    about = event.get("involvedObject", {})
    kind, name = about.get("kind", ""), about.get("name", "")
    if kind.lower() == found.kind.name and name == found.name:
        return True
    pattern = _OWN[found.kind].get(kind)
    front = r"(.+-)?" if kind == "PersistentVolumeClaim" else ""
    return bool(pattern and re.fullmatch(front + re.escape(found.name) + pattern, name))


def _read(event: Object) -> EventFacts:
    about = event.get("involvedObject", {})
    return EventFacts(
        event_time(event),
        event.get("type", ""),
        event.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        event_text(event),
    )
