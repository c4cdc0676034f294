"""A rollout that will not get done: what is known of why, gathered for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchctl.config import masked_url
from orchctl.errors import OrchctlError, TimedOut, WorkloadFailed
from orchctl.workloads.kubernetes.client import Away
from orchctl.workloads.kubernetes.kinds import EVENT, POD, Object
from orchctl.workloads.kubernetes.refusal import Refused

if TYPE_CHECKING:
    from orchctl.workloads.kubernetes.client import Cluster
    from orchctl.workloads.kubernetes.pods import PodTrouble

_LINES = 20
_SHOWN_LINES, _SHOWN_EVENTS = 5, 3
_HINTS = {
    "crash-loop": "orchctl k8s logs {pod} --previous shows all it said",
    "image-pull": "Correct the image: orchctl k8s set-image {target} IMAGE, or "
    "orchctl k8s rollback {target}",
    "container-config": "Create the ConfigMap or Secret it wants, or orchctl k8s rollback {target}",
    "unschedulable": "kubectl describe {pod} and kubectl get nodes show what it wants and what "
    "there is",
    "failed-mount": "Create what it wants to mount, or orchctl k8s rollback {target}",
    "pod-failed": "kubectl describe {pod}",
    "progress-deadline": "orchctl k8s status {target}; orchctl k8s rollback {target} goes back",
}


def failed(
    cluster: Cluster, target: str, workload: Object | None, trouble: PodTrouble
) -> WorkloadFailed:
    """The error for a pod that keeps a workload from getting done.

    Args:
        cluster: The cluster.
        target: `KIND/NAME`, as a person types it.
        workload: The workload; None for a pod alone.
        trouble: What is wrong with the pod.
    """
    details = gathered(cluster, workload, trouble)
    return WorkloadFailed(
        f"{target} will not become ready: {trouble}",
        code="rollout-failed",
        state=_state(details),
        hint=_HINTS[trouble.kind].format(pod=f"pod/{trouble.pod}", target=target),
        details=details,
    )


def stuck(
    cluster: Cluster, target: str, workload: Object, why: str, pod: PodTrouble | None
) -> WorkloadFailed:
    """The error for a Deployment whose controller says that it got stuck."""
    details = gathered(cluster, workload, pod)
    told = f"{target} will not become ready: {why}" + (f"; {pod}" if pod else "")
    return WorkloadFailed(
        told,
        code="rollout-failed",
        state=_state(details),
        hint=_HINTS["progress-deadline"].format(target=target),
        details={**details, "reason": "ProgressDeadlineExceeded"},
    )


def too_late(
    cluster: Cluster, target: str, workload: Object | None, told: str, pod: PodTrouble | None
) -> TimedOut:
    """The error for a wait that took too long."""
    details = gathered(cluster, workload, pod)
    return TimedOut(
        f"{target} is not ready in time: {told}",
        code="rollout-timeout",
        state=_state(details),
        hint=f"orchctl k8s status {target} shows how it is; orchctl k8s wait {target} waits on",
        details={**details, "waiting": told},
    )


def gathered(
    cluster: Cluster, workload: Object | None, trouble: PodTrouble | None
) -> dict[str, Any]:
    """What a person would ask next: conditions, the last warnings, the last words."""
    details: dict[str, Any] = {"conditions": conditions_of(workload), "events": [], "log": []}
    if trouble is None:
        return details
    details |= {
        "reason": trouble.reason,
        "pod": trouble.pod,
        "container": trouble.container or None,
        "exit_code": trouble.exit_code,
        "events": warnings_about(cluster, trouble.pod, trouble.uid),
    }
    if trouble.container:
        details["log"] = last_words(cluster, trouble.pod, trouble.container)
    return details


def conditions_of(workload: Object | None) -> list[dict[str, str]]:
    """A workload's conditions, in short."""
    conditions = (workload or {}).get("status", {}).get("conditions") or ()
    wanted = ("type", "status", "reason", "message")
    return [{key: one.get(key, "") for key in wanted} for one in conditions]


def warnings_about(cluster: Cluster, name: str, uid: str = "") -> list[str]:
    """The last warnings about an object, the newest last; none where they may not be read.

    Args:
        cluster: The cluster.
        name: The object's name.
        uid: Its own; "" takes those of all that had the name.
    """
    try:
        found, _ = cluster.every(EVENT, fields=f"involvedObject.name={name},type=Warning")
    except OrchctlError:
        return []
    found = [one for one in found if uid in ("", one["involvedObject"].get("uid"))]
    found.sort(key=event_order)
    return [f"{one.get('reason')}: {event_text(one)}" for one in found[-_SHOWN_EVENTS:]]


def event_time(event: Object) -> str:
    """When an event was last seen, ISO 8601."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    found = next((one for one in times if one), event["metadata"].get("creationTimestamp", ""))
    return str(found)


def event_order(event: Object) -> tuple[str, int]:
    """By what events are sorted: kubelet tells whole seconds only, versions tell the rest."""
    version = str(event["metadata"].get("resourceVersion", ""))
    return event_time(event)[:19], int(version) if version.isdigit() else 0


def event_text(event: Object) -> str:
    """An event's message in one line, with how often it was seen."""
    times = int((event.get("series") or {}).get("count") or event.get("count") or 1)
    text = masked_url(" ".join(str(event.get("message", "")).split()))
    return f"{text} ({times} times)" if times > 1 else text


def last_words(cluster: Cluster, pod: str, container: str) -> list[str]:
    """The last lines of a container that ended, else of the one that runs; [] without any."""
    for previous in ("true", "false"):
        query = {"container": container, "tailLines": str(_LINES), "previous": previous}
        try:
            with cluster.stream(POD.path(cluster.namespace, pod, "log"), query, 10.0) as lines:
                found = [masked_url(one.decode(errors="replace")) for one in lines]
        except (Refused, Away):
            continue
        if found:
            return found
    return []


def _state(details: dict[str, Any]) -> str | None:
    parts = [f"{one['type']}={one['status']} ({one['reason']})" for one in details["conditions"]]
    told = [", ".join(parts)] if parts else []
    told += [f"event {one}" for one in details["events"]]
    if details["log"]:
        told += ["its last words:", *(f"  {line}" for line in details["log"][-_SHOWN_LINES:])]
    return "\n       ".join(told) or None
